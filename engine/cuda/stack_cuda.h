/* stack_cuda.h - what encoder and decoder share on the GPU: activations, rings, one layer.
 *
 *   es_cuda_stack_layout(&size, kind, &plan, &layout);
 *   status = es_cuda_stack_init(&stack, &size, ops, &layout, &arena, &error);
 *   status = es_cuda_stack_layer(&stack, layer_index, &layer, &next, rows, &error);  enqueued
 *
 * Rows are positions *position, *position + 1, ...: on the device, moved on by who owns the stack.
 * Engine thread only. */
#pragma once

#include "engine/cuda/rings.h"
#include "engine/layer.h"

struct es_cuda_stack_size {
    const struct es_stack *shape; /* borrowed */
    uint32_t row_count_max;       /* rows of one run */
    uint32_t later_row_count_max; /* rows of a run that has older ones: sizes the rings */
    uint32_t kept_count_max;      /* rows of silence that are kept */
    const char *activations_name;
    const char *ring_name;
};

struct es_cuda_stack_layout {
    uint32_t activations_region;
    struct es_cuda_rings_layout rings;
};

struct es_cuda_stack {
    const struct es_stack *shape;
    const struct es_cuda_ops *ops; /* borrowed */
    uint32_t row_count_max;
    struct es_cuda_rings rings;
    const uint64_t *position, *oldest; /* device: in the stream's state */
    /* device */
    uint64_t *turns; /* [head_dim / 2] */
    float *x;        /* [row_count_max, dim] residual stream */
    float *q;        /* [row_count_max, head_count * head_dim] */
    float *attended; /* the same */
    float *hidden;   /* [row_count_max, hidden_dim] */
    float *normed;   /* [row_count_max, dim] */
    float *squares;  /* [dim / 8] */
};

void es_cuda_stack_layout(const struct es_cuda_stack_size *size, enum es_mem_kind kv_kind,
                          struct es_plan *plan, struct es_cuda_stack_layout *layout);

/* Binds, clears tickets and padding, uploads the rotary turns: `staging` [head_dim / 2] is shared
 * memory that the caller leaves alone until the stream has been waited for. */
ES_MUST_CHECK enum es_status
es_cuda_stack_init(struct es_cuda_stack *stack, const struct es_cuda_stack_size *size,
                   const struct es_cuda_ops *ops, const struct es_cuda_stack_layout *layout,
                   const struct es_arena *arena, uint64_t *staging, struct es_error *error);

/* x -> x, one layer further. Layers in order; `next` is the one behind, NULL behind the last: with
 * ops->joins_layers q, k and v of a single row are made in the same kernel. */
ES_MUST_CHECK enum es_status es_cuda_stack_layer(const struct es_cuda_stack *stack,
                                                 uint32_t layer_index, const struct es_layer *layer,
                                                 const struct es_layer *next, uint32_t row_count,
                                                 struct es_error *error);
