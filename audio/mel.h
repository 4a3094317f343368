/* mel.h - 16 kHz mono PCM to log-mel frames, incrementally.
 *
 *   es_mel_layout(&config, &plan, &layout);           declare every byte
 *   es_mel_init(&mel, &config, &layout, &arena);      bind and precompute; never allocates
 *   n = es_mel_push(&mel, pcm, count, frames);        frames written
 *   es_mel_reset(&mel);                               new stream, same configuration
 *
 * Frame t is the spectrum of samples 160 t - 200 .. 160 t + 199 (zeros before the stream began); it
 * comes out as soon as its last sample is in. Periodic Hann window 400, DFT of exactly 400, Slaney
 * filters, log10, floor at log_mel_max - 8, (x + 4) / 4. Equal to transformers'
 * VoxtralRealtimeFeatureExtractor and mistral-common audio.py however the samples are cut. Not
 * thread-safe: the engine thread owns it. */
#pragma once

#include "platform/arena.h"

#include <stddef.h>
#include <stdint.h>

#define ES_MEL_HOP 160u    /* samples: 10 ms */
#define ES_MEL_WINDOW 400u /* samples: 25 ms */

struct es_mel_config {
    uint32_t bin_count; /* 128 */
    float log_mel_max;  /* 1.5 */
};

struct es_mel_layout {
    uint32_t filter_region;
    uint32_t state_region;
};

struct es_mel; /* lives in the arena */

void es_mel_layout(const struct es_mel_config *config, struct es_plan *plan,
                   struct es_mel_layout *layout);
void es_mel_init(struct es_mel **mel, const struct es_mel_config *config,
                 const struct es_mel_layout *layout, const struct es_arena *arena);
void es_mel_reset(struct es_mel *mel);

/* How many frames a push of `sample_count` would give. */
size_t es_mel_frames_after(const struct es_mel *mel, size_t sample_count);

/* pcm [sample_count] f32 in -1..1; frames [es_mel_frames_after(...), bin_count] f32 is written,
 * frame after frame. Returns the number of frames. */
size_t es_mel_push(struct es_mel *mel, const float *pcm, size_t sample_count, float *frames);
