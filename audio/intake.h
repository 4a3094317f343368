/* intake.h - frames of a sound card in, 16 kHz samples and losses out; private to capture.
 *
 *   es_intake_reset(&intake);                                       a new recording
 *   status = es_intake_open(&intake, &setup, &error);               a card begins to deliver
 *   es_intake_frames(&intake, frames, count);                       in order, nothing left out:
 *   es_intake_lost_frames(&intake, ES_LOSS_OVERRUN, count);         what the card had, we have not
 *   es_intake_lost_time(&intake, ES_LOSS_STOPPED, ns, jitter_ns);   its position is lost, too
 *   es_intake_close(&intake);
 *
 * The books: after every call, samples put into the ring + samples in losses = all that the card's
 * time amounts to at 16 kHz, less what the resampler holds (40 samples). Fractions of a sample are
 * carried and never add up to an error. A loss waits until a sample follows it, so that losses in a
 * row are one; only the beginning of a long one is told at once. The capture thread owns it. */
#pragma once

#include "audio/card.h"
#include "audio/gain.h"
#include "audio/level.h"
#include "audio/loss.h"
#include "audio/resample.h"
#include "platform/ring.h"

struct es_intake_counts {
    uint64_t frame_count; /* given to es_intake_frames */
    uint64_t muted_frame_count;
    uint64_t overrun_frame_count;
    uint64_t sample_count; /* into the ring */
    uint64_t lost_samples;
    uint64_t muted_samples;
    uint64_t loss_counts[ES_LOSS_CAUSE_COUNT];
};

struct es_intake {
    /* configuration, set by the owner before the reset */
    struct es_ring *ring;
    struct es_loss_queue *losses;
    uint32_t channel;
    struct es_gain_config gain_config;
    /* state */
    struct es_resampler *resampler; /* kept over a close, for the same rate again */
    struct es_card_setup setup;
    uint64_t stretch_frames;  /* the card's, since its position is known: kept or lost */
    uint64_t stretch_samples; /* at 16 kHz: delivered or lost, of the same stretch */
    struct es_loss waiting;   /* what is lost between the ring's last sample and the next */
    bool has_begun;           /* its beginning was told */
    struct es_level level;
    struct es_gain gain;
    struct es_intake_counts counts;
    float mono[ES_CARD_BLOCK_FRAMES];
    float samples[2u * ES_CARD_BLOCK_FRAMES + 8u]; /* resampled from 8 kHz at the least */
};

/* Nothing lost, nothing counted. The resampler stays. */
void es_intake_reset(struct es_intake *intake);
/* Allocates when the rate is not that of the card before. */
ES_MUST_CHECK enum es_status
es_intake_open(struct es_intake *intake, const struct es_card_setup *setup, struct es_error *error);

/* frames [frame_count <= ES_CARD_BLOCK_FRAMES, channels] in the setup's format. */
void es_intake_frames(struct es_intake *intake, const void *frames, uint32_t frame_count);

/* Frames of the card that go nowhere: cause ES_LOSS_OVERRUN or ES_LOSS_MUTED. Exact. */
void es_intake_lost_frames(struct es_intake *intake, enum es_loss_cause cause,
                           uint64_t frame_count);

/* Time of which the card's position says nothing; another stretch begins. `jitter_ns` bounds the
 * error of both ends together; 0.1 % of the time is added to it for the card's own clock. */
void es_intake_lost_time(struct es_intake *intake, enum es_loss_cause cause, uint64_t ns,
                         uint64_t jitter_ns);

/* From here on samples are missing for an unknown time: the consumer is told at once. What is lost
 * is given later, by the two functions above. */
void es_intake_begin_gap(struct es_intake *intake, enum es_loss_cause cause);

/* The frame of the card's stretch that the ring's last sample stands for. */
uint64_t es_intake_frame_of_last_sample(const struct es_intake *intake);

/* Frees the resampler. */
void es_intake_close(struct es_intake *intake);
