/* capture.h - a microphone that never stands there healthy and deaf: card -> 16 kHz mono -> ring.
 *
 *   es_capture_layout(&plan, &layout);
 *   es_capture_init(&capture, &config, &layout, &arena);
 *   es_capture_start(capture, &error);                          the thread; before the freeze
 *   if (es_capture_wait(capture, 1280, deadline_ns)) {          the consumer's thread
 *       n = es_capture_take(capture, pcm, 1280, &loss);
 *       if (loss.causes != 0) { a gap lies behind those n samples: feed silence, move the map }
 *   }
 *   es_capture_set_muted(capture, true);                        any thread
 *   es_capture_report(capture, &report);                        any thread
 *
 * The thread opens the card, waits, reads, averages the channels, measures the level, resamples
 * (2.5 ms), applies gain and pushes into a ring. Whatever happens to the card, every sample that
 * did not reach the ring is part of a loss (loss.h) that the consumer meets at its exact place
 * between two samples: exact where the card's own position survived, otherwise measured by the
 * clock, with the error's bound. A card that went away is looked for every second at most, by name,
 * since its index moves. Opening may allocate inside of alsa-lib and, when the rate has changed,
 * in speexdsp; nothing else here does. */
#pragma once

#include "audio/card.h"
#include "audio/gain.h"
#include "audio/level.h"
#include "audio/loss.h"
#include "platform/ring.h"
#include "platform/thread.h"

struct es_capture_config {
    struct es_card *card;     /* borrowed; used by the capture thread alone */
    struct es_card_want want; /* its strings are borrowed */
    uint32_t channel;         /* 0: the average of all; otherwise this one, from 1 */
    struct es_gain_config gain;
    bool is_muted; /* from the start: a mute switch may already be on */
};

enum es_capture_state {
    ES_CAPTURE_OPENING,   /* the card is open or being opened, and no sample has come yet */
    ES_CAPTURE_LISTENING, /* samples arrive, and go into the ring */
    ES_CAPTURE_MUTED,     /* samples arrive, and are thrown away */
    ES_CAPTURE_NO_MIC,    /* the card is not there, sleeps or delivers nothing; being looked for */
    ES_CAPTURE_FAILED     /* it is there and a person must act: busy, denied, unusable. Tried again
                           * just the same */
};

/* "opening", "listening", "muted", "no microphone", "failed". Static storage. */
const char *es_capture_state_name(enum es_capture_state state);

/* A snapshot. Counts are since the start; frames are the card's, samples are at 16 kHz. */
struct es_capture_report {
    enum es_capture_state state;
    bool is_muted;    /* as set; state says MUTED once the card obeys */
    bool is_realtime; /* the thread; else realtime_note says why and the remedy */
    struct es_error realtime_note;
    struct es_error reason;     /* of NO_MIC and FAILED: the thing, what is wrong, the remedy */
    struct es_card_setup setup; /* of the card now or last open */
    uint64_t open_count;        /* times that a card was opened: 1 + replugs */
    uint64_t attempt_count;     /* times that it was tried: a reason that is checked again */
    uint64_t turn_count;        /* of the thread's loop: grows at least every 200 ms */
    uint64_t frame_count;       /* read from the card, the muted ones included */
    uint64_t muted_frame_count;
    uint64_t overrun_frame_count; /* exact */
    uint64_t sample_count;        /* into the ring */
    uint64_t lost_samples;        /* all causes but mute; in losses given or still to be given */
    uint64_t muted_samples;
    uint64_t loss_counts[ES_LOSS_CAUSE_COUNT]; /* gaps by cause, in the order of its bits */
    struct es_level_window level;              /* at the card's rate, before gain */
    double gain_db;
    bool is_flat; /* the microphone has given one number for ES_CAPTURE_FLAT_MS: dead or off */
};

struct es_capture_layout {
    uint32_t region;
    struct es_ring_layout ring;
};

struct es_capture;

void es_capture_layout(struct es_plan *plan, struct es_capture_layout *layout);
void es_capture_init(struct es_capture **capture, const struct es_capture_config *config,
                     const struct es_capture_layout *layout, const struct es_arena *arena);

/* Starts the thread, which opens the card: a missing one is a state, not a failure. */
ES_MUST_CHECK enum es_status es_capture_start(struct es_capture *capture, struct es_error *error);
/* Ends the thread within 200 ms, closes the card and frees what opening took. Also after steps.
 * false: it hangs in the sound driver after ES_STOP_GRACE_MS; nothing is closed or freed, and the
 * memory of the capture stays in use. */
bool es_capture_stop(struct es_capture *capture);

/* One turn of the thread's loop, for tests and for programs that have a loop of their own. */
void es_capture_step(struct es_capture *capture);

/* Any thread. From the first call that follows in the capture thread no sample reaches the ring;
 * after unmute, none that the card captured before. */
void es_capture_set_muted(struct es_capture *capture, bool is_muted);

/* Consumer. Sleeps until `sample_count` samples or a loss can be taken, es_capture_wake was called,
 * or es_clock_ns() reaches `deadline_ns`. True when there is something to take. */
bool es_capture_wait(struct es_capture *capture, size_t sample_count, uint64_t deadline_ns);
void es_capture_wake(struct es_capture *capture); /* any thread */

/* Consumer. Up to `sample_count` samples, never past a loss: when one lies right behind the samples
 * that were taken, *loss is it (and it is taken), otherwise loss->causes is 0. Several losses may
 * follow each other without a sample between them. */
size_t es_capture_take(struct es_capture *capture, float *samples, size_t sample_count,
                       struct es_loss *loss);

/* Samples that wait in the ring: the lag, 16 for each millisecond. Any thread. */
uint64_t es_capture_waiting_count(const struct es_capture *capture);

/* When a sample left the microphone: `position` counts the samples that came out of take since the
 * start. False before the first one. Exact to a period; ns of CLOCK_BOOTTIME (clock.h). For
 * positions of the last second. Any thread. */
bool es_capture_sample_ns(struct es_capture *capture, uint64_t position, uint64_t *ns);

void es_capture_report(struct es_capture *capture, struct es_capture_report *report);
