#include "app/notify.h"

#include "platform/bounds.h"
#include "platform/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel's form of "/run/x" or "@x" (a zero byte in front, and no end). */
static bool make_address(struct es_notify *notify, const char *name) {
    size_t length = strlen(name);
    if (length < 2u || length >= sizeof notify->address.sun_path ||
        (name[0] != '/' && name[0] != '@')) {
        return false;
    }
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, name, length);
    if (name[0] == '@') {
        notify->address.sun_path[0] = '\0';
    }
    notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

/* The watchdog is for us unless it names somebody else. */
static uint64_t watchdog_of(const char *us, const char *pid) {
    if (us == NULL || us[0] < '0' || us[0] > '9') {
        return 0;
    }
    if (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()) {
        return 0;
    }
    return strtoull(us, NULL, 10);
}

enum es_status es_notify_open(struct es_notify *notify, const char *socket_name,
                              const char *watchdog_us, const char *watchdog_pid,
                              struct es_error *error) {
    *notify = (struct es_notify){.fd = -1};
    if (socket_name == NULL || socket_name[0] == '\0') {
        return ES_OK;
    }
    if (!make_address(notify, socket_name)) {
        return es_fail(error, ES_ERR_USAGE,
                       "NOTIFY_SOCKET=%s: is neither a path nor an abstract socket; start without "
                       "it, or from systemd",
                       socket_name);
    }
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd < 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "NOTIFY_SOCKET: no socket could be made (%s); raise "
                       "the limit of open files",
                       strerror(errno));
    }
    notify->watchdog_us = watchdog_of(watchdog_us, watchdog_pid);
    return ES_OK;
}

void es_notify_send(struct es_notify *notify, const char *format, ...) {
    if (notify->fd < 0) {
        return;
    }
    char message[ES_NOTIFY_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    es_text_make_printable(message);
    ssize_t sent = sendto(notify->fd, message, strlen(message), MSG_NOSIGNAL,
                          (const struct sockaddr *)&notify->address, notify->address_bytes);
    if (sent < 0) {
        notify->lost_count++;
    } else {
        notify->sent_count++;
    }
}

void es_notify_close(struct es_notify *notify) {
    if (notify->fd >= 0) {
        (void)close(notify->fd);
    }
    notify->fd = -1;
}
