#include "engine/cpu/decoder.h"

#include "engine/cpu/kernels.h"
#include "engine/tokenizer.h"
#include "platform/assert.h"

#include <inttypes.h>
#include <math.h>

static struct es_transformer_size stack_size(const struct es_model *model) {
    struct es_transformer_size size = {
        .shape = &model->decoder,
        .row_count_max = 1,
        .first_row_count_max = ES_PROMPT_POSITIONS_MAX,
        .activations_name = "decoder activations",
        .ring_name = "decoder kv ring",
    };
    return size;
}

void es_decoder_layout(const struct es_model *model, struct es_plan *plan,
                       struct es_decoder_layout *layout) {
    struct es_transformer_size size = stack_size(model);
    es_transformer_layout(&size, plan, &layout->stack);
    layout->conditioning_region = es_conditioning_layout(model, plan);
    layout->logits_region =
        es_plan_add(plan, ES_MEM_HOST, "logits", model->vocab_size * sizeof(float));
}

void es_decoder_init(struct es_decoder *decoder, const struct es_model *model,
                     const struct es_backend_config *config, const struct es_decoder_layout *layout,
                     const struct es_arena *arena, const struct es_weights *weights,
                     void *attention_scratch) {
    decoder->model = model;
    decoder->weights = weights;
    decoder->pool = config->pool;
    decoder->tap = config->tap;
    decoder->logits = es_arena_region(arena, layout->logits_region);
    es_conditioning_init(&decoder->conditioning, model, config->pool, layout->conditioning_region,
                         arena, weights);
    struct es_transformer_size size = stack_size(model);
    es_transformer_init(&decoder->stack, &size, config->pool, &layout->stack, arena,
                        attention_scratch);
}

void es_decoder_reset(struct es_decoder *decoder, uint32_t delay_positions,
                      uint64_t first_position) {
    es_transformer_reset(&decoder->stack, first_position);
    es_conditioning_reset(&decoder->conditioning, delay_positions);
}

static enum es_status fill_input(struct es_decoder *decoder, const int32_t *ids, uint32_t id_count,
                                 struct es_adapter *adapter, struct es_error *error) {
    struct es_transformer *stack = &decoder->stack;
    uint32_t dim = decoder->model->decoder.dim;
    for (uint32_t r = 0; r < id_count; r++) {
        if (ids[r] < 0 || (uint32_t)ids[r] >= decoder->model->vocab_size) {
            return es_fail(error, ES_ERR_INPUT,
                           "id %" PRId32 " at position %" PRIu64
                           ": is not in the vocabulary; give an id of 0..%" PRIu32,
                           ids[r], stack->position + r, decoder->model->vocab_size - 1);
        }
    }
    for (uint32_t r = 0; r < id_count; r++) {
        float *row = stack->x + (size_t)r * dim;
        es_matrix_row(&decoder->weights->embedding, (uint32_t)ids[r], row);
        es_adapter_take(adapter, row);
    }
    es_tap_rows(decoder->tap, ES_STAGE_DECODER_INPUT, 0, stack->position, stack->x, id_count, dim);
    return ES_OK;
}

static void run_layers(struct es_decoder *decoder, uint32_t row_count) {
    const struct es_stack *shape = &decoder->model->decoder;
    struct es_transformer *stack = &decoder->stack;
    es_transformer_begin(stack, row_count);
    for (uint32_t i = 0; i < shape->layer_count; i++) {
        const struct es_layer layer = es_layer_of_decoder(
            &decoder->weights->decoder[i], es_conditioning_layer(&decoder->conditioning, i));
        es_transformer_layer(stack, i, &layer);
        es_tap_rows(decoder->tap, ES_STAGE_DECODER_LAYER, i, stack->position, stack->x, row_count,
                    shape->dim);
    }
    es_transformer_end(stack);
    es_rmsnorm(stack->x, decoder->weights->decoder_norm, shape->norm_eps, NULL, row_count,
               shape->dim, stack->normed);
}

static bool row_is_finite(const float *row, uint32_t dim) {
    for (uint32_t i = 0; i < dim; i++) {
        if (!isfinite(row[i])) {
            return false;
        }
    }
    return true;
}

static enum es_status choose(struct es_decoder *decoder, const float *row, uint64_t position,
                             float streaming_pad_bias, struct es_choice *choice,
                             struct es_error *error) {
    const struct es_model *model = decoder->model;
    es_linear(decoder->pool, &decoder->weights->embedding, row, 1, NULL, NULL, decoder->logits);
    es_tap_rows(decoder->tap, ES_STAGE_LOGITS, 0, position, decoder->logits, 1, model->vocab_size);
    if (model->vocab_size > ES_ID_STREAMING_PAD) {
        decoder->logits[ES_ID_STREAMING_PAD] += streaming_pad_bias;
    }
    es_argmax(decoder->logits, model->vocab_size, &choice->id, &choice->margin);
    if (!row_is_finite(row, model->decoder.dim) || !isfinite(decoder->logits[choice->id])) {
        return es_fail(error, ES_ERR_INPUT,
                       "decoder position %" PRIu64
                       ": the result is not a finite number; the model's weights are damaged, "
                       "fetch the model again",
                       position);
    }
    return ES_OK;
}

enum es_status es_decoder_push(struct es_decoder *decoder, const int32_t *ids, uint32_t id_count,
                               struct es_adapter *adapter, float streaming_pad_bias,
                               struct es_choice *choice, struct es_error *error) {
    struct es_transformer *stack = &decoder->stack;
    uint32_t dim = decoder->model->decoder.dim;
    uint64_t first_position = stack->position;
    ES_ASSERT(id_count >= 1);
    ES_ASSERT(id_count == 1 || first_position == stack->oldest_position);
    ES_ASSERT(id_count <= ES_PROMPT_POSITIONS_MAX);

    enum es_status status = fill_input(decoder, ids, id_count, adapter, error);
    if (status != ES_OK) {
        return status;
    }
    run_layers(decoder, id_count);
    es_tap_rows(decoder->tap, ES_STAGE_DECODER, 0, first_position, stack->normed, id_count, dim);
    return choose(decoder, stack->normed + (size_t)(id_count - 1) * dim,
                  first_position + id_count - 1, streaming_pad_bias, choice, error);
}
