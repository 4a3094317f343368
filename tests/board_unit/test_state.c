/* The transition function against a second opinion: every condition, from every state. */
#include "board/state.h"

#include "platform/bounds.h"
#include "tests/support/test.h"

#define TICK_MS 20u

/* A running device that hears: samples and steps come with every tick. */
struct device {
    struct es_state_machine machine;
    struct es_conditions conditions;
    uint64_t now_ms;
    bool samples_come;
    bool steps_come;
};

static struct device start(void) {
    return (struct device){.machine = es_state_start(),
                           .now_ms = 1000,
                           .conditions = {.phase = ES_PHASE_RUNNING, .has_microphone = true},
                           .samples_come = true,
                           .steps_come = true};
}

static enum es_state run_for(struct device *device, uint64_t span_ms) {
    for (uint64_t until_ms = device->now_ms + span_ms; device->now_ms < until_ms;) {
        device->now_ms += TICK_MS;
        device->conditions.sample_count += device->samples_come ? 320u : 0u;
        device->conditions.step_count += device->steps_come ? 1u : 0u;
        device->machine = es_state_next(device->machine, &device->conditions, device->now_ms);
    }
    return device->machine.state;
}

#define EXPECT_STATE(actual, expected)                                                             \
    ES_EXPECT_TEXT(es_state_name(actual), es_state_name(expected))

/* -- exhaustive -------------------------------------------------------------------------------- */

#define FLAG_COUNT 9u
enum flag {
    FAULT_NOW,
    MUTED,
    NO_CARD,
    ZERO,
    SAMPLES_STALL,
    WAITING,
    LOSS,
    STEPS_STALL,
    WORD,
};

static bool has(uint32_t flags, enum flag flag) {
    return (flags >> flag & 1u) != 0;
}

/* The priority list of state.h, read aloud. */
static enum es_state expected(uint32_t flags, enum es_state_phase phase) {
    bool in_use = !has(flags, MUTED) && !has(flags, NO_CARD);
    if (has(flags, FAULT_NOW)) {
        return ES_STATE_FAULT;
    }
    if (phase != ES_PHASE_RUNNING) {
        return phase == ES_PHASE_BOOT ? ES_STATE_BOOT : ES_STATE_LOADING;
    }
    if (has(flags, MUTED)) {
        return ES_STATE_MUTED;
    }
    if (has(flags, NO_CARD) || has(flags, ZERO) || (in_use && has(flags, SAMPLES_STALL))) {
        return ES_STATE_NO_MIC;
    }
    if (has(flags, WAITING) || has(flags, LOSS) || has(flags, STEPS_STALL)) {
        return ES_STATE_LAGGING;
    }
    return has(flags, WORD) ? ES_STATE_HEARING : ES_STATE_LISTENING;
}

/* A machine in that state, whose counts last moved just now, or too long ago. */
static struct es_state_machine machine_in(enum es_state state, uint32_t flags, uint64_t now_ms) {
    return (struct es_state_machine){
        .state = state,
        .since_ms = 10000,
        .is_started = true,
        .is_hearing_allowed = true,
        .sample_count = 5,
        .step_count = 5,
        .word_count = 5,
        .lost_samples = 5,
        .sample_ms = now_ms - (has(flags, SAMPLES_STALL) ? ES_STATE_STALL_MS : 1u),
        .step_ms = now_ms - (has(flags, STEPS_STALL) ? ES_STATE_STALL_MS : 1u),
        .word_ms = now_ms - (has(flags, WORD) ? ES_STATE_HEARING_MS - 1u : ES_STATE_HEARING_MS),
        .lost_ms = now_ms - (has(flags, LOSS) ? ES_STATE_LOSS_MS - 1u : ES_STATE_LOSS_MS)};
}

ES_TEST("every transition: each state, each phase, each combination of conditions") {
    const uint64_t now_ms = 100000;
    uint32_t transition_count = 0;
    uint32_t seen[ES_STATE_COUNT][ES_STATE_COUNT] = {{0}};
    for (int before = 0; before < ES_STATE_COUNT; before++) {
        for (int phase = ES_PHASE_BOOT; phase <= ES_PHASE_RUNNING; phase++) {
            for (uint32_t flags = 0; flags < 1u << FLAG_COUNT; flags++) {
                const struct es_conditions conditions = {
                    .phase = (enum es_state_phase)phase,
                    .has_fault = has(flags, FAULT_NOW),
                    .is_muted = has(flags, MUTED),
                    .has_microphone = !has(flags, NO_CARD),
                    .is_digital_zero = has(flags, ZERO),
                    .sample_count = 5,
                    .step_count = 5,
                    .word_count = 5,
                    .lost_samples = 5,
                    .waiting_ms = has(flags, WAITING) ? ES_STATE_LAG_MS : ES_STATE_LAG_MS - 1u};
                struct es_state_machine after = es_state_next(
                    machine_in((enum es_state)before, flags, now_ms), &conditions, now_ms);
                enum es_state wanted = expected(flags, conditions.phase);
                EXPECT_STATE(after.state, wanted);
                ES_EXPECT_EQ(after.since_ms, after.state == (enum es_state)before ? 10000 : now_ms);
                seen[before][after.state]++;
                transition_count++;
            }
        }
    }
    for (int before = 0; before < ES_STATE_COUNT; before++) {
        for (int after = 0; after < ES_STATE_COUNT; after++) {
            ES_EXPECT(seen[before][after] > 0); /* every pair is possible */
        }
    }
    es_test_note("%u transitions", transition_count);
}

/* -- over time --------------------------------------------------------------------------------- */

ES_TEST("boot, loading, listening; and words make it hearing for a while") {
    struct device device = start();
    device.conditions.phase = ES_PHASE_BOOT;
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_BOOT);
    device.conditions.phase = ES_PHASE_LOADING;
    EXPECT_STATE(run_for(&device, 60000), ES_STATE_LOADING);
    device.conditions.phase = ES_PHASE_RUNNING;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LISTENING);
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.word_count++;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_HEARING);
    EXPECT_STATE(run_for(&device, ES_STATE_HEARING_MS - TICK_MS), ES_STATE_HEARING);
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LISTENING);
}

ES_TEST("complaint: deaf after hours while the status looks healthy") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 3600000), ES_STATE_LISTENING);
    device.samples_come = false; /* the card stands still, and says that all is well */
    device.steps_come = false;
    EXPECT_STATE(run_for(&device, ES_STATE_STALL_MS), ES_STATE_NO_MIC);
    EXPECT_STATE(run_for(&device, 3600000), ES_STATE_NO_MIC);
    device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.is_digital_zero = true;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_NO_MIC);
}

ES_TEST("complaint: LED stuck on listening, when the engine has stopped") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.steps_come = false;
    EXPECT_STATE(run_for(&device, ES_STATE_STALL_MS), ES_STATE_LAGGING);
    EXPECT_STATE(run_for(&device, 3600000), ES_STATE_LAGGING);
}

ES_TEST("complaint: mute that breaks capture: after it the device listens again at once") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.is_muted = true;
    device.steps_come = false; /* no audio reaches the engine */
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_MUTED);
    EXPECT_STATE(run_for(&device, 3600000), ES_STATE_MUTED);
    device.conditions.is_muted = false;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LISTENING);
    device.steps_come = true;
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
}

ES_TEST("complaint: a microphone replug that needs a restart") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.has_microphone = false;
    device.samples_come = false;
    device.steps_come = false;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_NO_MIC);
    EXPECT_STATE(run_for(&device, 3600000), ES_STATE_NO_MIC);
    device.conditions.has_microphone = true;
    device.samples_come = true;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LISTENING);
    device.steps_come = true;
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
}

ES_TEST("complaint: capture that never restarts after an overrun shows as no microphone") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.lost_samples += 480;
    device.samples_come = false;
    device.steps_come = false;
    EXPECT_STATE(run_for(&device, ES_STATE_STALL_MS), ES_STATE_NO_MIC);
    device.samples_come = true;
    device.steps_come = true;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LAGGING); /* the loss still shows */
    EXPECT_STATE(run_for(&device, ES_STATE_LOSS_MS), ES_STATE_LISTENING);
}

ES_TEST("complaint: slow boards that drop audio silently") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.lost_samples++; /* one sample */
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LAGGING);
    EXPECT_STATE(run_for(&device, ES_STATE_LOSS_MS - TICK_MS), ES_STATE_LAGGING);
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LISTENING);
    device.conditions.waiting_ms = ES_STATE_LAG_MS;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_LAGGING);
}

ES_TEST("a fault comes before all else, for as long as it lasts") {
    struct device device = start();
    EXPECT_STATE(run_for(&device, 5000), ES_STATE_LISTENING);
    device.conditions.has_fault = true;
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_FAULT);
    device.conditions.is_muted = true;
    EXPECT_STATE(run_for(&device, 3600000), ES_STATE_FAULT);
    device.conditions.has_fault = false; /* the stage moves again */
    EXPECT_STATE(run_for(&device, TICK_MS), ES_STATE_MUTED);
}
