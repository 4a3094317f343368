/* transformer.h - what encoder and decoder have in common: one layer over ring caches.
 *
 *   es_transformer_layout(&size, &plan, &layout);             activations and rings
 *   es_transformer_init(&stack, &size, pool, &layout, &arena, scratch);
 *   es_transformer_reset(&stack, first_position);
 *   es_transformer_begin(&stack, row_count);                  rotary phases of these rows
 *   es_transformer_layer(&stack, layer_index, &layer);        stack.x -> stack.x, per layer
 *   es_transformer_end(&stack);                               the positions are used up
 *
 * What a layer computes stands in engine/layer.h. The rings hold rotated keys and values,
 * [kv_head][slot][head_dim] per layer; position p lives in slot p % slot_count, so that nothing
 * ever moves. Engine thread only. */
#pragma once

#include "engine/backend.h"
#include "engine/layer.h"
#include "engine/rope.h"

/* What es_transformer_layout needs beside the shape. */
struct es_transformer_size {
    const struct es_stack *shape;
    uint32_t row_count_max;       /* rows of one run, at any time */
    uint32_t first_row_count_max; /* rows of the first run after a reset, >= row_count_max */
    const char *activations_name; /* of the regions */
    const char *ring_name;
};

struct es_transformer_layout {
    uint32_t activations_region;
    uint32_t ring_region;
};

struct es_transformer {
    /* configuration */
    const struct es_stack *shape;
    struct es_pool *pool;
    void *attention_scratch; /* es_attention_scratch_bytes; may be shared between stacks */
    struct es_rope rope;
    uint32_t row_count_max; /* of any run, the first included */
    uint32_t slot_count;
    float *ring;     /* [layer_count, 2 (keys, values), kv_head_count, slot_count, head_dim] */
    float *x;        /* [row_count_max, dim] the residual stream: the caller's to fill and read */
    float *normed;   /* [row_count_max, dim] free between layers */
    float *q;        /* [row_count_max, head_count, head_dim] */
    float *k;        /* [row_count_max, kv_head_count, head_dim] before they enter the ring */
    float *v;        /* as k */
    float *attended; /* as q */
    float *gate;     /* [row_count_max, hidden_dim] */
    float *up;       /* as gate */
    float *cos_sin;  /* [row_count_max, head_dim / 2, 2] */
    /* state */
    uint64_t position;        /* of the next row */
    uint64_t oldest_position; /* where this stream began */
    uint32_t row_count;       /* of the run that was begun */
};

void es_transformer_layout(const struct es_transformer_size *size, struct es_plan *plan,
                           struct es_transformer_layout *layout);
void es_transformer_init(struct es_transformer *stack, const struct es_transformer_size *size,
                         struct es_pool *pool, const struct es_transformer_layout *layout,
                         const struct es_arena *arena, void *attention_scratch);

/* The rings are not wiped: nothing before first_position is ever read. */
void es_transformer_reset(struct es_transformer *stack, uint64_t first_position);

void es_transformer_begin(struct es_transformer *stack, uint32_t row_count);
void es_transformer_layer(struct es_transformer *stack, uint32_t layer_index,
                          const struct es_layer *layer);
void es_transformer_end(struct es_transformer *stack);
