/* conditioning.h - what the delay does to the decoder: one factor per layer and channel.
 *
 *   region = es_conditioning_layout(&model, &plan);
 *   es_conditioning_init(&conditioning, &model, pool, region, &arena, &weights);
 *   es_conditioning_reset(&conditioning, delay_positions);
 *   es_rmsnorm(x, layer->ffn_norm, eps, es_conditioning_layer(&conditioning, layer_index), ...);
 *
 * ada = A2 * gelu(A0 * t), t = the time embedding of the delay (engine/time_embedding.h). Constant
 * for a stream, so it is computed once per reset. Source: docs/MODEL.md. */
#pragma once

#include "engine/weights.h"
#include "platform/pool.h"

struct es_conditioning {
    /* configuration */
    const struct es_model *model;
    const struct es_weights *weights;
    struct es_pool *pool;
    float *embedding; /* [decoder.dim] t */
    float *narrow;    /* [ada_dim] */
    /* state */
    float *ada; /* [decoder.layer_count, decoder.dim] */
};

uint32_t es_conditioning_layout(const struct es_model *model, struct es_plan *plan);
void es_conditioning_init(struct es_conditioning *conditioning, const struct es_model *model,
                          struct es_pool *pool, uint32_t region, const struct es_arena *arena,
                          const struct es_weights *weights);
void es_conditioning_reset(struct es_conditioning *conditioning, uint32_t delay_positions);

/* [decoder.dim], valid until the next reset. */
const float *es_conditioning_layer(const struct es_conditioning *conditioning,
                                   uint32_t layer_index);
