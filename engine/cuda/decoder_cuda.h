/* decoder_cuda.h - the decoder on the GPU: ids and queued embeddings to a choice.
 *
 *   es_cuda_decoder_layout(&model, &config, &plan, &layout);
 *   status = es_cuda_decoder_init(&decoder, &model, &config, ops, &layout, &arena, ...);
 *   status = es_cuda_decoder_condition(&decoder, embedding, &error);       per delay; enqueued
 *   status = es_cuda_decoder_run(&decoder, NULL, 1, &tap, 0, &error);      a step; enqueued
 *
 * All buffers are on the device; a run can be captured. Engine thread only. */
#pragma once

#include "engine/cuda/stack_cuda.h"
#include "engine/cuda/tap_cuda.h"

struct es_cuda_decoder_layout {
    struct es_cuda_stack_layout stack;
    uint32_t head_region;
};

struct es_cuda_decoder {
    const struct es_model *model;
    const struct es_weights *weights;
    struct es_cuda_stack stack;
    struct es_cuda_embedding embedding;
    const struct es_cuda_step_input *input; /* shared */
    struct es_cuda_step_output *output;     /* shared */
    const float *queue;                     /* device [queue_slot_count, dim] */
    uint32_t queue_slot_count;
    /* device */
    float *time;   /* [dim] the delay's embedding */
    float *narrow; /* [ada_dim] */
    float *ada;    /* [layer_count, dim] */
    float *logits; /* [vocab_size] */
};

/* What the decoder borrows from the backend. */
struct es_cuda_decoder_io {
    const struct es_cuda_step_input *input;
    struct es_cuda_step_output *output;
    const float *queue;
    uint32_t queue_slot_count;
};

void es_cuda_decoder_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan, struct es_cuda_decoder_layout *layout);
ES_MUST_CHECK enum es_status
es_cuda_decoder_init(struct es_cuda_decoder *decoder, const struct es_model *model,
                     const struct es_cuda_ops *ops, const struct es_cuda_decoder_layout *layout,
                     const struct es_arena *arena, const struct es_weights *weights,
                     const struct es_cuda_decoder_io *io, uint64_t *staging,
                     struct es_error *error);

/* The ada norms for a delay: embedding, shared [dim] (engine/time_embedding.h), left alone until it
 * ran. Enqueued. */
ES_MUST_CHECK enum es_status es_cuda_decoder_condition(const struct es_cuda_decoder *decoder,
                                                       const float *embedding,
                                                       struct es_error *error);

/* row_count positions: ids (device or shared) [row_count], or NULL and one row for a step that is
 * told its id by the input. first_position is for the tap alone. Enqueued. */
ES_MUST_CHECK enum es_status es_cuda_decoder_run(const struct es_cuda_decoder *decoder,
                                                 const int32_t *ids, uint32_t row_count,
                                                 const struct es_cuda_tap *tap,
                                                 uint64_t first_position, struct es_error *error);
