/* uart.h - bytes to a serial line that may be slow, stuck, unplugged or not there yet.
 *
 *   es_uart_layout(&plan, &layout);                      es_uart_init(&uart, &config, ...);
 *   status = es_uart_open(&uart, now_ms, &error);        says why not; poll goes on trying
 *   is_taken = es_uart_put(&uart, line, byte_count);     all of it or nothing; never waits
 *   wait_ms = es_uart_poll(&uart, now_ms);               hands to the kernel what it takes
 *
 * Bytes wait in a ring of ES_UART_RING_BYTES. What does not fit is counted, and where it is missing
 * the stream says so (console.h). A device that went away is closed and opened again by its name,
 * with backoff. Raw 8N1, no flow control, no carrier, never the controlling terminal, exclusive.
 * Nothing allocates after es_uart_init.
 *
 * One thread: the console's writer (console.h). It is a thread of its own because opening and
 * closing a USB adapter may take the kernel seconds, which neither the engine nor the control tick
 * (watchdog, LEDs, mute switch) may wait for, and because a tick's length would be latency. */
#pragma once

#include "platform/arena.h"
#include "platform/bounds.h"
#include "platform/plan.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>

struct es_uart_config {
    /* "/dev/ttyUSB0", "/dev/serial/by-id/...": a path. "3100000.serial", "0000:00:03.0", "1-2:1.0":
     * a device's address on its bus, which stays the same when ttyTHS numbers move. "pty": a
     * pseudo terminal; es_uart_path names the end to read from. */
    char device[ES_DEVICE_NAME_BYTES];
    uint32_t baud;    /* any that the driver can do */
    bool is_shared;   /* let other programs open the line too (a TX-RX jumper and one adapter) */
    const char *root; /* "" ; tests put a directory before /sys, /dev and /proc. Borrowed */
};

struct es_uart_layout {
    uint32_t ring_region;
};

struct es_uart_counters {
    uint64_t written_bytes; /* taken by the kernel */
    uint64_t lost_bytes;    /* refused by es_uart_put, or cut off by a device that went away */
    uint64_t open_count;    /* 1 is the first time */
    uint64_t stuck_count;   /* times the line took nothing (EAGAIN) after it had taken some */
};

struct es_uart {
    struct es_uart_config config;
    struct es_uart_counters counters;
    int fd;       /* -1 while closed */
    int slave_fd; /* pty: held open, so that readers may come and go */
    char path[ES_DEVICE_NAME_BYTES];
    uint8_t *ring; /* [ES_UART_RING_BYTES] in the arena */
    uint32_t head; /* bytes ever put and taken, modulo 2^32 */
    uint32_t tail;
    bool is_pty;
    bool is_stuck;
    uint64_t retry_at_ms;
    uint32_t backoff_ms;
    uint64_t closed_at_ms;   /* when it went away; 0 before the first opening */
    uint64_t away_ms;        /* how long it was away, the last time */
    struct es_error failure; /* why it is closed; "" while it is open */
    struct es_error notice;  /* what the last opening found: another program at the line; or "" */
};

void es_uart_layout(struct es_plan *plan, struct es_uart_layout *layout);

/* Binds; copies the configuration, `root` stays borrowed. The line is closed after it. */
void es_uart_init(struct es_uart *uart, const struct es_uart_config *config,
                  const struct es_uart_layout *layout, const struct es_arena *arena);

/* Whether there can be such a line: ES_ERR_USAGE for no such name possible, or no such speed. */
ES_MUST_CHECK enum es_status es_uart_check(const struct es_uart_config *config,
                                           struct es_error *error);

/* One attempt. ES_ERR_HARDWARE names the device and the remedy: not there; EACCES: the group
 * dialout; EBUSY: who holds it; a baud that the driver cannot do. ES_ERR_USAGE: no such name
 * possible, or no such speed. `now_ms` is of es_clock_ns. After a failure es_uart_poll tries
 * again. */
ES_MUST_CHECK enum es_status es_uart_open(struct es_uart *uart, uint64_t now_ms,
                                          struct es_error *error);

/* "/dev/ttyTHS1", "/dev/pts/3": what is, or was last, open; "" before that. */
const char *es_uart_path(const struct es_uart *uart);
bool es_uart_is_open(const struct es_uart *uart);

/* Takes all bytes or none (false, counted as lost). */
bool es_uart_put(struct es_uart *uart, const char *bytes, uint32_t byte_count);
/* Counts bytes that the caller had and did not put. */
void es_uart_lose(struct es_uart *uart, uint64_t byte_count);
uint32_t es_uart_waiting_bytes(const struct es_uart *uart);
uint32_t es_uart_room_bytes(const struct es_uart *uart);

/* Writes, notices that the device is gone, opens it again when its time has come. Returns in how
 * many ms to call again when nothing happens before: on es_uart_fd becoming writable while bytes
 * wait, or on a put. At most ES_UART_POLL_MS. */
uint32_t es_uart_poll(struct es_uart *uart, uint64_t now_ms);
int es_uart_fd(const struct es_uart *uart); /* for poll(2); -1 while closed */

/* Bytes that the kernel still holds (pty: that no reader has fetched), where the driver says so; 0
 * where it does not. */
uint32_t es_uart_kernel_bytes(const struct es_uart *uart);

/* Drops what waits in the kernel (closing a stuck line would wait for 30 s) and closes. */
void es_uart_close(struct es_uart *uart);
