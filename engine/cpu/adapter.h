/* adapter.h - encoder frames to audio embeddings, and the queue in which they wait for the decoder.
 *
 *   region = es_adapter_layout(&model, &config, &plan);
 *   es_adapter_init(&adapter, &model, &config, region, &arena, &weights);
 *   es_adapter_reset(&adapter, first_position);
 *   status = es_adapter_push(&adapter, frames, position_count, &error);
 *   es_adapter_take(&adapter, x);      x [decoder.dim] += the oldest embedding
 *
 * One embedding per position: `downsample` consecutive frames side by side, linear, erf-GELU,
 * linear. Engine thread only. */
#pragma once

#include "engine/backend.h"

struct es_adapter {
    /* configuration */
    const struct es_model *model;
    const struct es_weights *weights;
    struct es_pool *pool;
    const struct es_tap *tap;
    uint32_t slot_count;
    float *hidden; /* [encode_positions_max, decoder.dim] */
    float *fresh;  /* [encode_positions_max, decoder.dim] before they enter the queue */
    float *queue;  /* [slot_count, decoder.dim] ring */
    /* state */
    uint64_t pushed_count; /* positions, from the start position on */
    uint64_t taken_count;  /* <= pushed_count */
};

uint32_t es_adapter_layout(const struct es_model *model, const struct es_backend_config *config,
                           struct es_plan *plan);
void es_adapter_init(struct es_adapter *adapter, const struct es_model *model,
                     const struct es_backend_config *config, uint32_t region,
                     const struct es_arena *arena, const struct es_weights *weights);
void es_adapter_reset(struct es_adapter *adapter, uint64_t first_position);

uint32_t es_adapter_waiting_count(const struct es_adapter *adapter);

/* frames [position_count * downsample, encoder.dim]; they must fit into the queue. ES_ERR_INPUT
 * when an embedding is not finite. */
ES_MUST_CHECK enum es_status es_adapter_push(struct es_adapter *adapter, const float *frames,
                                             uint32_t position_count, struct es_error *error);

/* x [decoder.dim] += the oldest waiting embedding, which leaves the queue. One must wait. */
void es_adapter_take(struct es_adapter *adapter, float *x);
