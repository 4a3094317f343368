#include "audio/resample.h"

#include "platform/assert.h"
#include "platform/bounds.h"

#include <speex/speex_resampler.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_COUNT 256u

struct es_resampler {
    SpeexResamplerState *filter; /* NULL at 16 kHz */
    uint32_t rate;
    uint64_t in_count;
    uint64_t out_count;
    float zeros[ZERO_COUNT];
};

enum es_status es_resampler_open(struct es_resampler **resampler, uint32_t rate,
                                 enum es_resample_quality quality, struct es_error *error) {
    ES_ASSERT(rate >= ES_SOURCE_RATE_MIN);
    ES_ASSERT(rate <= ES_SOURCE_RATE_MAX);
    struct es_resampler *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return es_fail(error, ES_ERR_HARDWARE, "resampler: out of memory; free some and try again");
    }
    self->rate = rate;
    if (rate != ES_SAMPLE_RATE) {
        int code = 0;
        self->filter = speex_resampler_init(1, rate, ES_SAMPLE_RATE,
                                            quality == ES_RESAMPLE_BEST ? 10 : 5, &code);
        if (self->filter == NULL) {
            free(self);
            return es_fail(error, ES_ERR_HARDWARE,
                           "resampler: %u Hz to %u Hz cannot be set up (%s); give 16 kHz audio",
                           rate, ES_SAMPLE_RATE, speex_resampler_strerror(code));
        }
    }
    es_resampler_reset(self);
    *resampler = self;
    return ES_OK;
}

void es_resampler_reset(struct es_resampler *resampler) {
    if (resampler->filter != NULL) {
        (void)speex_resampler_reset_mem(resampler->filter);
        (void)speex_resampler_skip_zeros(resampler->filter);
    }
    resampler->in_count = 0;
    resampler->out_count = 0;
}

uint32_t es_resampler_rate(const struct es_resampler *resampler) {
    return resampler->rate;
}

static size_t at_most(size_t count, size_t limit) {
    return count < limit ? count : limit;
}

size_t es_resampler_push(struct es_resampler *resampler, const float *in, size_t *in_count,
                         float *out, size_t out_count) {
    spx_uint32_t taken = (spx_uint32_t)at_most(*in_count, INT32_MAX);
    spx_uint32_t given = (spx_uint32_t)at_most(out_count, INT32_MAX);
    if (resampler->filter == NULL) {
        taken = given = (spx_uint32_t)at_most(taken, given);
        memcpy(out, in, given * sizeof *out);
    } else {
        const int code =
            speex_resampler_process_float(resampler->filter, 0, in, &taken, out, &given);
        ES_ASSERT(code == RESAMPLER_ERR_SUCCESS);
    }
    *in_count = taken;
    resampler->in_count += taken;
    resampler->out_count += given;
    return given;
}

size_t es_resampler_drain(struct es_resampler *resampler, float *out, size_t out_count) {
    const uint64_t due =
        (resampler->in_count * ES_SAMPLE_RATE + resampler->rate - 1) / resampler->rate;
    size_t given = 0;
    while (given < out_count && resampler->out_count < due) {
        const uint64_t missing = due - resampler->out_count;
        spx_uint32_t taken = ZERO_COUNT;
        spx_uint32_t made = (spx_uint32_t)at_most(out_count - given, INT32_MAX);
        made = missing < made ? (spx_uint32_t)missing : made;
        const int code = speex_resampler_process_float(resampler->filter, 0, resampler->zeros,
                                                       &taken, out + given, &made);
        ES_ASSERT(code == RESAMPLER_ERR_SUCCESS);
        given += made;
        resampler->out_count += made;
    }
    return given;
}

void es_resampler_close(struct es_resampler *resampler) {
    if (resampler == NULL) {
        return;
    }
    if (resampler->filter != NULL) {
        speex_resampler_destroy(resampler->filter);
    }
    free(resampler);
}
