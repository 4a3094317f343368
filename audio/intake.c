#include "audio/intake.h"

#include "audio/convert.h"
#include "platform/assert.h"

#include <string.h>

#define NS_PER_S 1000000000u

_Static_assert(ES_SAMPLE_RATE <= 2u * ES_CARD_RATE_MIN, "a block at most doubles");

void es_intake_reset(struct es_intake *intake) {
    memset(&intake->counts, 0, sizeof intake->counts);
    memset(&intake->waiting, 0, sizeof intake->waiting);
    intake->has_begun = false;
    intake->stretch_frames = 0;
    intake->stretch_samples = 0;
    es_gain_reset(&intake->gain, &intake->gain_config);
}

enum es_status es_intake_open(struct es_intake *intake, const struct es_card_setup *setup,
                              struct es_error *error) {
    ES_ASSERT(setup->rate >= ES_CARD_RATE_MIN && setup->rate <= ES_CARD_RATE_MAX);
    ES_ASSERT(setup->channel_count <= ES_CARD_CHANNEL_COUNT_MAX);
    if (intake->channel > setup->channel_count) {
        return es_fail(error, ES_ERR_USAGE,
                       "%s: channel %u is wanted and it has %u; give 1 to %u, or 0 for all",
                       setup->name, intake->channel, setup->channel_count, setup->channel_count);
    }
    if (intake->resampler != NULL && es_resampler_rate(intake->resampler) != setup->rate) {
        es_intake_close(intake);
    }
    if (intake->resampler == NULL) {
        const enum es_status status =
            es_resampler_open(&intake->resampler, setup->rate, ES_RESAMPLE_LIVE, error);
        if (status != ES_OK) {
            return status;
        }
    }
    es_resampler_reset(intake->resampler);
    es_level_reset(&intake->level, setup->rate);
    intake->setup = *setup;
    intake->stretch_frames = 0;
    intake->stretch_samples = 0;
    return ES_OK;
}

void es_intake_close(struct es_intake *intake) {
    es_resampler_close(intake->resampler);
    intake->resampler = NULL;
}

/* -- losses ----------------------------------------------------------------------------------- */

static void count_loss(struct es_intake *intake, enum es_loss_cause cause, uint64_t sample_count) {
    if ((intake->waiting.causes & cause) == 0) {
        for (uint32_t i = 0; i < ES_LOSS_CAUSE_COUNT; i++) {
            intake->counts.loss_counts[i] += (uint32_t)cause == 1u << i ? 1 : 0;
        }
    }
    intake->waiting.causes |= (uint32_t)cause;
    intake->waiting.lost_samples += sample_count;
    if (cause == ES_LOSS_MUTED) {
        intake->counts.muted_samples += sample_count;
    } else {
        intake->counts.lost_samples += sample_count;
    }
}

/* Tells the consumer what is missing before the next sample. False when its queue is full. */
static bool tell_waiting(struct es_intake *intake) {
    struct es_loss *waiting = &intake->waiting;
    if (waiting->causes == 0) {
        return true;
    }
    waiting->stream_sample = es_ring_pushed_count(intake->ring);
    waiting->phase = intake->has_begun ? ES_LOSS_ENDS : ES_LOSS_WHOLE;
    if ((intake->has_begun || waiting->lost_samples > 0) &&
        !es_loss_push(intake->losses, waiting)) {
        return false;
    }
    memset(waiting, 0, sizeof *waiting);
    intake->has_begun = false;
    return true;
}

/* samples [sample_count] are the next in the stream, or are lost because nobody takes them. */
static void deliver(struct es_intake *intake, const float *samples, size_t sample_count) {
    if (sample_count == 0) {
        return;
    }
    intake->stretch_samples += sample_count;
    const size_t taken =
        tell_waiting(intake) ? es_ring_push(intake->ring, samples, sample_count) : 0;
    intake->counts.sample_count += taken;
    if (taken < sample_count) {
        count_loss(intake, ES_LOSS_BACKLOG, sample_count - taken);
    }
}

/* Samples that the stretch amounts to, rounded down. */
static uint64_t due_samples(const struct es_intake *intake) {
    const uint64_t whole_s = intake->stretch_frames / intake->setup.rate;
    const uint64_t rest = intake->stretch_frames % intake->setup.rate;
    return whole_s * ES_SAMPLE_RATE + rest * ES_SAMPLE_RATE / intake->setup.rate;
}

/* What the resampler holds comes out before a gap: it was heard. */
static void drain(struct es_intake *intake) {
    if (intake->resampler == NULL) {
        return;
    }
    size_t given = 1;
    while (given > 0 && intake->stretch_samples < due_samples(intake)) {
        const uint64_t due = due_samples(intake) - intake->stretch_samples;
        const size_t room = sizeof intake->samples / sizeof intake->samples[0];
        given =
            es_resampler_drain(intake->resampler, intake->samples, due < room ? (size_t)due : room);
        es_gain_apply(&intake->gain, intake->samples, given);
        deliver(intake, intake->samples, given);
    }
    es_resampler_reset(intake->resampler);
}

void es_intake_begin_gap(struct es_intake *intake, enum es_loss_cause cause) {
    if (cause != ES_LOSS_MUTED) {
        drain(intake);
    } else if (intake->resampler != NULL) {
        es_resampler_reset(intake->resampler); /* mute is mute: what it held is booked as muted */
    }
    if (!intake->has_begun) {
        /* Where the queue is full the gap is told whole, when there is room again. */
        if (tell_waiting(intake)) {
            const struct es_loss begins = {
                .stream_sample = es_ring_pushed_count(intake->ring),
                .causes = (uint32_t)cause,
                .phase = ES_LOSS_BEGINS,
            };
            intake->has_begun = es_loss_push(intake->losses, &begins);
        }
        es_ring_wake(intake->ring);
    }
    count_loss(intake, cause, 0);
}

void es_intake_lost_frames(struct es_intake *intake, enum es_loss_cause cause,
                           uint64_t frame_count) {
    if (frame_count == 0) {
        return;
    }
    drain(intake);
    intake->stretch_frames += frame_count;
    if (cause == ES_LOSS_MUTED) {
        intake->counts.muted_frame_count += frame_count;
    } else {
        intake->counts.overrun_frame_count += frame_count;
    }
    const uint64_t lost = due_samples(intake) - intake->stretch_samples;
    intake->stretch_samples += lost;
    count_loss(intake, cause, lost);
}

void es_intake_lost_time(struct es_intake *intake, enum es_loss_cause cause, uint64_t ns,
                         uint64_t jitter_ns) {
    drain(intake);
    const uint64_t held = intake->resampler != NULL ? due_samples(intake) - intake->stretch_samples
                                                    : 0; /* where mute had emptied the resampler */
    intake->stretch_frames = 0;
    intake->stretch_samples = 0;
    const uint64_t lost =
        held + ns / NS_PER_S * ES_SAMPLE_RATE + ns % NS_PER_S * ES_SAMPLE_RATE / NS_PER_S;
    count_loss(intake, cause, lost);
    intake->waiting.bound_samples += lost / 1000u + jitter_ns * ES_SAMPLE_RATE / NS_PER_S + 1u;
}

/* -- samples ---------------------------------------------------------------------------------- */

void es_intake_frames(struct es_intake *intake, const void *frames, uint32_t frame_count) {
    ES_ASSERT(frame_count <= ES_CARD_BLOCK_FRAMES);
    const size_t clipped =
        es_convert_mono(intake->setup.format, frames, frame_count, intake->setup.channel_count,
                        intake->channel, intake->mono);
    (void)es_level_push(&intake->level, intake->mono, frame_count, clipped);
    intake->counts.frame_count += frame_count;
    intake->stretch_frames += frame_count;
    size_t done = 0;
    while (done < frame_count) {
        size_t taken = frame_count - done;
        const size_t given =
            es_resampler_push(intake->resampler, intake->mono + done, &taken, intake->samples,
                              sizeof intake->samples / sizeof intake->samples[0]);
        ES_ASSERT(taken > 0 || given > 0);
        done += taken;
        es_gain_apply(&intake->gain, intake->samples, given);
        deliver(intake, intake->samples, given);
    }
}

uint64_t es_intake_frame_of_last_sample(const struct es_intake *intake) {
    const uint64_t whole_s = intake->stretch_samples / ES_SAMPLE_RATE;
    const uint64_t rest = intake->stretch_samples % ES_SAMPLE_RATE;
    return whole_s * intake->setup.rate + rest * intake->setup.rate / ES_SAMPLE_RATE;
}
