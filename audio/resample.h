/* resample.h - mono samples of any rate to 16 kHz, aligned in time.
 *
 *   status = es_resampler_open(&resampler, 44100, ES_RESAMPLE_BEST, &error);
 *   given = es_resampler_push(resampler, in, &in_count, out, out_count);   in_count: consumed
 *   given = es_resampler_drain(resampler, out, out_count);                 0 when all is out
 *   es_resampler_close(resampler);
 *
 * Output sample n stands at time n / 16000 of the input: the filter's delay is taken out, and the
 * output is ceil(samples * 16000 / rate) long. speexdsp; 16 kHz passes through bit for bit. Opening
 * allocates, nothing after it does. One thread. */
#pragma once

#include "platform/status.h"

#include <stddef.h>
#include <stdint.h>

/* How much input an output sample waits for is half the filter. */
enum es_resample_quality {
    ES_RESAMPLE_BEST, /* speexdsp's 10: 256 taps per 1 / 16 kHz, 8 ms, stop band at -100 dB */
    ES_RESAMPLE_LIVE  /* speexdsp's 5: 80 taps per 1 / 16 kHz, 2.5 ms */
};

struct es_resampler;

/* rate in Hz, within ES_SOURCE_RATE_MIN..MAX. ES_ERR_HARDWARE when memory is out. */
ES_MUST_CHECK enum es_status es_resampler_open(struct es_resampler **resampler, uint32_t rate,
                                               enum es_resample_quality quality,
                                               struct es_error *error);

/* A new stream at the same rate; what the filter still held is gone. */
void es_resampler_reset(struct es_resampler *resampler);

uint32_t es_resampler_rate(const struct es_resampler *resampler);

/* in [*in_count], finite; out [out_count]. Returns the samples written; *in_count becomes the
 * samples taken. Either all input was taken or the output is full. */
size_t es_resampler_push(struct es_resampler *resampler, const float *in, size_t *in_count,
                         float *out, size_t out_count);

/* The end of the input: what the filter still holds. Only a reset may follow it. */
size_t es_resampler_drain(struct es_resampler *resampler, float *out, size_t out_count);

/* NULL is allowed. */
void es_resampler_close(struct es_resampler *resampler);
