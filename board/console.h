/* console.h - the transcript on a serial line: words, events and what was lost.
 *
 *   es_console_layout(&plan, &layout);                     es_console_init(&console, &config, ...);
 *   status = es_console_start(&console, &error);           its writer thread; before the freeze
 *   es_console_piece(&console, " sev", 4, at_ms);          engine thread: text as it comes
 *   es_console_word(&console, &word);                      engine thread: a whole word
 *   es_console_event(&console, ES_LANE_CONTROL, &event);   a state change, a gap, a warning
 *   es_console_stop(&console, 1000);                       hands over what waits, within a second
 *
 * Two modes. `text` is for a dumb terminal: words as they come, after a pause a new line that
 * starts with [hh:mm:ss], events as lines that start with `#`, CR LF; control characters and
 * broken UTF-8 become U+FFFD (ASCII: '?'). A line also ends when nothing came for the length of a
 * pause, for programs that read lines. `jsonl` is one object per word and per event, LF.
 *
 * Producers copy into a lane of their own (queue.h), wake the writer, and never wait. The writer
 * formats, merges, and puts into the UART's ring; what finds no room is counted and said in the
 * place where it is missing: `# lost 120 bytes`, {"event":"lost",..}. */
#pragma once

#include "board/queue.h"
#include "board/uart.h"
#include "board/word.h"
#include "platform/thread.h"
#include "platform/utf8.h"

#include <pthread.h>
#include <stdatomic.h>

enum es_console_mode { ES_CONSOLE_TEXT, ES_CONSOLE_JSONL };

struct es_console_config {
    enum es_console_mode mode;
    /* text mode: true, and text comes by es_console_piece, words are ignored (the fastest);
     * false, and it comes by es_console_word. jsonl always prints words and ignores pieces. */
    bool takes_pieces;
    bool is_ascii;     /* transliterates: for terminals that know no UTF-8 */
    uint32_t pause_ms; /* between words, that starts a new line; ES_CONSOLE_PAUSE_MS */
    struct es_uart_config uart;
};

struct es_console_layout {
    uint32_t lane_regions[ES_LANE_COUNT];
    struct es_uart_layout uart;
};

/* A copy for other threads; totals since the start. */
struct es_console_counters {
    uint64_t written_bytes;
    uint64_t lost_bytes; /* that found no room; in a lane, of text alone */
    uint64_t open_count;
    bool is_open;
    bool is_stuck;
};

struct es_console {
    struct es_console_config config;
    struct es_queue lanes[ES_LANE_COUNT];
    _Atomic uint64_t ticket;  /* the order of records across lanes */
    _Atomic int64_t clock_ms; /* es_console_set_clock */
    int wake_fd;              /* -1: never started, or stopped */
    atomic_bool is_stopping;
    uint32_t drain_ms;
    struct es_thread thread;
    /* the writer's */
    struct es_uart uart;
    struct es_utf8 utf8;      /* of the pieces */
    bool is_in_line;          /* the last byte was no line end */
    uint64_t last_ms;         /* recording time of the last text */
    uint64_t last_put_ms;     /* es_clock_ns of it */
    uint64_t said_lost_bytes; /* of all that was lost, how much the stream has told */
    uint64_t said_open_count;
    /* for others; producers never take the mutex */
    pthread_mutex_t shared_mutex;
    struct es_console_counters shared;
    struct es_error shared_failure;
    struct es_error shared_notice;
    char shared_path[ES_DEVICE_NAME_BYTES];
};

void es_console_layout(struct es_plan *plan, struct es_console_layout *layout);

/* Binds, makes the wake-up descriptor, and tries to open the line once. ES_OK also when the line is
 * not there (es_console_failure tells why; the writer goes on trying), unless the name or baud can
 * never be right (ES_ERR_USAGE). Main thread. */
ES_MUST_CHECK enum es_status es_console_init(struct es_console *console,
                                             const struct es_console_config *config,
                                             const struct es_console_layout *layout,
                                             const struct es_arena *arena, struct es_error *error);

/* Starts the writer, with all signals blocked. Without it, call es_console_poll. Main thread. */
ES_MUST_CHECK enum es_status es_console_start(struct es_console *console, struct es_error *error);

/* -- engine thread (its lane) ------------------------------------------------------------------ */

/* Text as the tokens bring it, with its own spaces, cut anywhere, even inside of a character.
 * `at_ms`: recording time at which the word that it belongs to ends; never decreasing. */
void es_console_piece(struct es_console *console, const char *text, uint32_t text_bytes,
                      uint64_t at_ms);
void es_console_word(struct es_console *console, const struct es_word *word);

/* -- the thread that the lane belongs to ------------------------------------------------------- */

void es_console_event(struct es_console *console, enum es_lane lane, const struct es_event *event);

/* -- any thread -------------------------------------------------------------------------------- */

/* Stamps show the time of day: `unix_ms` (with the time zone's offset added) was when recording
 * time was 0. Before this call they show recording time. */
void es_console_set_clock(struct es_console *console, int64_t unix_ms);
struct es_console_counters es_console_counters(struct es_console *console);
/* Why the line is closed: a copy. "" while it is open. */
void es_console_failure(struct es_console *console, struct es_error *error);
/* What the last opening found: another program that has the line open, too. "" for nothing. */
void es_console_notice(struct es_console *console, struct es_error *error);
/* "/dev/pts/3": a copy into path [ES_DEVICE_NAME_BYTES]; "" when it was never open. */
void es_console_path(struct es_console *console, char *path);

/* -- the writer -------------------------------------------------------------------------------- */

/* One round: formats what waits and writes what the line takes. Returns the ms until the next one,
 * as es_uart_poll. For tests and for programs without the thread. */
uint32_t es_console_poll(struct es_console *console, uint64_t now_ms);

/* Ends the line and the thread when all is handed over, or after `drain_ms`; closes. What was not
 * handed over is in the counters then. false: the device holds the thread up ES_STOP_GRACE_MS
 * longer, and it goes on with its memory. Main thread. */
bool es_console_stop(struct es_console *console, uint32_t drain_ms);
