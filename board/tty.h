/* tty.h - serial lines: found by a stable name, opened raw, and why that failed.
 *
 *   status = es_tty_find("3100000.serial", "", path, &error);        "/dev/ttyTHS1"
 *   fd = es_tty_open(path, &line, "", &notice, &error);              raw 8N1, or < 0
 *   fd = es_tty_open_pty(&slave_fd, path, &error);                   a pair of our own
 *
 * Nothing allocates. The writer thread (uart.h). */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>

struct es_tty_line {
    uint32_t baud;
    bool is_shared;
};

/* A path is taken as it is; an address is looked for on the buses platform, amba, pci and usb, and
 * its tty named. path [ES_DEVICE_NAME_BYTES] comes without `root`. ES_ERR_HARDWARE: no such device,
 * or it has no tty; with the remedy. */
ES_MUST_CHECK enum es_status es_tty_find(const char *device, const char *root, char *path,
                                         struct es_error *error);

/* Returns the descriptor or an es_status < 0 (see es_uart_open). `notice` gets a line when another
 * program has the line open as well, without claiming it (a getty), else "". */
int es_tty_open(const char *path, const struct es_tty_line *line, const char *root,
                struct es_error *notice, struct es_error *error);

/* Returns the master; *slave_fd is open as well and raw. path: the slave's. */
int es_tty_open_pty(int *slave_fd, char *path, struct es_error *error);

/* Raw 8N1 at `baud` on an open descriptor; 0 leaves the speed as it is. Returns 0, or an errno; the
 * speed that the driver took is in *got_baud. */
int es_tty_set_raw(int fd, uint32_t baud, uint32_t *got_baud);

/* The line for a failed opening; returns ES_ERR_HARDWARE. `path` without `root`. */
enum es_status es_tty_fail(int cause, const char *path, const char *root, struct es_error *error);

/* "agetty (pid 812)" into text: a process, other than this one, that has the device open; false
 * when none can be seen (of other users' processes only root sees the files). */
bool es_tty_holder(const char *path, const char *root, char *text, size_t text_bytes);
