#include "audio/gain.h"

#include "platform/bounds.h"

#include <math.h>

#define BLOCK_SAMPLES (ES_SAMPLE_RATE / 50u) /* 20 ms */
#define TARGET_DB (-23.0f)                   /* RMS of speech; EBU R 128's programme loudness */
#define GAIN_DB_MAX 30.0f
#define UP_DB_PER_S 3.0f
#define DOWN_DB_PER_S 20.0f
#define SPEECH_OVER_FLOOR 8.0f   /* mean square over the noise's: 9 dB */
#define FLOOR_UP_PER_S 1.26f     /* mean square: the noise is believed to grow by 1 dB/s at most */
#define SPEECH_MEAN_SQUARE 1e-8f /* -80 dB: nothing below it is speech */
#define PEAK_MAX 0.98f

static float factor_from_db(float db) {
    return powf(10.0f, db / 20.0f);
}

void es_gain_reset(struct es_gain *gain, const struct es_gain_config *config) {
    gain->config = *config;
    gain->factor = config->mode == ES_GAIN_FIXED ? factor_from_db(config->fixed_db) : 1.0f;
    gain->floor_mean_square = 1.0f;
}

static void measure(const float *samples, size_t count, float *peak, float *mean_square) {
    float top = 0.0f, sum = 0.0f;
    for (size_t i = 0; i < count; i++) {
        top = fmaxf(top, fabsf(samples[i]));
        sum += samples[i] * samples[i];
    }
    *peak = top;
    *mean_square = sum / (float)count;
}

/* Where the factor is to be at the end of this block. */
static float next_factor(struct es_gain *gain, float peak, float mean_square, float seconds) {
    float factor = gain->factor;
    gain->floor_mean_square =
        fminf(mean_square, gain->floor_mean_square * powf(FLOOR_UP_PER_S, seconds));
    if (mean_square > SPEECH_MEAN_SQUARE &&
        mean_square > SPEECH_OVER_FLOOR * gain->floor_mean_square) {
        const float wanted = factor_from_db(TARGET_DB) / sqrtf(mean_square);
        factor = wanted > factor ? fminf(wanted, factor * factor_from_db(UP_DB_PER_S * seconds))
                                 : fmaxf(wanted, factor * factor_from_db(-DOWN_DB_PER_S * seconds));
        factor = fminf(fmaxf(factor, 1.0f), factor_from_db(GAIN_DB_MAX));
    }
    return peak * factor > PEAK_MAX ? fmaxf(PEAK_MAX / peak, 1.0f) : factor;
}

static void apply_block(struct es_gain *gain, float *samples, size_t count) {
    float peak, mean_square;
    measure(samples, count, &peak, &mean_square);
    const float target = next_factor(gain, peak, mean_square, (float)count / (float)ES_SAMPLE_RATE);
    /* A ramp, so that no step is heard; downwards at once, so that nothing clips. */
    const float start = peak * gain->factor > PEAK_MAX ? target : gain->factor;
    const float step = (target - start) / (float)count;
    for (size_t i = 0; i < count; i++) {
        samples[i] *= start + step * (float)(i + 1);
    }
    gain->factor = target;
}

void es_gain_apply(struct es_gain *gain, float *samples, size_t count) {
    if (gain->config.mode == ES_GAIN_OFF) {
        return;
    }
    if (gain->config.mode == ES_GAIN_FIXED) {
        for (size_t i = 0; i < count; i++) {
            const float louder = samples[i] * gain->factor;
            const float bound = fmaxf(1.0f, fabsf(samples[i]));
            samples[i] = fminf(fmaxf(louder, -bound), bound);
        }
        return;
    }
    while (count > 0) {
        const size_t block = count < BLOCK_SAMPLES ? count : BLOCK_SAMPLES;
        apply_block(gain, samples, block);
        samples += block;
        count -= block;
    }
}

double es_gain_db(const struct es_gain *gain) {
    return 20.0 * log10((double)gain->factor);
}
