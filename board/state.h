/* state.h - which state the appliance is in: one pure function of what the counters say.
 *
 *   struct es_state_machine machine = es_state_start();
 *   machine = es_state_next(machine, &conditions, now_ms);       every tick
 *   es_leds_show(&leds, machine.state, ...);
 *
 * A higher priority wins: FAULT, BOOT, LOADING, MUTED, NO_MIC, LAGGING, HEARING, LISTENING. The
 * machine looks at the counters itself, so that nobody can forget to: a running capture whose
 * sample count stands still is no microphone, an engine whose step count stands still lags.
 * Pure: nothing but the arguments counts, nothing is written. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum es_state {
    ES_STATE_BOOT,
    ES_STATE_LOADING,
    ES_STATE_LISTENING,
    ES_STATE_HEARING, /* words are coming */
    ES_STATE_MUTED,
    ES_STATE_LAGGING, /* audio waits, or was lost */
    ES_STATE_NO_MIC,
    ES_STATE_FAULT,
    ES_STATE_COUNT
};

enum es_state_phase { ES_PHASE_BOOT, ES_PHASE_LOADING, ES_PHASE_RUNNING };

/* What is so now. Counters only grow; their size does not matter, their change does. */
struct es_conditions {
    enum es_state_phase phase;
    bool has_fault;        /* a stage stands still, or has ended: what a restart is for */
    bool is_muted;         /* mute.h */
    bool has_microphone;   /* a card is open and runs */
    bool is_digital_zero;  /* and has delivered nothing but zeros for too long */
    uint64_t sample_count; /* read from the card */
    uint64_t step_count;   /* decoder steps executed */
    uint64_t word_count;   /* given out (or pieces of text) */
    uint64_t lost_samples; /* by overruns, and dropped by policy */
    uint32_t waiting_ms;   /* audio between the card and the engine */
};

struct es_state_machine {
    enum es_state state;
    uint64_t since_ms;       /* when this state began */
    bool is_started;         /* the counts below are of a tick before */
    bool is_hearing_allowed; /* running, not muted, with a microphone: counts have to move */
    uint64_t sample_count, step_count, word_count, lost_samples;
    uint64_t sample_ms, step_ms, word_ms, lost_ms; /* when each last moved; 0 never */
};

struct es_state_machine es_state_start(void);

/* `now_ms` never decreases and is > 0. */
struct es_state_machine es_state_next(struct es_state_machine before,
                                      const struct es_conditions *conditions, uint64_t now_ms);

/* "boot", "loading", "listening", "hearing", "muted", "lagging", "no-mic", "fault". */
const char *es_state_name(enum es_state state);
/* "words are coming": for people. Static storage. */
const char *es_state_meaning(enum es_state state);
