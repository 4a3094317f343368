#include "board/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef TIOCGEXCL
#define TIOCGEXCL 0x80045440 /* linux/tty.h; the C library's headers may lack it */
#endif

enum es_status es_tty_fail(int cause, const char *path, const char *root, struct es_error *error) {
    char holder[96];
    switch (cause) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: is not there; plug the adapter in, or list the lines with `earshot "
                       "devices`",
                       path);
    case EACCES:
    case EPERM:
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: access is denied; add the user to the group dialout (usermod -aG "
                       "dialout USER, then log in again)",
                       path);
    case EBUSY:
        if (es_tty_holder(path, root, holder, sizeof holder)) {
            return es_fail(error, ES_ERR_HARDWARE, "%s: is in use by %s; stop that program first",
                           path, holder);
        }
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: is in use by a program that this user cannot see; `sudo fuser -v %s` "
                       "names it",
                       path, path);
    case ENOTTY:
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: is no serial line; give a tty, an address such as 3100000.serial, or "
                       "pty",
                       path);
    default:
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: cannot be opened (%s); check the cable and "
                       "`dmesg`",
                       path, strerror(cause));
    }
}

/* Claims the line; 0 or EBUSY. The kernel lets root pass an exclusive line, so that is asked for; a
 * mark without a holder was left by a process that was killed. picocom and others lock with
 * flock(2). */
static int claim(int fd, const char *path, const char *root) {
    int is_exclusive = 0;
    char holder[96];
    if (ioctl(fd, TIOCGEXCL, &is_exclusive) == 0 && is_exclusive &&
        es_tty_holder(path, root, holder, sizeof holder)) {
        return EBUSY;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return EBUSY;
    }
    return ioctl(fd, TIOCEXCL) == 0 ? 0 : errno;
}

static int fail_baud(const char *path, uint32_t baud, uint32_t got, struct es_error *error) {
    return es_fail(error, ES_ERR_HARDWARE,
                   "%s: its driver cannot do %u baud (it offers %u); choose another speed", path,
                   baud, got);
}

static bool is_off(uint32_t baud, uint32_t got) {
    uint64_t low = baud < got ? baud : got;
    uint64_t high = baud < got ? got : baud;
    return (high - low) * 100u > (uint64_t)baud * ES_UART_BAUD_OFF_PERCENT;
}

int es_tty_open(const char *path, const struct es_tty_line *line, const char *root,
                struct es_error *notice, struct es_error *error) {
    char full[ES_DEVICE_NAME_BYTES * 2u];
    char holder[96];
    notice->text[0] = '\0';
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    int fd = open(full, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return es_tty_fail(errno, path, root, error);
    }
    int cause = isatty(fd) ? 0 : ENOTTY;
    if (cause == 0 && !line->is_shared) {
        cause = claim(fd, path, root);
    }
    uint32_t got_baud = 0;
    if (cause == 0) {
        cause = es_tty_set_raw(fd, line->baud, &got_baud);
    }
    if (cause != 0 || is_off(line->baud, got_baud)) {
        enum es_status status = cause == 0 || cause == EINVAL
                                    ? (enum es_status)fail_baud(path, line->baud, got_baud, error)
                                    : es_tty_fail(cause, path, root, error);
        (void)close(fd);
        return status;
    }
    if (!line->is_shared && es_tty_holder(path, root, holder, sizeof holder)) {
        (void)es_fail(notice, ES_OK,
                      "%s: %s has it open, too, and will read and write there; stop it (on a "
                      "Jetson: systemctl disable --now nvgetty)",
                      path, holder);
    }
    return fd;
}

int es_tty_open_pty(int *slave_fd, char *path, struct es_error *error) {
    uint32_t ignored;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int slave = -1;
    int cause = master >= 0 ? 0 : errno;
    if (cause == 0 && (grantpt(master) != 0 || unlockpt(master) != 0)) {
        cause = errno;
    }
    if (cause == 0) {
        cause = ptsname_r(master, path, ES_DEVICE_NAME_BYTES);
    }
    if (cause == 0) {
        slave = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        cause = slave >= 0 ? es_tty_set_raw(slave, 0, &ignored) : errno;
    }
    if (cause == 0) {
        *slave_fd = slave;
        return master;
    }
    if (slave >= 0) {
        (void)close(slave);
    }
    if (master >= 0) {
        (void)close(master);
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "pty: no pseudo terminal can be made (%s); mount /dev/pts, or name a serial "
                   "line",
                   strerror(cause));
}
