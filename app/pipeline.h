/* pipeline.h - samples in, tokens out: mel and stream behind one push, padding included.
 *
 *   es_pipeline_layout(&model, encode_positions_max, &plan, &layout);
 *   es_pipeline_init(&pipeline, &model, encode_positions_max, ops, backend, &layout, &arena);
 *   es_pipeline_start(&pipeline, &options, &error);          32 positions of silence before
 *   es_pipeline_push(&pipeline, samples, count, &error);     any count
 *   es_pipeline_finish(&pipeline, &error);                   delay + 11 positions of silence after
 *
 * A recording of n samples thus becomes N = 32 + ceil(n / 1280) + delay + 11 whole positions, and
 * ceil(n / 1280) + 11 tokens. The silence at the end goes through the encoder as audio: words still
 * inside the delay come out. One thread. */
#pragma once

#include "audio/mel.h"
#include "engine/stream.h"

struct es_pipeline_options {
    struct es_stream_options stream;
    /* Sees the mel frames [frame_count, mel_bin_count] just before the stream does; may be NULL.
     * Gets the context of `stream`. */
    void (*on_frames)(void *context, const float *frames, size_t frame_count, uint32_t bin_count);
};

struct es_pipeline_layout {
    struct es_mel_layout mel;
    struct es_stream_layout stream;
    uint32_t pcm_region;
    uint32_t frames_region;
};

struct es_pipeline {
    /* configuration */
    uint32_t bin_count;
    uint32_t block_samples; /* what one pass through mel takes: encode_positions_max positions */
    struct es_mel *mel;
    struct es_stream stream;
    struct es_pipeline_options options;
    float *pcm;    /* [block_samples] for the caller to read into */
    float *frames; /* [block_samples / ES_MEL_HOP + 2, bin_count] */
    /* state, cleared by start */
    uint64_t sample_count; /* pushed, padding not counted */
};

void es_pipeline_layout(const struct es_model *model, uint32_t encode_positions_max,
                        struct es_plan *plan, struct es_pipeline_layout *layout);
void es_pipeline_init(struct es_pipeline *pipeline, const struct es_model *model,
                      uint32_t encode_positions_max, const struct es_backend_ops *ops,
                      struct es_backend *backend, const struct es_pipeline_layout *layout,
                      const struct es_arena *arena);

/* A new stream. `options` is copied. */
ES_MUST_CHECK enum es_status es_pipeline_start(struct es_pipeline *pipeline,
                                               const struct es_pipeline_options *options,
                                               struct es_error *error);

/* pcm [sample_count] f32, 16 kHz. */
ES_MUST_CHECK enum es_status es_pipeline_push(struct es_pipeline *pipeline, const float *pcm,
                                              size_t sample_count, struct es_error *error);

/* The end of the audio: completes the last position and gives out every token that is due. */
ES_MUST_CHECK enum es_status es_pipeline_finish(struct es_pipeline *pipeline,
                                                struct es_error *error);
