/* decoder.h - the text decoder: one id per 80 ms position.
 *
 *   es_decoder_layout(&model, &config, &plan, &layout);
 *   es_decoder_init(&decoder, &model, &config, &layout, &arena, &weights, scratch);
 *   es_decoder_reset(&decoder, delay_positions, first_position);
 *   status = es_decoder_push(&decoder, ids, id_count, &adapter, bias, &choice, &error);
 *
 * Input at a position = embedding of its id + its audio embedding. The head is the embedding matrix
 * again. Only the last row of a push reaches the head. Engine thread only. */
#pragma once

#include "engine/cpu/adapter.h"
#include "engine/cpu/conditioning.h"
#include "engine/cpu/transformer.h"

struct es_decoder_layout {
    struct es_transformer_layout stack;
    uint32_t conditioning_region;
    uint32_t logits_region;
};

struct es_decoder {
    const struct es_model *model;
    const struct es_weights *weights;
    struct es_pool *pool;
    const struct es_tap *tap;
    float *logits; /* [vocab_size] */
    struct es_conditioning conditioning;
    struct es_transformer stack; /* configuration and state */
};

void es_decoder_layout(const struct es_model *model, struct es_plan *plan,
                       struct es_decoder_layout *layout);
void es_decoder_init(struct es_decoder *decoder, const struct es_model *model,
                     const struct es_backend_config *config, const struct es_decoder_layout *layout,
                     const struct es_arena *arena, const struct es_weights *weights,
                     void *attention_scratch);
void es_decoder_reset(struct es_decoder *decoder, uint32_t delay_positions,
                      uint64_t first_position);

/* ids [id_count]: 1..ES_PROMPT_POSITIONS_MAX in the first push after a reset, 1 in the others.
 * Takes id_count embeddings from the adapter. *choice is made from the last row's logits, with
 * streaming_pad_bias added to that of id 32. ES_ERR_INPUT, before anything is consumed, for an id
 * outside the vocabulary; ES_ERR_INPUT when a result is not finite: the stream is then over. */
ES_MUST_CHECK enum es_status es_decoder_push(struct es_decoder *decoder, const int32_t *ids,
                                             uint32_t id_count, struct es_adapter *adapter,
                                             float streaming_pad_bias, struct es_choice *choice,
                                             struct es_error *error);
