#include "engine/cpu/encoder.h"

#include "engine/cpu/kernels.h"

static struct es_transformer_size stack_size(const struct es_model *model,
                                             const struct es_backend_config *config) {
    uint32_t row_count_max = config->encode_positions_max * model->downsample;
    struct es_transformer_size size = {
        .shape = &model->encoder,
        .row_count_max = row_count_max,
        .first_row_count_max = row_count_max,
        .activations_name = "encoder activations",
        .ring_name = "encoder kv ring",
    };
    return size;
}

void es_encoder_layout(const struct es_model *model, const struct es_backend_config *config,
                       struct es_plan *plan, struct es_transformer_layout *layout) {
    struct es_transformer_size size = stack_size(model, config);
    es_transformer_layout(&size, plan, layout);
}

void es_encoder_init(struct es_encoder *encoder, const struct es_model *model,
                     const struct es_backend_config *config,
                     const struct es_transformer_layout *layout, const struct es_arena *arena,
                     const struct es_weights *weights, void *attention_scratch) {
    encoder->model = model;
    encoder->weights = weights;
    encoder->tap = config->tap;
    struct es_transformer_size size = stack_size(model, config);
    es_transformer_init(&encoder->stack, &size, config->pool, layout, arena, attention_scratch);
}

void es_encoder_reset(struct es_encoder *encoder, uint64_t first_row) {
    es_transformer_reset(&encoder->stack, first_row);
}

const float *es_encoder_push(struct es_encoder *encoder, uint32_t row_count) {
    const struct es_stack *shape = &encoder->model->encoder;
    struct es_transformer *stack = &encoder->stack;
    uint64_t first_row = stack->position;

    es_transformer_begin(stack, row_count);
    for (uint32_t i = 0; i < shape->layer_count; i++) {
        const struct es_layer layer = es_layer_of_encoder(&encoder->weights->encoder[i]);
        es_transformer_layer(stack, i, &layer);
        es_tap_rows(encoder->tap, ES_STAGE_ENCODER_LAYER, i, first_row, stack->x, row_count,
                    shape->dim);
    }
    es_transformer_end(stack);

    es_rmsnorm(stack->x, encoder->weights->encoder_norm, shape->norm_eps, NULL, row_count,
               shape->dim, stack->normed);
    es_tap_rows(encoder->tap, ES_STAGE_ENCODER, 0, first_row, stack->normed, row_count, shape->dim);
    return stack->normed;
}
