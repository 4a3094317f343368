#include "board/console_writer.h"

#include "platform/assert.h"
#include "platform/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void es_console_layout(struct es_plan *plan, struct es_console_layout *layout) {
    static const char *const names[ES_LANE_COUNT] = {"console lane engine", "console lane control"};
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        layout->lane_regions[lane] = es_plan_add(plan, ES_MEM_HOST, names[lane], ES_LANE_BYTES);
    }
    es_uart_layout(plan, &layout->uart);
}

uint64_t es_console_now_ms(void) {
    return es_clock_ns() / 1000000u;
}

enum es_status es_console_init(struct es_console *console, const struct es_console_config *config,
                               const struct es_console_layout *layout, const struct es_arena *arena,
                               struct es_error *error) {
    memset(console, 0, sizeof *console);
    console->config = *config;
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        es_queue_init(&console->lanes[lane], es_arena_region(arena, layout->lane_regions[lane]),
                      ES_LANE_BYTES);
    }
    es_uart_init(&console->uart, &config->uart, &layout->uart, arena);
    atomic_store(&console->clock_ms, ES_CONSOLE_NO_CLOCK);
    (void)pthread_mutex_init(&console->shared_mutex, NULL);
    console->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (console->wake_fd < 0) {
        return es_fail(error, ES_ERR_HARDWARE, "console: no event descriptor (%s); raise ulimit -n",
                       strerror(errno));
    }
    struct es_error failure = {""}; /* a line that is not there is looked for: no failure of ours */
    enum es_status status = es_uart_open(&console->uart, es_console_now_ms(), &failure);
    es_console_share(console);
    if (status == ES_ERR_USAGE) {
        (void)close(console->wake_fd);
        console->wake_fd = -1;
        return es_fail(error, status, "%s", failure.text);
    }
    return ES_OK;
}

/* -- producers --------------------------------------------------------------------------------- */

static void push(struct es_console *console, enum es_lane lane, struct es_record *record) {
    const uint64_t one = 1;
    record->ticket = atomic_fetch_add_explicit(&console->ticket, 1, memory_order_relaxed);
    record->stamp_ms = 0;
    bool is_taken = es_queue_push(&console->lanes[lane], record);
    (void)is_taken; /* counted there; the writer tells it */
    ssize_t written = write(console->wake_fd, &one, sizeof one);
    (void)written; /* EAGAIN: 2^64 wakes are waiting, so it will wake */
}

void es_console_piece(struct es_console *console, const char *text, uint32_t text_bytes,
                      uint64_t at_ms) {
    if (console->config.mode != ES_CONSOLE_TEXT || !console->config.takes_pieces) {
        return;
    }
    while (text_bytes > 0) { /* pieces may be cut anywhere: one that is longer than a record is */
        const uint32_t count = text_bytes < ES_WORD_BYTES_MAX ? text_bytes : ES_WORD_BYTES_MAX;
        const struct es_word word = {text, count, at_ms, at_ms};
        struct es_record record;
        es_record_word(&record, &word);
        record.kind = ES_RECORD_PIECE;
        push(console, ES_LANE_ENGINE, &record);
        text += count;
        text_bytes -= count;
    }
}

void es_console_word(struct es_console *console, const struct es_word *word) {
    if (console->config.mode == ES_CONSOLE_TEXT && console->config.takes_pieces) {
        return;
    }
    struct es_record record;
    es_record_word(&record, word);
    push(console, ES_LANE_ENGINE, &record);
}

void es_console_event(struct es_console *console, enum es_lane lane, const struct es_event *event) {
    struct es_record record;
    es_record_event(&record, event);
    push(console, lane, &record);
}

/* -- any thread -------------------------------------------------------------------------------- */

void es_console_set_clock(struct es_console *console, int64_t unix_ms) {
    atomic_store(&console->clock_ms, unix_ms);
}

void es_console_share(struct es_console *console) {
    const struct es_uart *uart = &console->uart;
    (void)pthread_mutex_lock(&console->shared_mutex);
    console->shared = (struct es_console_counters){.written_bytes = uart->counters.written_bytes,
                                                   .lost_bytes = es_console_lost_bytes(console),
                                                   .open_count = uart->counters.open_count,
                                                   .is_open = es_uart_is_open(uart),
                                                   .is_stuck = uart->is_stuck};
    console->shared_failure = uart->failure;
    console->shared_notice = uart->notice;
    memcpy(console->shared_path, uart->path, sizeof console->shared_path);
    (void)pthread_mutex_unlock(&console->shared_mutex);
}

struct es_console_counters es_console_counters(struct es_console *console) {
    (void)pthread_mutex_lock(&console->shared_mutex);
    struct es_console_counters counters = console->shared;
    (void)pthread_mutex_unlock(&console->shared_mutex);
    return counters;
}

void es_console_failure(struct es_console *console, struct es_error *error) {
    (void)pthread_mutex_lock(&console->shared_mutex);
    *error = console->shared_failure;
    (void)pthread_mutex_unlock(&console->shared_mutex);
}

void es_console_notice(struct es_console *console, struct es_error *error) {
    (void)pthread_mutex_lock(&console->shared_mutex);
    *error = console->shared_notice;
    (void)pthread_mutex_unlock(&console->shared_mutex);
}

void es_console_path(struct es_console *console, char *path) {
    (void)pthread_mutex_lock(&console->shared_mutex);
    memcpy(path, console->shared_path, sizeof console->shared_path);
    (void)pthread_mutex_unlock(&console->shared_mutex);
}

/* -- the writer's thread ----------------------------------------------------------------------- */

static void sleep_for(struct es_console *console, uint32_t wait_ms) {
    uint64_t wakes;
    struct pollfd reasons[2] = {{.fd = console->wake_fd, .events = POLLIN},
                                {.fd = es_uart_fd(&console->uart), .events = POLLOUT}};
    bool waits = es_uart_is_open(&console->uart) && es_uart_waiting_bytes(&console->uart) > 0;
    (void)poll(reasons, waits ? 2u : 1u, (int)wait_ms);
    ssize_t count = read(console->wake_fd, &wakes, sizeof wakes);
    (void)count; /* EAGAIN: it was the line, or the time */
}

/* Everything out, or the time is up, or nothing has moved for a while (a stuck line, a pty without
 * a reader: waiting longer would only delay the end). */
static void drain(struct es_console *console) {
    uint64_t began_ms = es_console_now_ms();
    uint64_t moved_ms = began_ms;
    uint64_t left_before = UINT64_MAX;
    (void)es_console_poll(console, began_ms); /* the last words are in the line now */
    es_console_end_line(console);
    for (;;) {
        uint64_t now_ms = es_console_now_ms();
        (void)es_console_poll(console, now_ms);
        uint64_t left =
            (uint64_t)es_uart_waiting_bytes(&console->uart) + es_uart_kernel_bytes(&console->uart);
        if (left < left_before) {
            left_before = left;
            moved_ms = now_ms;
        }
        if (left == 0 || !es_uart_is_open(&console->uart) ||
            now_ms - began_ms >= console->drain_ms || now_ms - moved_ms >= ES_CONSOLE_STILL_MS) {
            return;
        }
        struct pollfd line = {.fd = es_uart_fd(&console->uart), .events = 0};
        (void)poll(&line, 1, 5);
    }
}

static void run(void *context) {
    struct es_console *console = context;
    while (!atomic_load(&console->is_stopping)) {
        uint32_t wait_ms = es_console_poll(console, es_console_now_ms());
        sleep_for(console, wait_ms);
    }
    drain(console);
}

enum es_status es_console_start(struct es_console *console, struct es_error *error) {
    return es_thread_start(&console->thread, "es-console", 0, run, console, error);
}

bool es_console_stop(struct es_console *console, uint32_t drain_ms) {
    const uint64_t one = 1;
    if (console->wake_fd < 0) {
        return true;
    }
    console->drain_ms = drain_ms;
    atomic_store(&console->is_stopping, true);
    ssize_t written = write(console->wake_fd, &one, sizeof one);
    (void)written;
    if (console->thread.is_started) {
        uint64_t grace_ms = (uint64_t)drain_ms + ES_STOP_GRACE_MS;
        if (!es_thread_join_until(&console->thread, es_clock_ns() + grace_ms * 1000000u)) {
            return false;
        }
    } else {
        drain(console);
    }
    es_uart_lose(&console->uart, es_uart_waiting_bytes(&console->uart));
    es_uart_close(&console->uart);
    es_console_share(console); /* the counters may still be asked for */
    (void)close(console->wake_fd);
    console->wake_fd = -1;
    return true;
}
