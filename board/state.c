#include "board/state.h"

#include "platform/assert.h"
#include "platform/bounds.h"

struct es_state_machine es_state_start(void) {
    return (struct es_state_machine){.state = ES_STATE_BOOT};
}

static void note_change(uint64_t *count, uint64_t *moved_ms, uint64_t count_now, uint64_t now_ms) {
    if (*count != count_now) {
        *count = count_now;
        *moved_ms = now_ms;
    }
}

static bool is_recent(uint64_t moved_ms, uint64_t now_ms, uint32_t span_ms) {
    return moved_ms > 0 && now_ms - moved_ms < span_ms;
}

/* A card that is said to run and delivers nothing is no microphone, whoever says so. */
static bool is_deaf(const struct es_state_machine *machine, const struct es_conditions *conditions,
                    uint64_t now_ms) {
    return !conditions->has_microphone || conditions->is_digital_zero ||
           now_ms - machine->sample_ms >= ES_STATE_STALL_MS;
}

static bool is_lagging(const struct es_state_machine *machine,
                       const struct es_conditions *conditions, uint64_t now_ms) {
    return conditions->waiting_ms >= ES_STATE_LAG_MS ||
           now_ms - machine->step_ms >= ES_STATE_STALL_MS ||
           is_recent(machine->lost_ms, now_ms, ES_STATE_LOSS_MS);
}

static enum es_state judge(const struct es_state_machine *machine,
                           const struct es_conditions *conditions, uint64_t now_ms) {
    if (conditions->has_fault) {
        return ES_STATE_FAULT;
    }
    if (conditions->phase == ES_PHASE_BOOT) {
        return ES_STATE_BOOT;
    }
    if (conditions->phase == ES_PHASE_LOADING) {
        return ES_STATE_LOADING;
    }
    if (conditions->is_muted) {
        return ES_STATE_MUTED;
    }
    if (is_deaf(machine, conditions, now_ms)) {
        return ES_STATE_NO_MIC;
    }
    if (is_lagging(machine, conditions, now_ms)) {
        return ES_STATE_LAGGING;
    }
    return is_recent(machine->word_ms, now_ms, ES_STATE_HEARING_MS) ? ES_STATE_HEARING
                                                                    : ES_STATE_LISTENING;
}

struct es_state_machine es_state_next(struct es_state_machine before,
                                      const struct es_conditions *conditions, uint64_t now_ms) {
    struct es_state_machine after = before;
    ES_ASSERT(now_ms > 0 && now_ms >= before.since_ms);
    bool hears = conditions->phase == ES_PHASE_RUNNING && !conditions->is_muted &&
                 conditions->has_microphone;
    if (!after.is_started) {
        after.is_started = true;
        after.since_ms = now_ms;
        after.sample_count = conditions->sample_count;
        after.step_count = conditions->step_count;
        after.word_count = conditions->word_count;
        after.lost_samples = conditions->lost_samples;
    }
    note_change(&after.sample_count, &after.sample_ms, conditions->sample_count, now_ms);
    note_change(&after.step_count, &after.step_ms, conditions->step_count, now_ms);
    note_change(&after.word_count, &after.word_ms, conditions->word_count, now_ms);
    note_change(&after.lost_samples, &after.lost_ms, conditions->lost_samples, now_ms);
    /* Counts may stand still while nobody listens: each beginning gets its time to start. Steps
     * need samples, so their time begins with the first ones. */
    if (!hears || !before.is_hearing_allowed) {
        after.sample_ms = now_ms;
        after.step_ms = now_ms;
    }
    if (is_deaf(&after, conditions, now_ms)) {
        after.step_ms = now_ms;
    }
    after.is_hearing_allowed = hears;
    after.state = judge(&after, conditions, now_ms);
    after.since_ms = after.state == before.state && before.is_started ? before.since_ms : now_ms;
    return after;
}

const char *es_state_name(enum es_state state) {
    static const char *const names[ES_STATE_COUNT] = {"boot",  "loading", "listening", "hearing",
                                                      "muted", "lagging", "no-mic",    "fault"};
    ES_ASSERT((unsigned)state < ES_STATE_COUNT);
    return names[state];
}

const char *es_state_meaning(enum es_state state) {
    static const char *const meanings[ES_STATE_COUNT] = {
        "starting",
        "reading the model",
        "listening, nobody speaks",
        "words are coming",
        "muted by the switch: no sound is taken",
        "audio waits, or some was lost",
        "no microphone, or a dead one",
        "broken: see the log",
    };
    ES_ASSERT((unsigned)state < ES_STATE_COUNT);
    return meanings[state];
}
