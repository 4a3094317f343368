#include "app/doctor.h"

#include "app/appliance.h"
#include "board/gpio.h"
#include "board/journal_file.h"
#include "board/pad.h"
#include "board/tty.h"
#include "platform/jetson/module.h"
#include "platform/text.h"
#include "platform/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

void es_doctor_start(struct es_doctor *doctor, int fd, const char *root) {
    *doctor = (struct es_doctor){.root = root};
    es_output_init(&doctor->output, fd, "standard output");
}

void es_doctor_say(struct es_doctor *doctor, enum es_doctor_verdict verdict, const char *format,
                   ...) {
    static const char *const words[] = {"ok", "note", "FAIL"};
    char line[ES_LOG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    es_text_make_printable(line); /* names of devices and programs are anybody's */
    es_output_format(&doctor->output, "%-5s %s\n", words[verdict], line);
    doctor->check_count++;
    doctor->failed_count += verdict == ES_DOCTOR_FAIL;
    /* Each line at once: the next check may take its time. */
    enum es_status status = es_output_flush(&doctor->output, NULL);
    (void)status; /* asked again at the end */
}

/* -- the board --------------------------------------------------------------------------------- */

static void check_power(struct es_doctor *doctor) {
    struct es_jetson_module module;
    es_jetson_module_read(&module, doctor->root);
    if (!module.is_jetson) {
        return;
    }
    const char *mode = module.power_mode[0] != '\0' ? module.power_mode : "not known";
    bool is_capped = module.emc_cap_hz > 0 && module.emc_max_hz > module.emc_cap_hz;
    bool is_gpu_capped = module.gpu_cap_hz > 0 && module.gpu_cap_hz < module.gpu_max_hz;
    if (is_capped || is_gpu_capped) {
        es_doctor_say(doctor, ES_DOCTOR_NOTE,
                      "power mode: %s caps the memory at %.0f of %.0f MHz and the GPU at %.0f of "
                      "%.0f; a faster mode by name: `nvpmodel -p --verbose`",
                      mode, (double)module.emc_cap_hz * 1e-6, (double)module.emc_max_hz * 1e-6,
                      (double)module.gpu_cap_hz * 1e-6, (double)module.gpu_max_hz * 1e-6);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "power mode: %s, module %s, GPU at up to %.0f MHz",
                      mode, module.part, (double)module.gpu_max_hz * 1e-6);
    }
}

const struct es_board *es_doctor_check_board(struct es_doctor *doctor,
                                             const struct es_config *config) {
    const struct es_board *board = strcmp(config->board, "auto") == 0
                                       ? es_board_detect(doctor->root)
                                       : es_board_find(config->board);
    if (board == NULL) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "board: %s is not known; give auto, host, %s",
                      config->board, es_board_listing());
        board = es_board_detect(doctor->root);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "board: %s (%s)", board->name, board->title);
    }
    check_power(doctor);
    return board;
}

static void check_line(struct es_doctor *doctor, const struct es_board *board, const char *key,
                       const char *value, bool is_output) {
    struct es_gpio_pin pin;
    struct es_gpio gpio;
    struct es_error error;
    if (!es_config_has(value)) {
        es_doctor_say(doctor, ES_DOCTOR_OK, "%s: none", key);
        return;
    }
    enum es_status status = es_board_pin(board, value, &pin, &error);
    if (status == ES_OK) {
        status = is_output ? es_gpio_open_output(&gpio, &pin, false, doctor->root, &error)
                           : es_gpio_open_input(&gpio, &pin, doctor->root, &error);
    }
    if (status != ES_OK) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "%s: %s", key, error.text);
        return;
    }
    enum es_pad_state pad = es_pad_state(doctor->root, gpio.line_name, &error);
    if (pad == ES_PAD_CLOSED) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "%s: %s", key, error.text);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "%s: %s line %u%s", key, pin.chip, gpio.offset,
                      pad == ES_PAD_OPEN ? ", its pad is open" : "");
    }
    es_gpio_close(&gpio);
}

void es_doctor_check_lines(struct es_doctor *doctor, const struct es_config *config,
                           const struct es_board *board) {
    check_line(doctor, board, "led", config->led, true);
    check_line(doctor, board, "step_led", config->step_led, true);
    check_line(doctor, board, "mute", config->mute, false);
}

/* -- outputs ----------------------------------------------------------------------------------- */

void es_doctor_check_uart(struct es_doctor *doctor, const struct es_config *config,
                          const struct es_board *board) {
    const char *device = strcmp(config->uart, "board") == 0 ? board->uart : config->uart;
    struct es_tty_line line = {.baud = config->baud};
    struct es_error error;
    struct es_error notice;
    char path[ES_DEVICE_NAME_BYTES];
    int slave_fd = -1;
    int fd = -1;
    if (!es_config_has(device)) {
        es_doctor_say(doctor, ES_DOCTOR_NOTE, "uart: none; the transcript is written nowhere");
        return;
    }
    notice.text[0] = '\0';
    if (strcmp(device, "pty") == 0) {
        fd = es_tty_open_pty(&slave_fd, path, &error);
        (void)snprintf(path, sizeof path, "a terminal of its own");
    } else if (es_tty_find(device, doctor->root, path, &error) == ES_OK) {
        fd = es_tty_open(path, &line, doctor->root, &notice, &error);
    }
    if (fd < 0) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "uart: %s", error.text);
        return;
    }
    if (notice.text[0] != '\0') {
        es_doctor_say(doctor, ES_DOCTOR_NOTE, "uart: %s", notice.text);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "uart: %s, %u baud", path, config->baud);
    }
    (void)close(fd);
    if (slave_fd >= 0) {
        (void)close(slave_fd);
    }
}

/* The folder of a path, in place. */
static const char *folder_of(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ".";
    }
    *slash = '\0';
    return path[0] != '\0' ? path : "/";
}

void es_doctor_check_journal(struct es_doctor *doctor, const struct es_config *config) {
    char path[ES_CONFIG_VALUE_BYTES];
    struct statvfs disk;
    if (!es_config_has(config->journal)) {
        es_doctor_say(doctor, ES_DOCTOR_OK, "journal: none is kept");
        return;
    }
    if (access(config->journal, F_OK) == 0) {
        bool is_usable = access(config->journal, R_OK | W_OK) == 0;
        es_doctor_say(doctor, is_usable ? ES_DOCTOR_OK : ES_DOCTOR_FAIL, "journal: %s%s",
                      config->journal,
                      is_usable ? "" : " cannot be written; give it to the appliance's user");
        return;
    }
    (void)snprintf(path, sizeof path, "%s", config->journal);
    const char *folder = folder_of(path);
    if (access(folder, W_OK | X_OK) != 0 || statvfs(folder, &disk) != 0) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL,
                      "journal: %s cannot be made (%s); make its folder, for the appliance's user",
                      config->journal, strerror(errno));
        return;
    }
    uint64_t free_mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    es_doctor_say(doctor, free_mib >= config->journal_mib ? ES_DOCTOR_OK : ES_DOCTOR_FAIL,
                  "journal: %s takes %u MiB, and %llu are free%s", config->journal,
                  config->journal_mib, (unsigned long long)free_mib,
                  free_mib >= config->journal_mib ? "" : "; make room, or lower journal_mib");
}

/* -- the microphone ---------------------------------------------------------------------------- */

void es_doctor_check_microphone(struct es_doctor *doctor, const struct es_config *config,
                                struct es_card *card) {
    struct es_card_want want = {
        .name = strcmp(config->microphone, "auto") == 0 ? NULL : config->microphone};
    struct es_card_setup setup;
    struct es_error error;
    if (card->ops->open(card, &want, &setup, &error) != ES_CARD_OK) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "microphone: %s", error.text);
        return;
    }
    es_doctor_say(doctor, ES_DOCTOR_OK, "microphone: %s, %u Hz, %u channels, %s", setup.name,
                  setup.rate, setup.channel_count, es_sample_format_name(setup.format));
    card->ops->close(card);
}

/* -- limits ------------------------------------------------------------------------------------ */

static void nothing(void *context) {
    (void)context;
}

void es_doctor_check_limits(struct es_doctor *doctor, const struct es_config *config) {
    static struct es_thread thread;
    struct es_error error;
    if (es_thread_start(&thread, "es-doctor", ES_CAPTURE_PRIORITY, nothing, NULL, &error) !=
        ES_OK) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "threads: %s", error.text);
        return;
    }
    es_thread_join(&thread);
    es_doctor_say(doctor, thread.is_realtime ? ES_DOCTOR_OK : ES_DOCTOR_NOTE, "real time: %s",
                  thread.is_realtime ? "the capture thread may have it" : thread.note.text);
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    bool is_free = limit.rlim_cur == RLIM_INFINITY;
    es_doctor_say(doctor,
                  is_free             ? ES_DOCTOR_OK
                  : config->must_lock ? ES_DOCTOR_FAIL
                                      : ES_DOCTOR_NOTE,
                  "locked memory: %s",
                  is_free ? "as much as there is"
                          : "is limited; raise it with `ulimit -l unlimited` (in a unit: "
                            "LimitMEMLOCK=infinity)");
}

/* -- the model --------------------------------------------------------------------------------- */

static void check_speed(struct es_doctor *doctor, const struct es_boot *boot,
                        const struct es_board *board) {
    struct es_error error;
    if (boot->backends.cuda == NULL || boot->forecast.bytes_per_s <= 0) {
        return;
    }
    if (es_forecast_check(&boot->forecast, board->title, &error) != ES_OK) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "%s", error.text);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "speed: the decoder takes %.0f %% of real time at best",
                      100.0 * es_forecast_decoder_share(&boot->forecast));
    }
}

void es_doctor_check_model(struct es_doctor *doctor, const struct es_config *config,
                           const struct es_board *board) {
    static struct es_boot boot;
    struct es_error error;
    struct es_boot_options options =
        es_appliance_boot_options(config, es_memory_bytes_per_s(board->name));
    enum es_status status = es_boot_plan(&boot, &options, &error);
    if (status == ES_OK) {
        uint64_t bytes = ES_PROCESS_ALLOWANCE_BYTES;
        for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
            bytes += es_plan_total_bytes(&boot.plan, (enum es_mem_kind)kind);
        }
        es_doctor_say(doctor, ES_DOCTOR_OK, "engine: %s (%s); needs %.1f MiB", boot.ops->name,
                      boot.backends.reason, (double)bytes / (1024.0 * 1024.0));
        check_speed(doctor, &boot, board);
        status = es_boot_start(&boot, &error);
    }
    if (status == ES_OK) {
        es_doctor_say(doctor, ES_DOCTOR_OK, "model: %s, %s weights, all finite; every stage ran",
                      config->model, es_dtype_name(boot.dtype));
    } else {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "model: %s", error.text);
    }
    es_boot_stop(&boot);
}
