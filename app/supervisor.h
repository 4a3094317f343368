/* supervisor.h - whether every stage has really moved: it decides when the watchdog is told.
 *
 *   es_supervisor_start(&supervisor, watchdog_us, now_ms);
 *   es_supervisor_next(&supervisor, &vitals, now_ms, &verdict);          every tick
 *   if (verdict.should_pet) { es_notify_send(&notify, "WATCHDOG=1"); }
 *   if (verdict.is_news) { log verdict.reason }            a stage stands still, or goes on again
 *
 * "The thread is alive" is not enough: since the last time that the watchdog was told, samples must
 * have been captured AND decoder steps executed; or the appliance is in a known state (muted: the
 * card is still read; no microphone: it was looked for again) while both threads' loops turn. What
 * has not moved for longer than its bound (bounds.h) is a stall: it has a reason, and the watchdog
 * is told nothing until it moves. Pure: it looks at its arguments alone. Control thread. */
#pragma once

#include "audio/capture.h"

#include <stdbool.h>
#include <stdint.h>

/* What the counters say now. */
struct es_vitals {
    enum es_capture_state capture_state;
    uint64_t capture_turns;   /* of the capture thread's loop */
    uint64_t frame_count;     /* read from the card */
    uint64_t attempt_count;   /* to open it */
    uint64_t engine_turns;    /* of the engine thread's loop */
    uint64_t step_count;      /* decoder steps */
    uint64_t waiting_samples; /* between the two */
    bool has_engine_ended;    /* it failed: the process is about to end */
};

enum es_vital {
    ES_VITAL_CAPTURE_LOOP,
    ES_VITAL_MICROPHONE, /* frames, or attempts to find it */
    ES_VITAL_ENGINE,     /* steps while samples come, otherwise turns of its loop */
    ES_VITAL_COUNT
};

struct es_supervisor {
    uint64_t pet_ms; /* period; 0: nobody waits for it */
    uint64_t last_pet_ms;
    struct es_vitals last;
    uint64_t moved_ms[ES_VITAL_COUNT]; /* when each last did */
    int stalled;                       /* enum es_vital, or -1 */
    uint64_t pet_count;
};

struct es_verdict {
    bool should_pet;
    bool has_stalled; /* as long as it lasts */
    bool is_news;     /* has_stalled has changed, or another stage is the reason */
    char reason[200]; /* with is_news: one line for the log */
};

/* `watchdog_us`: as the service manager asked, 0 for none. */
void es_supervisor_start(struct es_supervisor *supervisor, uint64_t watchdog_us, uint64_t now_ms);

/* `now_ms` never decreases. */
void es_supervisor_next(struct es_supervisor *supervisor, const struct es_vitals *vitals,
                        uint64_t now_ms, struct es_verdict *verdict);
