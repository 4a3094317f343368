/* gain.h - makes a quiet microphone louder: by a fixed factor, or slowly by itself.
 *
 *   struct es_gain_config config = {.mode = ES_GAIN_AUTO};      off unless asked for
 *   es_gain_reset(&gain, &config);
 *   es_gain_apply(&gain, samples, count);                       in place, 16 kHz mono
 *
 * The model has no normalization of its own: speech at -60 dB is not heard. Automatic gain looks at
 * blocks of 20 ms that stand out of the noise, and moves towards -23 dB RMS: up by 3 dB/s, down by
 * 20 dB/s, between 0 and 30 dB, never above what would clip the block at hand. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum es_gain_mode { ES_GAIN_OFF, ES_GAIN_FIXED, ES_GAIN_AUTO };

struct es_gain_config {
    enum es_gain_mode mode;
    float fixed_db; /* ES_GAIN_FIXED: -40..40 */
};

struct es_gain {
    /* configuration */
    struct es_gain_config config;
    /* state, cleared by reset */
    float factor;            /* at the end of the last block */
    float floor_mean_square; /* of the noise, as followed */
};

void es_gain_reset(struct es_gain *gain, const struct es_gain_config *config);

/* samples [count] f32, in place; results stay within -1..1 unless the input did not. */
void es_gain_apply(struct es_gain *gain, float *samples, size_t count);

/* The factor in decibels, for a status line. */
double es_gain_db(const struct es_gain *gain);
