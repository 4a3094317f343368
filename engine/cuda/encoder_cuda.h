/* encoder_cuda.h - conv stem, encoder and adapter on the GPU: mel frames to queued embeddings.
 *
 *   es_cuda_encoder_layout(&model, &config, &plan, &layout);
 *   status = es_cuda_encoder_init(&encoder, &model, &config, ops, &layout, &arena, ...);
 *   status = es_cuda_encoder_run(&encoder, mel, position_count, &tap, 0, &error);     enqueued
 *
 * All buffers are on the device; a run can be captured. Engine thread only. */
#pragma once

#include "engine/cuda/stack_cuda.h"
#include "engine/cuda/tap_cuda.h"

struct es_cuda_encoder_layout {
    struct es_cuda_stack_layout stack;
    uint32_t stem_region;
    uint32_t kept_region;
};

struct es_cuda_encoder {
    const struct es_model *model;
    const struct es_weights *weights;
    struct es_cuda_stack stack;
    uint32_t queue_slot_count;
    float *mel_frames; /* [2 + frames, mel_bin_count]: the first two rows are history */
    float *conv0_rows; /* [1 + frames, encoder.dim]: the first row is history */
    float *hidden;     /* [positions, decoder.dim] adapter */
    float *queue;      /* [queue_slot_count, decoder.dim] */
    float *kept;       /* the histories behind the silence */
};

uint32_t es_cuda_queue_slot_count(const struct es_backend_config *config);
void es_cuda_encoder_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan, struct es_cuda_encoder_layout *layout);
ES_MUST_CHECK enum es_status
es_cuda_encoder_init(struct es_cuda_encoder *encoder, const struct es_model *model,
                     const struct es_backend_config *config, const struct es_cuda_ops *ops,
                     const struct es_cuda_encoder_layout *layout, const struct es_arena *arena,
                     const struct es_weights *weights, uint64_t *staging, struct es_error *error);

/* What lies before the stream is zero. Enqueued, as the next three. */
ES_MUST_CHECK enum es_status es_cuda_encoder_clear(const struct es_cuda_encoder *encoder,
                                                   struct es_error *error);

/* Keeps rings and histories as they are behind `position_count` positions of silence from
 * first_position on; restores them. */
ES_MUST_CHECK enum es_status es_cuda_encoder_keep(struct es_cuda_encoder *encoder,
                                                  uint64_t first_position, uint32_t position_count,
                                                  struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_encoder_restore(const struct es_cuda_encoder *encoder,
                                                     struct es_error *error);

/* mel: shared [position_count * frames_per_position, mel_bin_count], left alone until it ran.
 * first_position and written_count (positions encoded before since reset) are for the tap alone. */
ES_MUST_CHECK enum es_status es_cuda_encoder_run(const struct es_cuda_encoder *encoder,
                                                 const float *mel, uint32_t position_count,
                                                 const struct es_cuda_tap *tap,
                                                 uint64_t first_position, uint64_t written_count,
                                                 struct es_error *error);
