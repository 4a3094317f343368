#include "board/uart.h"

#include "board/tty.h"
#include "platform/assert.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* asm/ioctls.h by way of sys/ioctl.h; <termios.h> has only its function. */
#define FLUSH_OUTPUT 1 /* TCOFLUSH */

void es_uart_layout(struct es_plan *plan, struct es_uart_layout *layout) {
    layout->ring_region = es_plan_add(plan, ES_MEM_HOST, "uart ring", ES_UART_RING_BYTES);
}

void es_uart_init(struct es_uart *uart, const struct es_uart_config *config,
                  const struct es_uart_layout *layout, const struct es_arena *arena) {
    memset(uart, 0, sizeof *uart);
    uart->config = *config;
    uart->is_pty = strcmp(config->device, "pty") == 0;
    uart->fd = -1;
    uart->slave_fd = -1;
    uart->backoff_ms = ES_UART_RETRY_MS_MIN;
    uart->ring = es_arena_region(arena, layout->ring_region);
    ES_ASSERT(uart->ring != NULL);
}

enum es_status es_uart_check(const struct es_uart_config *config, struct es_error *error) {
    bool is_pty = strcmp(config->device, "pty") == 0;
    if (config->device[0] == '\0' || strstr(config->device, "..") != NULL) {
        return es_fail(error, ES_ERR_USAGE,
                       "uart \"%s\": is no device; give a path, an address such as "
                       "3100000.serial, or pty",
                       config->device);
    }
    if (!is_pty && (config->baud < ES_UART_BAUD_MIN || config->baud > ES_UART_BAUD_MAX)) {
        return es_fail(error, ES_ERR_USAGE, "uart %s: %u baud is out of range; give %u to %u",
                       config->device, config->baud, ES_UART_BAUD_MIN, ES_UART_BAUD_MAX);
    }
    return ES_OK;
}

static int open_line(struct es_uart *uart, struct es_error *error) {
    const struct es_tty_line line = {uart->config.baud, uart->config.is_shared};
    if (uart->is_pty) {
        return es_tty_open_pty(&uart->slave_fd, uart->path, error);
    }
    char path[ES_DEVICE_NAME_BYTES];
    enum es_status status = es_tty_find(uart->config.device, uart->config.root, path, error);
    if (status != ES_OK) {
        return status;
    }
    int fd = es_tty_open(path, &line, uart->config.root, &uart->notice, error);
    if (fd >= 0) {
        memcpy(uart->path, path, sizeof path);
    }
    return fd;
}

enum es_status es_uart_open(struct es_uart *uart, uint64_t now_ms, struct es_error *error) {
    ES_ASSERT(uart->fd < 0);
    struct es_error failure = {""};
    enum es_status status = es_uart_check(&uart->config, &failure);
    int fd = status == ES_OK ? open_line(uart, &failure) : (int)status;
    if (fd < 0) {
        uart->failure = failure;
        uart->retry_at_ms = now_ms + uart->backoff_ms;
        uart->backoff_ms *= 2u;
        if (uart->backoff_ms > ES_UART_RETRY_MS_MAX) {
            uart->backoff_ms = ES_UART_RETRY_MS_MAX;
        }
        return es_fail(error, (enum es_status)fd, "%s", failure.text);
    }
    uart->fd = fd;
    uart->failure.text[0] = '\0';
    uart->backoff_ms = ES_UART_RETRY_MS_MIN;
    uart->is_stuck = false;
    uart->away_ms = uart->counters.open_count > 0 ? now_ms - uart->closed_at_ms : 0;
    uart->counters.open_count++;
    return ES_OK;
}

const char *es_uart_path(const struct es_uart *uart) {
    return uart->path;
}

bool es_uart_is_open(const struct es_uart *uart) {
    return uart->fd >= 0;
}

int es_uart_fd(const struct es_uart *uart) {
    return uart->fd;
}

uint32_t es_uart_waiting_bytes(const struct es_uart *uart) {
    return uart->head - uart->tail;
}

uint32_t es_uart_room_bytes(const struct es_uart *uart) {
    return ES_UART_RING_BYTES - es_uart_waiting_bytes(uart);
}

void es_uart_lose(struct es_uart *uart, uint64_t byte_count) {
    uart->counters.lost_bytes += byte_count;
}

bool es_uart_put(struct es_uart *uart, const char *bytes, uint32_t byte_count) {
    if (byte_count > es_uart_room_bytes(uart)) {
        es_uart_lose(uart, byte_count);
        return false;
    }
    uint32_t first = uart->head % ES_UART_RING_BYTES;
    uint32_t run =
        ES_UART_RING_BYTES - first < byte_count ? ES_UART_RING_BYTES - first : byte_count;
    memcpy(uart->ring + first, bytes, run);
    memcpy(uart->ring, bytes + run, byte_count - run);
    uart->head += byte_count;
    return true;
}

void es_uart_close(struct es_uart *uart) {
    if (uart->fd >= 0) {
        /* The kernel would wait for these for up to 30 s; what has left it is on its way. */
        if (es_uart_kernel_bytes(uart) > 0) {
            (void)ioctl(uart->fd, TCFLSH, FLUSH_OUTPUT);
        }
        (void)close(uart->fd);
    }
    if (uart->slave_fd >= 0) {
        (void)close(uart->slave_fd);
    }
    uart->fd = -1;
    uart->slave_fd = -1;
}

static void go_away(struct es_uart *uart, uint64_t now_ms, int cause) {
    es_uart_close(uart);
    (void)es_fail(&uart->failure, ES_ERR_HARDWARE,
                  "%s: went away (%s); it is opened again when it comes back", uart->path,
                  strerror(cause));
    uart->closed_at_ms = now_ms;
    uart->is_stuck = false;
    uart->backoff_ms = ES_UART_RETRY_MS_MIN;
    uart->retry_at_ms = now_ms + uart->backoff_ms;
}

/* What a person types at the other end of the pty; unread it would stop that program. On a serial
 * line nothing is read: with a TX-RX jumper the bytes are another program's. */
static void discard_input(const struct es_uart *uart) {
    char typed[256];
    while (read(uart->fd, typed, sizeof typed) > 0) {
    }
}

/* 0, or the errno with which the device went away. */
static int write_waiting(struct es_uart *uart) {
    bool has_written = false;
    while (es_uart_waiting_bytes(uart) > 0) {
        uint32_t first = uart->tail % ES_UART_RING_BYTES;
        uint32_t run = ES_UART_RING_BYTES - first;
        run = run < es_uart_waiting_bytes(uart) ? run : es_uart_waiting_bytes(uart);
        ssize_t written = write(uart->fd, uart->ring + first, run);
        if (written > 0) {
            has_written = true;
            uart->is_stuck = false;
            uart->tail += (uint32_t)written;
            uart->counters.written_bytes += (uint64_t)written;
        } else if (written == 0 || errno == EAGAIN) {
            uart->counters.stuck_count += !uart->is_stuck && !has_written;
            uart->is_stuck = !has_written;
            return 0;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static bool has_hung_up(const struct es_uart *uart) {
    struct pollfd line = {.fd = uart->fd, .events = 0};
    return poll(&line, 1, 0) > 0 && (line.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

uint32_t es_uart_poll(struct es_uart *uart, uint64_t now_ms) {
    if (uart->fd < 0 && now_ms >= uart->retry_at_ms) {
        enum es_status status = es_uart_open(uart, now_ms, NULL);
        (void)status; /* `failure` keeps the reason */
    }
    if (uart->fd >= 0) {
        if (uart->is_pty) {
            discard_input(uart);
        }
        int cause = write_waiting(uart);
        if (cause == 0 && has_hung_up(uart)) {
            cause = ENODEV;
        }
        if (cause != 0) {
            go_away(uart, now_ms, cause);
        }
    }
    if (uart->fd < 0) {
        uint64_t wait_ms = uart->retry_at_ms > now_ms ? uart->retry_at_ms - now_ms : 1;
        return wait_ms < ES_UART_POLL_MS ? (uint32_t)wait_ms : ES_UART_POLL_MS;
    }
    return ES_UART_POLL_MS;
}

uint32_t es_uart_kernel_bytes(const struct es_uart *uart) {
    int bytes = 0;
    if (uart->is_pty) {
        /* The kernel carries them over when it finds the time, and FIONREAD counts what has
         * arrived; poll waits for the carrying. */
        struct pollfd reader = {.fd = uart->slave_fd, .events = POLLIN};
        (void)poll(&reader, 1, 0);
        return uart->slave_fd >= 0 && ioctl(uart->slave_fd, FIONREAD, &bytes) == 0 ? (uint32_t)bytes
                                                                                   : 0;
    }
    return uart->fd >= 0 && ioctl(uart->fd, TIOCOUTQ, &bytes) == 0 ? (uint32_t)bytes : 0;
}
