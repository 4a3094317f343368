/* appliance.h - all of an appliance: microphone, engine, console, journal, LEDs, switch, watchdog.
 *
 *   static struct es_appliance appliance;
 *   status = es_appliance_open(&appliance, &options, &error);       boots, starts, freezes, READY=1
 *   while (...) { status = es_appliance_tick(&appliance, &error); }  every ES_TICK_MS
 *   es_appliance_close(&appliance, &error);                          flushes within a second, dark
 *
 * The composition and the control plane. A tick looks at counters and lines, derives the state,
 * shows it, tells the watchdog, and puts into words what has changed; it never reaches into a
 * stage. The struct is large: static storage. Main thread. */
#pragma once

#include "app/boot.h"
#include "app/config.h"
#include "app/live.h"
#include "app/notify.h"
#include "app/supervisor.h"
#include "app/walltime.h"
#include "board/console.h"
#include "board/journal.h"
#include "board/led.h"
#include "board/mute.h"
#include "board/state.h"

struct es_appliance_options {
    const struct es_config *config; /* borrowed */
    struct es_card *card;           /* borrowed: ALSA's, or a test's */
    const char *root;               /* before /sys, /dev and /proc; "" */
    const char *notify_socket;      /* NOTIFY_SOCKET, or NULL; and the other two */
    const char *watchdog_us;
    const char *watchdog_pid;
    /* The control plane's clocks; NULL for the machine's own (es_walltime_read). */
    void (*read_clock)(struct es_walltime_reading *reading, const char *root);
    /* A mute switch beside the board's; NULL for none. */
    bool (*is_muted)(void);
};

/* What the control plane has said last, to say only what is new. */
struct es_appliance_said {
    struct es_capture_report capture;
    struct es_live_report live;
    char microphone[sizeof((struct es_error *)0)->text];
    char console[sizeof((struct es_error *)0)->text]; /* why it is closed; "" while it is open */
    bool is_console_open, is_console_stuck;
    bool is_mute_unreadable;
    bool is_led_dead;
    uint64_t losses_ms; /* when losses were last told */
    uint64_t clipping_ms;
    uint64_t status_ms;
    uint64_t clock_ms;
};

/* A thread that shows that it loads, and watches the mute switch meanwhile. */
struct es_appliance_loading {
    struct es_thread thread;
    _Atomic bool is_reading_model; /* the plan is accepted */
    _Atomic bool is_over;
};

struct es_appliance {
    struct es_console console; /* these two are aligned to cache lines */
    struct es_journal journal;
    struct es_appliance_options options;
    struct es_boot boot;
    struct es_capture *capture;
    struct es_live live;
    struct es_leds leds;
    struct es_mute mute;
    struct es_notify notify;
    struct es_supervisor supervisor;
    struct es_state_machine machine;
    struct es_walltime walltime;
    struct es_appliance_loading loading;
    uint64_t boot_id;
    /* the tick's */
    struct es_capture_report capture_report;
    struct es_live_report live_report;
    struct es_walltime_reading now; /* at the last tick */
    int64_t recording_base_ms;      /* CLOCK_BOOTTIME when recording time was 0 */
    struct es_appliance_said said;
    bool is_stalled;
    /* what is open */
    bool has_console, has_journal;
    bool has_leds, has_mute;
    bool is_abandoned; /* es_appliance_close: a thread hangs */
};

/* What a configuration means for boot: for an appliance, and for the doctor that tries the same.
 * Borrows from `config`. */
struct es_boot_options es_appliance_boot_options(const struct es_config *config,
                                                 double memory_bytes_per_s);

struct es_card_want es_appliance_card_want(const struct es_config *config);
/* es_config_blame for what es_boot_plan and es_boot_start refuse. */
ES_MUST_CHECK enum es_status es_appliance_blame_boot(const struct es_config *config,
                                                     enum es_status status, struct es_error *error);

/* Whatever the configuration names and the machine lacks is one line with its remedy, except what
 * may come later: a microphone and a serial line are states, and waited for. On failure everything
 * is closed again. */
ES_MUST_CHECK enum es_status es_appliance_open(struct es_appliance *appliance,
                                               const struct es_appliance_options *options,
                                               struct es_error *error);

/* ES_OK, or the engine's failure: close, and let the service manager start anew. */
ES_MUST_CHECK enum es_status es_appliance_tick(struct es_appliance *appliance,
                                               struct es_error *error);

/* STOPPING=1, the words inside the delay, the last bytes; then everything is closed and dark. The
 * engine's failure, if there was one. Also for one that was not opened whole. With is_abandoned set
 * a thread hangs in a driver, and memory is still in use: end the process by _exit. */
ES_MUST_CHECK enum es_status es_appliance_close(struct es_appliance *appliance,
                                                struct es_error *error);

/* -- between appliance.c, appliance_board.c and appliance_tick.c ------------------------------- */

struct es_board;
ES_MUST_CHECK enum es_status es_appliance_find_board(const struct es_appliance *appliance,
                                                     const struct es_board **board,
                                                     struct es_error *error);
ES_MUST_CHECK enum es_status es_appliance_open_leds(struct es_appliance *appliance,
                                                    const struct es_board *board,
                                                    struct es_error *error);
ES_MUST_CHECK enum es_status es_appliance_open_mute(struct es_appliance *appliance,
                                                    const struct es_board *board,
                                                    struct es_error *error);
/* From LEDs and switch being open until the first tick; its end is allowed without a beginning. */
ES_MUST_CHECK enum es_status es_appliance_begin_loading(struct es_appliance *appliance,
                                                        struct es_error *error);
void es_appliance_end_loading(struct es_appliance *appliance);
/* The switch's verdict, once its level has stood for long enough: a start is not a mute. */
bool es_appliance_settled_switch(struct es_appliance *appliance);

/* An event of the control plane, to the console and the journal. */
void es_appliance_tell(struct es_appliance *appliance, const char *name, const char *format, ...)
    ES_PRINTF(3, 4);
void es_appliance_read_clock(struct es_appliance *appliance);
bool es_appliance_read_switch(struct es_appliance *appliance);
