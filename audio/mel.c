#include "audio/mel.h"

#include "audio/filterbank.h"
#include "audio/spectrum.h"
#include "platform/assert.h"
#include "platform/bounds.h"

#include <math.h>
#include <string.h>

/* A frame's window reaches this far before its centre: what a stream starts with is zeros. */
#define LEAD_SAMPLES (ES_MEL_WINDOW / 2u)

_Static_assert(ES_MEL_WINDOW == ES_SPECTRUM_SAMPLES, "the DFT is as long as the window");
_Static_assert(ES_MEL_HOP < ES_MEL_WINDOW, "windows overlap");

struct es_mel {
    struct {
        const struct es_spectrum_tables *spectrum;
        const struct es_filterbank *bank;
        float floor;
    } config;
    struct {
        uint32_t sample_count;        /* in `samples`, below ES_MEL_WINDOW between pushes */
        float samples[ES_MEL_WINDOW]; /* the window of the next frame, as far as it is known */
    } state;
    struct { /* holds nothing between frames */
        struct es_spectrum_scratch spectrum;
        double power[ES_SPECTRUM_BINS];
        double energies[ES_MEL_BIN_COUNT_MAX];
    } scratch;
};

void es_mel_layout(const struct es_mel_config *config, struct es_plan *plan,
                   struct es_mel_layout *layout) {
    ES_ASSERT(config->bin_count > 0);
    ES_ASSERT(config->bin_count <= ES_MEL_BIN_COUNT_MAX);
    layout->filter_region =
        es_plan_add(plan, ES_MEM_HOST, "mel tables",
                    sizeof(struct es_spectrum_tables) + es_filterbank_bytes(config->bin_count));
    layout->state_region = es_plan_add(plan, ES_MEM_HOST, "mel window", sizeof(struct es_mel));
}

void es_mel_init(struct es_mel **mel, const struct es_mel_config *config,
                 const struct es_mel_layout *layout, const struct es_arena *arena) {
    struct es_spectrum_tables *spectrum = es_arena_region(arena, layout->filter_region);
    struct es_mel *self = es_arena_region(arena, layout->state_region);
    ES_ASSERT(spectrum != NULL);
    ES_ASSERT(self != NULL);
    struct es_filterbank *bank = (void *)(spectrum + 1);
    es_spectrum_init(spectrum);
    es_filterbank_init(bank, config->bin_count);
    self->config.spectrum = spectrum;
    self->config.bank = bank;
    self->config.floor = config->log_mel_max - 8.0f;
    es_mel_reset(self);
    *mel = self;
}

void es_mel_reset(struct es_mel *mel) {
    memset(&mel->state, 0, sizeof mel->state);
    mel->state.sample_count = LEAD_SAMPLES;
}

size_t es_mel_frames_after(const struct es_mel *mel, size_t sample_count) {
    const size_t missing = ES_MEL_WINDOW - mel->state.sample_count;
    return sample_count < missing ? 0 : (sample_count - missing) / ES_MEL_HOP + 1;
}

static void make_frame(struct es_mel *mel, float *frame) {
    es_spectrum_power(mel->config.spectrum, &mel->scratch.spectrum, mel->state.samples,
                      mel->scratch.power);
    es_filterbank_apply(mel->config.bank, mel->scratch.power, mel->scratch.energies);
    for (uint32_t m = 0; m < mel->config.bank->bin_count; m++) {
        const float level = (float)log10(fmax(mel->scratch.energies[m], 1e-10));
        frame[m] = (fmaxf(level, mel->config.floor) + 4.0f) / 4.0f;
    }
}

size_t es_mel_push(struct es_mel *mel, const float *pcm, size_t sample_count, float *frames) {
    size_t frame_count = 0;
    while (sample_count > 0) {
        const size_t missing = ES_MEL_WINDOW - mel->state.sample_count;
        const size_t taken = sample_count < missing ? sample_count : missing;
        memcpy(mel->state.samples + mel->state.sample_count, pcm, taken * sizeof *pcm);
        mel->state.sample_count += (uint32_t)taken;
        pcm += taken;
        sample_count -= taken;
        if (mel->state.sample_count == ES_MEL_WINDOW) {
            make_frame(mel, frames + frame_count * mel->config.bank->bin_count);
            frame_count++;
            memmove(mel->state.samples, mel->state.samples + ES_MEL_HOP,
                    (ES_MEL_WINDOW - ES_MEL_HOP) * sizeof *pcm);
            mel->state.sample_count = ES_MEL_WINDOW - ES_MEL_HOP;
        }
    }
    return frame_count;
}
