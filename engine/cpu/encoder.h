/* encoder.h - the causal audio encoder: 20 ms frames after the conv stem to normalized frames.
 *
 *   es_encoder_layout(&model, &config, &plan, &layout);
 *   es_encoder_init(&encoder, &model, &config, &layout, &arena, &weights, scratch);
 *   es_encoder_reset(&encoder, first_row);
 *   conv stem writes encoder.stack.x;
 *   frames = es_encoder_push(&encoder, row_count);     [row_count, encoder.dim]
 *
 * A row is position `row` for its rotary phase, from the start of the stream, and sees the last
 * `window` rows through the rings. Engine thread only. */
#pragma once

#include "engine/cpu/transformer.h"

struct es_encoder {
    const struct es_model *model;
    const struct es_weights *weights;
    const struct es_tap *tap;
    struct es_transformer stack; /* configuration and state */
};

void es_encoder_layout(const struct es_model *model, const struct es_backend_config *config,
                       struct es_plan *plan, struct es_transformer_layout *layout);
void es_encoder_init(struct es_encoder *encoder, const struct es_model *model,
                     const struct es_backend_config *config,
                     const struct es_transformer_layout *layout, const struct es_arena *arena,
                     const struct es_weights *weights, void *attention_scratch);
void es_encoder_reset(struct es_encoder *encoder, uint64_t first_row);

/* Takes stack.x [row_count, dim]; the result is valid until the next push. */
const float *es_encoder_push(struct es_encoder *encoder, uint32_t row_count);
