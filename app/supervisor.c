#include "app/supervisor.h"

#include "platform/bounds.h"

#include <stdio.h>
#include <string.h>

#define NOBODY (-1)

void es_supervisor_start(struct es_supervisor *supervisor, uint64_t watchdog_us, uint64_t now_ms) {
    memset(supervisor, 0, sizeof *supervisor);
    /* A third of the period: one that comes late is not yet a restart. */
    supervisor->pet_ms = watchdog_us / 3000u;
    if (watchdog_us > 0 && supervisor->pet_ms == 0) {
        supervisor->pet_ms = 1;
    }
    supervisor->last_pet_ms = now_ms;
    supervisor->stalled = NOBODY;
    for (int i = 0; i < ES_VITAL_COUNT; i++) {
        supervisor->moved_ms[i] = now_ms;
    }
}

/* Which stages have moved since the last tick. One that has nothing to do moves with its loop. */
static void look(struct es_supervisor *supervisor, const struct es_vitals *now, uint64_t now_ms) {
    const struct es_vitals *last = &supervisor->last;
    bool is_heard = now->capture_state == ES_CAPTURE_LISTENING;
    bool is_running = is_heard || now->capture_state == ES_CAPTURE_MUTED;
    bool moves[ES_VITAL_COUNT] = {
        [ES_VITAL_CAPTURE_LOOP] = now->capture_turns != last->capture_turns,
        /* A change of state has been seen by its thread just now. */
        [ES_VITAL_MICROPHONE] = now->frame_count != last->frame_count ||
                                now->capture_state != last->capture_state ||
                                (!is_running && now->attempt_count != last->attempt_count),
        [ES_VITAL_ENGINE] = now->step_count != last->step_count ||
                            (!is_heard && now->engine_turns != last->engine_turns),
    };
    for (int i = 0; i < ES_VITAL_COUNT; i++) {
        if (moves[i]) {
            supervisor->moved_ms[i] = now_ms;
        }
    }
    supervisor->last = *now;
}

static int stalled_stage(const struct es_supervisor *supervisor, uint64_t now_ms) {
    static const uint32_t bounds_ms[ES_VITAL_COUNT] = {
        [ES_VITAL_CAPTURE_LOOP] = ES_STALL_CAPTURE_MS,
        [ES_VITAL_MICROPHONE] = ES_STALL_MICROPHONE_MS,
        [ES_VITAL_ENGINE] = ES_STALL_ENGINE_MS,
    };
    for (int i = 0; i < ES_VITAL_COUNT; i++) {
        if (now_ms - supervisor->moved_ms[i] > bounds_ms[i]) {
            return i;
        }
    }
    return NOBODY;
}

static void explain(const struct es_supervisor *supervisor, uint64_t now_ms,
                    struct es_verdict *verdict) {
    if (supervisor->stalled == NOBODY) {
        (void)snprintf(verdict->reason, sizeof verdict->reason,
                       "every stage moves again; the watchdog is told so");
        return;
    }
    double seconds = (double)(now_ms - supervisor->moved_ms[supervisor->stalled]) / 1000.0;
    const struct es_vitals *now = &supervisor->last;
    switch ((enum es_vital)supervisor->stalled) {
    case ES_VITAL_CAPTURE_LOOP:
        (void)snprintf(verdict->reason, sizeof verdict->reason,
                       "the capture thread has stood still for %.1f s; the watchdog is told "
                       "nothing, so that the service manager restarts the process",
                       seconds);
        return;
    case ES_VITAL_MICROPHONE:
        (void)snprintf(verdict->reason, sizeof verdict->reason,
                       "no frame from the microphone and no attempt to find it for %.1f s "
                       "(capture says \"%s\"); the watchdog is told nothing",
                       seconds, es_capture_state_name(now->capture_state));
        return;
    case ES_VITAL_ENGINE:
    case ES_VITAL_COUNT:
        (void)snprintf(verdict->reason, sizeof verdict->reason,
                       "the engine has made no step for %.1f s while %llu ms of audio wait; the "
                       "watchdog is told nothing, so that the service manager restarts the process",
                       seconds,
                       (unsigned long long)(now->waiting_samples / (ES_SAMPLE_RATE / 1000u)));
        return;
    }
}

static bool has_all_moved(const struct es_supervisor *supervisor) {
    for (int i = 0; i < ES_VITAL_COUNT; i++) {
        if (supervisor->moved_ms[i] <= supervisor->last_pet_ms) {
            return false;
        }
    }
    return true;
}

void es_supervisor_next(struct es_supervisor *supervisor, const struct es_vitals *vitals,
                        uint64_t now_ms, struct es_verdict *verdict) {
    *verdict = (struct es_verdict){.should_pet = false};
    look(supervisor, vitals, now_ms);
    int stalled = stalled_stage(supervisor, now_ms);
    verdict->is_news = stalled != supervisor->stalled;
    supervisor->stalled = stalled;
    verdict->has_stalled = stalled != NOBODY;
    if (verdict->is_news) {
        explain(supervisor, now_ms, verdict);
    }
    if (supervisor->pet_ms > 0 && !verdict->has_stalled && !vitals->has_engine_ended &&
        now_ms - supervisor->last_pet_ms >= supervisor->pet_ms && has_all_moved(supervisor)) {
        verdict->should_pet = true;
        supervisor->last_pet_ms = now_ms;
        supervisor->pet_count++;
    }
}
