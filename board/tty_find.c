/* tty_find.c - from a device's address to its tty, and from a tty to who holds it: through /sys and
 * /proc, with a root that tests can set. */
#include "board/directory.h"
#include "board/tty.h"
#include "platform/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 1024u

/* 6.8's serial core puts two devices between a port's address and its tty, an USB adapter one. */
#define DEPTH_MAX 4

static bool join(char *path, const char *folder, const char *name) {
    int count = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return count > 0 && (uint32_t)count < PATH_BYTES;
}

/* The first name in FOLDER/tty. */
static bool tty_of(const char *folder, char *name, size_t name_bytes) {
    char path[PATH_BYTES];
    struct es_directory directory;
    if (!join(path, folder, "tty") || !es_directory_open(&directory, path)) {
        return false;
    }
    const char *found = es_directory_next(&directory);
    bool fits = found != NULL && strlen(found) < name_bytes;
    if (fits) {
        memcpy(name, found, strlen(found) + 1u);
    }
    es_directory_close(&directory);
    return fits;
}

/* A device below: an interface of it (1-2:1.0), a port (3100000.serial:0), an adapter's channel. */
static bool is_below(const char *name, const char *device) {
    size_t length = strlen(device);
    return (strncmp(name, device, length) == 0 && name[length] == ':') ||
           strncmp(name, "ttyUSB", 6) == 0;
}

static bool search(const char *folder, const char *device, int depth, char *name,
                   size_t name_bytes) {
    if (tty_of(folder, name, name_bytes)) {
        return true;
    }
    struct es_directory directory;
    if (depth == DEPTH_MAX || !es_directory_open(&directory, folder)) {
        return false;
    }
    bool is_found = false;
    const char *entry;
    while (!is_found && (entry = es_directory_next(&directory)) != NULL) {
        char below[PATH_BYTES];
        is_found = is_below(entry, device) && join(below, folder, entry) &&
                   search(below, device, depth + 1, name, name_bytes);
    }
    es_directory_close(&directory);
    return is_found;
}

enum es_status es_tty_find(const char *device, const char *root, char *path,
                           struct es_error *error) {
    static const char *const buses[] = {"platform", "amba", "pci", "usb"};
    if (device[0] == '/') {
        (void)snprintf(path, ES_DEVICE_NAME_BYTES, "%s", device);
        return ES_OK;
    }
    bool is_present = false;
    for (size_t i = 0; i < sizeof buses / sizeof buses[0]; i++) {
        char folder[PATH_BYTES];
        char name[64];
        int count =
            snprintf(folder, sizeof folder, "%s/sys/bus/%s/devices/%s", root, buses[i], device);
        if (count <= 0 || (size_t)count >= sizeof folder || access(folder, F_OK) != 0) {
            continue;
        }
        is_present = true;
        if (search(folder, device, 0, name, sizeof name)) {
            (void)snprintf(path, ES_DEVICE_NAME_BYTES, "/dev/%s", name);
            return ES_OK;
        }
    }
    if (is_present) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: the device is there and has no tty; enable its driver (devicetree, "
                       "kernel module), or name a path",
                       device);
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "%s: no such device on the platform, amba, pci or usb bus; plug the adapter "
                   "in, or list the lines with `earshot devices`",
                   device);
}

static bool is_number(const char *name) {
    return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

static bool is_same_device(const struct stat *a, const struct stat *b) {
    return S_ISCHR(a->st_mode) ? S_ISCHR(b->st_mode) && a->st_rdev == b->st_rdev
                               : a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether one of the files of a process is the device. */
static bool process_holds(const char *process, const struct stat *device) {
    char folder[PATH_BYTES];
    struct es_directory files;
    if (!join(folder, process, "fd") || !es_directory_open(&files, folder)) {
        return false;
    }
    bool holds = false;
    const char *name;
    while (!holds && (name = es_directory_next(&files)) != NULL) {
        char path[PATH_BYTES];
        struct stat file;
        holds = join(path, folder, name) && stat(path, &file) == 0 && is_same_device(device, &file);
    }
    es_directory_close(&files);
    return holds;
}

static void read_name(const char *process, char *name, size_t name_bytes) {
    char path[PATH_BYTES];
    int fd = join(path, process, "comm") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t count = fd >= 0 ? read(fd, name, name_bytes - 1u) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    name[count > 0 ? count : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    es_text_make_printable(name);
}

bool es_tty_holder(const char *path, const char *root, char *text, size_t text_bytes) {
    char full[PATH_BYTES];
    char own[16];
    struct stat device;
    struct es_directory processes;
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    if (stat(full, &device) != 0) {
        return false;
    }
    (void)snprintf(full, sizeof full, "%s/proc", root);
    (void)snprintf(own, sizeof own, "%d", (int)getpid());
    if (!es_directory_open(&processes, full)) {
        return false;
    }
    bool is_found = false;
    const char *name;
    for (uint32_t i = 0;
         !is_found && i < ES_PROCESS_SCAN_COUNT && (name = es_directory_next(&processes)) != NULL;
         i++) {
        char process[PATH_BYTES];
        if (!is_number(name) || strcmp(name, own) == 0 || !join(process, full, name) ||
            !process_holds(process, &device)) {
            continue;
        }
        char command[32];
        read_name(process, command, sizeof command);
        (void)snprintf(text, text_bytes, "%s (pid %s)", command, name);
        is_found = true;
    }
    es_directory_close(&processes);
    return is_found;
}
