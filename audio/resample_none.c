/* resample_none.c - a build without speexdsp: 16 kHz passes through, other rates are refused. */
#include "audio/resample.h"
#include "platform/bounds.h"

#include <stdlib.h>
#include <string.h>

struct es_resampler {
    char nothing;
};

enum es_status es_resampler_open(struct es_resampler **resampler, uint32_t rate,
                                 enum es_resample_quality quality, struct es_error *error) {
    (void)quality;
    if (rate != ES_SAMPLE_RATE) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "resampler: %u Hz cannot become %u Hz here, this build was made without "
                       "speexdsp; give 16 kHz audio, or install libspeexdsp-dev and build again",
                       rate, ES_SAMPLE_RATE);
    }
    *resampler = calloc(1, sizeof **resampler);
    return *resampler != NULL ? ES_OK
                              : es_fail(error, ES_ERR_HARDWARE,
                                        "resampler: out of memory; free some and try again");
}

void es_resampler_reset(struct es_resampler *resampler) {
    (void)resampler;
}

uint32_t es_resampler_rate(const struct es_resampler *resampler) {
    (void)resampler;
    return ES_SAMPLE_RATE;
}

size_t es_resampler_push(struct es_resampler *resampler, const float *in, size_t *in_count,
                         float *out, size_t out_count) {
    (void)resampler;
    *in_count = *in_count < out_count ? *in_count : out_count;
    memcpy(out, in, *in_count * sizeof *out);
    return *in_count;
}

size_t es_resampler_drain(struct es_resampler *resampler, float *out, size_t out_count) {
    (void)resampler;
    (void)out;
    (void)out_count;
    return 0;
}

void es_resampler_close(struct es_resampler *resampler) {
    free(resampler);
}
