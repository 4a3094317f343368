/* doctor_outputs.c - where the transcript goes: the serial line and the journal. */
#include "app/doctor.h"
#include "board/journal_file.h"
#include "board/tty.h"
#include "board/uart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* -- the serial line --------------------------------------------------------------------------- */

/* Opens it as the appliance would. `path` names it; the descriptor, or < 0 with the error. */
static int open_uart(const struct es_doctor *doctor, const char *device, int *slave_fd, char *path,
                     struct es_error *notice, struct es_error *error) {
    const struct es_config *config = doctor->config;
    struct es_uart_config uart = {.baud = config->baud, .root = doctor->root};
    const struct es_tty_line line = {.baud = config->baud, .is_shared = config->uart_shared != 0};
    (void)snprintf(uart.device, sizeof uart.device, "%s", device);
    enum es_status status = es_uart_check(&uart, error);
    if (status == ES_OK && strcmp(device, "pty") == 0) {
        int fd = es_tty_open_pty(slave_fd, path, error);
        (void)snprintf(path, ES_DEVICE_NAME_BYTES, "a terminal of its own");
        return fd;
    }
    if (status == ES_OK) {
        status = es_tty_find(device, doctor->root, path, error);
    }
    return status == ES_OK ? es_tty_open(path, &line, doctor->root, notice, error) : (int)status;
}

void es_doctor_check_uart(struct es_doctor *doctor, const struct es_board *board) {
    const struct es_config *config = doctor->config;
    struct es_error error;
    struct es_error notice = {""};
    const char *device;
    char path[ES_DEVICE_NAME_BYTES];
    int slave_fd = -1;
    if (!es_config_has(config->uart)) {
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, "uart",
                          "none; the transcript is written nowhere");
        return;
    }
    enum es_status status = es_board_uart(board, config->uart, &device, &error);
    int fd =
        status == ES_OK ? open_uart(doctor, device, &slave_fd, path, &notice, &error) : (int)status;
    if (fd < 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "uart", "%s", error.text);
        return;
    }
    if (notice.text[0] != '\0') {
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, "uart", "%s", notice.text);
    } else {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, "uart", "%s, %u baud%s", path, config->baud,
                          config->uart_shared != 0 ? ", shared" : "");
    }
    (void)close(fd);
    if (slave_fd >= 0) {
        (void)close(slave_fd);
    }
}

/* -- the journal ------------------------------------------------------------------------------- */

/* The folder of a path, in place. */
static const char *folder_of(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ".";
    }
    *slash = '\0';
    return path[0] != '\0' ? path : "/";
}

/* There is none yet: whether one can be made. */
static void check_new_journal(struct es_doctor *doctor) {
    const struct es_config *config = doctor->config;
    char path[ES_CONFIG_VALUE_BYTES];
    struct statvfs disk;
    (void)snprintf(path, sizeof path, "%s", config->journal);
    const char *folder = folder_of(path);
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0 || statvfs(folder, &disk) != 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "journal",
                          "%s cannot be made (%s); make its folder, for the appliance's user",
                          config->journal, strerror(errno));
        return;
    }
    uint64_t free_mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    bool has_room = free_mib >= config->journal_mib;
    es_doctor_say_key(doctor, has_room ? ES_DOCTOR_OK : ES_DOCTOR_FAIL, "journal",
                      "%s takes %u MiB, and %llu are free%s", config->journal, config->journal_mib,
                      (unsigned long long)free_mib,
                      has_room ? "" : "; make room, or lower journal_mib");
}

void es_doctor_check_journal(struct es_doctor *doctor) {
    const char *path = doctor->config->journal;
    struct es_journal_summary found;
    struct es_error error;
    if (!es_config_has(path)) {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, "journal", "none is kept");
        return;
    }
    int result = es_journal_file_check(path, &found, &error);
    if (result < 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "journal", "%s", error.text);
    } else if (result == 0) {
        check_new_journal(doctor);
    } else if (found.damaged_slots > 0 || found.is_head_damaged) {
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, "journal",
                          "%s: %llu of its %llu slots are damaged (a power cut?); it goes on", path,
                          (unsigned long long)found.damaged_slots,
                          (unsigned long long)found.slot_count);
    } else {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, "journal", "%s, %llu of %llu slots written", path,
                          (unsigned long long)(found.next_number < found.slot_count
                                                   ? found.next_number
                                                   : found.slot_count),
                          (unsigned long long)found.slot_count);
    }
}
