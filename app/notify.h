/* notify.h - what systemd is told about this process: its three-line protocol, without its library.
 *
 *   es_notify_open(&notify, notify_socket, watchdog_us, watchdog_pid, &error);     environment
 *   es_notify_send(&notify, "READY=1");                      after warm-up
 *   es_notify_send(&notify, "WATCHDOG=1");                   only on progress (supervisor.h)
 *   es_notify_send(&notify, "STATUS=%s", line);
 *   es_notify_close(&notify);
 *
 * One datagram per message to the socket that NOTIFY_SOCKET names: a path, or `@name` for an
 * abstract one (sd_notify(3), sd_watchdog_enabled(3)). Without that variable everything is a no-op.
 * Never blocks, never allocates; a message that is not taken is counted. Control thread. */
#pragma once

#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct es_notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t address_bytes;
    uint64_t watchdog_us; /* how often systemd wants to hear WATCHDOG=1; 0: not at all */
    uint64_t sent_count;
    uint64_t lost_count; /* nobody took them: the socket is full or gone */
};

/* The three variables may be NULL. ES_ERR_USAGE when NOTIFY_SOCKET is no address; the struct then
 * is as without it. */
ES_MUST_CHECK enum es_status es_notify_open(struct es_notify *notify, const char *socket_name,
                                            const char *watchdog_us, const char *watchdog_pid,
                                            struct es_error *error);

/* At most ES_NOTIFY_BYTES_MAX - 1 bytes, longer is cut; control characters become '?'. */
void es_notify_send(struct es_notify *notify, const char *format, ...) ES_PRINTF(2, 3);

void es_notify_close(struct es_notify *notify);
