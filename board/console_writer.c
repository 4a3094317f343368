#include "board/console_writer.h"

#include "board/console_text.h"

#include <stdio.h>
#include <string.h>

/* After a loss nothing is put before so much of the ring is free again: otherwise a stuck line that
 * lets a byte through now and then would fill with news of losses. */
#define ROOM_AFTER_LOSS (ES_UART_RING_BYTES / 4u)

/* What is about to be put; all of it or nothing. */
struct piece_of_stream {
    uint32_t used_bytes;
    char bytes[ES_WORD_JSON_BYTES_MAX + ES_CONSOLE_STAMP_BYTES + 16u];
};

_Static_assert(sizeof(struct piece_of_stream) < ROOM_AFTER_LOSS, "fits after a loss");
_Static_assert(ES_CONSOLE_TEXT_BYTES_MAX <= ES_WORD_JSON_BYTES_MAX, "text is no longer than JSON");

static void add(struct piece_of_stream *piece, const char *bytes, size_t byte_count) {
    memcpy(piece->bytes + piece->used_bytes, bytes, byte_count);
    piece->used_bytes += (uint32_t)byte_count;
}

uint64_t es_console_lost_bytes(const struct es_console *console) {
    uint64_t lost_bytes = console->uart.counters.lost_bytes;
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        lost_bytes += es_queue_lost_text_bytes(&console->lanes[lane]);
    }
    return lost_bytes;
}

/* Cuts at a character's border. */
static uint32_t at_most(const char *bytes, uint32_t byte_count, uint32_t max) {
    if (byte_count <= max) {
        return byte_count;
    }
    while (max > 0 && ((uint8_t)bytes[max] & 0xC0u) == 0x80u) {
        max--;
    }
    return max;
}

static void clean(struct es_console_text *text, const char *bytes, uint32_t byte_count,
                  bool is_ascii) {
    struct es_utf8 utf8 = {0};
    text->used_bytes = 0;
    es_console_text_add(text, &utf8, bytes, byte_count, is_ascii);
    es_console_text_finish(text, &utf8, is_ascii);
}

/* What a text is about that does not say so itself: a card's name, "was set by 3 s". */
static const char *subject_of(const struct es_event *event) {
    bool is_microphone = strcmp(event->name, "microphone") == 0;
    return is_microphone ? "microphone: " : strcmp(event->name, "clock") == 0 ? "clock: " : "";
}

static void add_event(const struct es_console *console, struct piece_of_stream *piece,
                      const struct es_event *event) {
    struct es_console_text text;
    bool is_text = console->config.mode == ES_CONSOLE_TEXT;
    clean(&text, event->text, (uint32_t)strnlen(event->text, ES_WORD_BYTES_MAX),
          is_text && console->config.is_ascii);
    text.used_bytes = at_most(text.bytes, text.used_bytes, ES_WORD_BYTES_MAX);
    if (is_text) {
        add(piece, console->is_in_line ? "\r\n# " : "# ", console->is_in_line ? 4 : 2);
        add(piece, subject_of(event), strlen(subject_of(event)));
        add(piece, text.bytes, text.used_bytes);
        add(piece, "\r\n", 2);
        return;
    }
    char line[ES_WORD_JSON_BYTES_MAX];
    char terminated[ES_WORD_BYTES_MAX + 1u];
    memcpy(terminated, text.bytes, text.used_bytes);
    terminated[text.used_bytes] = '\0';
    const struct es_event cleaned = {event->name, terminated, event->at_ms};
    size_t bytes = es_event_json(&cleaned, line);
    add(piece, line, console->config.is_ascii ? es_console_json_ascii(line, bytes) : bytes);
    add(piece, "\n", 1);
}

/* Behind a loss that has not been told yet nothing is put: the order would be wrong. */
static bool put(struct es_console *console, const struct piece_of_stream *piece) {
    if (es_console_lost_bytes(console) != console->said_lost_bytes) {
        es_uart_lose(&console->uart, piece->used_bytes);
        return false;
    }
    return es_uart_put(&console->uart, piece->bytes, piece->used_bytes);
}

/* The console's own news: a loss, a line that came back. */
static void put_event(struct es_console *console, const char *name, const char *text) {
    struct piece_of_stream piece = {.used_bytes = 0};
    const struct es_event event = {name, text, console->last_ms};
    add_event(console, &piece, &event);
    bool is_put = put(console, &piece);
    console->is_in_line = console->is_in_line && !is_put;
}

static void tell_losses(struct es_console *console) {
    uint64_t lost_bytes = es_console_lost_bytes(console);
    if (lost_bytes == console->said_lost_bytes ||
        es_uart_room_bytes(&console->uart) < ROOM_AFTER_LOSS) {
        return;
    }
    char text[64];
    (void)snprintf(text, sizeof text, "lost %llu bytes",
                   (unsigned long long)(lost_bytes - console->said_lost_bytes));
    console->said_lost_bytes = lost_bytes;
    put_event(console, "lost", text);
}

/* A device that came back is told; what it held was lost with it. After the losses, which come
 * first: while these wait for room, so does this. */
static void tell_return(struct es_console *console) {
    uint64_t open_count = console->uart.counters.open_count;
    if (open_count == console->said_open_count) {
        return;
    }
    if (open_count > 1) {
        tell_losses(console);
        if (es_console_lost_bytes(console) != console->said_lost_bytes ||
            es_uart_room_bytes(&console->uart) < ROOM_AFTER_LOSS) {
            return;
        }
        char text[96];
        (void)snprintf(text, sizeof text, "console back after %llu.%llu s",
                       (unsigned long long)(console->uart.away_ms / 1000u),
                       (unsigned long long)(console->uart.away_ms / 100u % 10u));
        put_event(console, "console", text);
    }
    console->said_open_count = open_count;
}

static void add_line_start(const struct es_console *console, struct piece_of_stream *piece,
                           uint64_t at_ms) {
    char stamp[ES_CONSOLE_STAMP_BYTES];
    int64_t clock_ms = atomic_load(&console->clock_ms);
    bool has_clock = clock_ms != ES_CONSOLE_NO_CLOCK;
    uint64_t shown_ms = at_ms + (has_clock ? (uint64_t)clock_ms : 0u);
    if (console->is_in_line) {
        add(piece, "\r\n", 2);
    }
    add(piece, stamp, es_console_stamp(stamp, shown_ms, has_clock));
}

/* Words and pieces in text mode. A piece brings its blanks; a word gets one. */
static void put_text(struct es_console *console, const struct es_record *record, uint64_t now_ms) {
    struct es_console_text text = {.used_bytes = 0};
    bool is_piece = record->kind == ES_RECORD_PIECE;
    if (is_piece) {
        es_console_text_add(&text, &console->utf8, record->text, record->text_bytes,
                            console->config.is_ascii);
    } else {
        clean(&text, record->text, record->text_bytes, console->config.is_ascii);
    }
    bool is_pause = record->start_ms > console->last_ms &&
                    record->start_ms - console->last_ms >= console->config.pause_ms;
    bool is_new_line = !console->is_in_line || is_pause;
    const char *bytes = text.bytes;
    uint32_t byte_count = text.used_bytes;
    while (is_new_line && byte_count > 0 && *bytes == ' ') {
        bytes++;
        byte_count--;
    }
    if (byte_count == 0) {
        return;
    }
    struct piece_of_stream piece = {.used_bytes = 0};
    if (is_new_line) {
        add_line_start(console, &piece, record->start_ms);
    }
    if (is_new_line || !is_piece) {
        add(&piece, " ", 1);
    }
    add(&piece, bytes, byte_count);
    if (put(console, &piece)) {
        console->is_in_line = true;
        console->last_put_ms = now_ms;
    }
    console->last_ms = record->end_ms;
}

static void put_json(struct es_console *console, const struct es_record *record) {
    struct piece_of_stream piece = {.used_bytes = 0};
    struct es_console_text text;
    char line[ES_WORD_JSON_BYTES_MAX];
    clean(&text, record->text, record->text_bytes, false);
    const struct es_word word = {text.bytes,
                                 at_most(text.bytes, text.used_bytes, ES_WORD_BYTES_MAX),
                                 record->start_ms, record->end_ms};
    size_t bytes = es_word_json(&word, line);
    add(&piece, line, console->config.is_ascii ? es_console_json_ascii(line, bytes) : bytes);
    add(&piece, "\n", 1);
    (void)put(console, &piece);
    console->last_ms = record->end_ms;
}

static void put_record(struct es_console *console, const struct es_record *record,
                       uint64_t now_ms) {
    tell_losses(console);
    if (record->kind == ES_RECORD_EVENT) {
        char text[ES_WORD_BYTES_MAX + 1u];
        struct piece_of_stream piece = {.used_bytes = 0};
        memcpy(text, record->text, record->text_bytes);
        text[record->text_bytes] = '\0';
        const struct es_event event = {record->name, text, record->start_ms};
        add_event(console, &piece, &event);
        console->is_in_line = !put(console, &piece) && console->is_in_line;
    } else if (console->config.mode == ES_CONSOLE_TEXT) {
        put_text(console, record, now_ms);
    } else {
        put_json(console, record);
    }
}

void es_console_end_line(struct es_console *console) {
    if (console->is_in_line && es_uart_room_bytes(&console->uart) >= 2u &&
        es_console_lost_bytes(console) == console->said_lost_bytes) {
        console->is_in_line = !es_uart_put(&console->uart, "\r\n", 2);
    }
}

uint32_t es_console_poll(struct es_console *console, uint64_t now_ms) {
    struct es_record record;
    struct es_queue *lane;
    tell_return(console);
    while ((lane = es_queue_oldest(console->lanes, &record)) != NULL) {
        es_queue_pop(lane);
        put_record(console, &record, now_ms);
    }
    /* A program that reads lines gets the last one when its pause has passed, and not with the next
     * word. */
    if (now_ms - console->last_put_ms >= console->config.pause_ms) {
        es_console_end_line(console);
    }
    uint32_t wait_ms = es_uart_poll(&console->uart, now_ms);
    if (console->uart.counters.open_count != console->said_open_count ||
        es_console_lost_bytes(console) != console->said_lost_bytes) {
        /* The line took something, or is back: there may be room to say so. */
        tell_return(console);
        tell_losses(console);
        wait_ms = es_uart_poll(&console->uart, now_ms);
    }
    es_console_share(console);
    return wait_ms;
}
