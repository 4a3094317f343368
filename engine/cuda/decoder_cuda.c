#include "engine/cuda/decoder_cuda.h"

#include "platform/assert.h"
#include "platform/deal.h"

static struct es_cuda_stack_size stack_size(const struct es_model *model) {
    struct es_cuda_stack_size size = {
        .shape = &model->decoder,
        .row_count_max = ES_PROMPT_POSITIONS_MAX,
        .later_row_count_max = 1,
        .kept_count_max = ES_SILENT_POSITIONS,
        .activations_name = "decoder activations",
        .ring_name = "decoder kv ring",
    };
    return size;
}

static void deal_head(struct es_cuda_decoder *decoder, const struct es_model *model,
                      struct es_deal *deal) {
    decoder->time = es_deal_floats(deal, model->decoder.dim);
    decoder->narrow = es_deal_floats(deal, model->ada_dim);
    decoder->ada = es_deal_floats(deal, (size_t)model->decoder.layer_count * model->decoder.dim);
    decoder->logits = es_deal_floats(deal, model->vocab_size);
}

void es_cuda_decoder_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan, struct es_cuda_decoder_layout *layout) {
    struct es_cuda_decoder decoder;
    struct es_deal deal = {NULL, 0};
    deal_head(&decoder, model, &deal);
    layout->head_region =
        es_plan_add(plan, ES_MEM_DEVICE, "delay conditioning and logits", deal.used_bytes);
    struct es_cuda_stack_size size = stack_size(model);
    es_cuda_stack_layout(&size, config->kv_kind, plan, &layout->stack);
}

static void bind_embedding(struct es_cuda_embedding *embedding, const struct es_weights *weights) {
    const struct es_row_blocks *blocks = &weights->embedding_blocks;
    _Static_assert(ES_CUDA_EMBEDDING_BLOCK_COUNT_MAX == ES_EMBEDDING_BLOCK_COUNT_MAX,
                   "the operations take as many blocks as weights come in");
    *embedding = (struct es_cuda_embedding){
        .rows_per_block = blocks->rows_per_block,
        .vocab_size = weights->embedding.out_dim,
        .dim = weights->embedding.in_dim,
        .stride = weights->embedding.stride,
    };
    for (uint32_t i = 0; i < blocks->block_count; i++) {
        embedding->blocks[i] = blocks->blocks[i];
    }
}

enum es_status es_cuda_decoder_init(struct es_cuda_decoder *decoder, const struct es_model *model,
                                    const struct es_cuda_ops *ops,
                                    const struct es_cuda_decoder_layout *layout,
                                    const struct es_arena *arena, const struct es_weights *weights,
                                    const struct es_cuda_decoder_io *io, uint64_t *staging,
                                    struct es_error *error) {
    decoder->model = model;
    decoder->weights = weights;
    decoder->input = io->input;
    decoder->output = io->output;
    decoder->queue = io->queue;
    decoder->queue_slot_count = io->queue_slot_count;
    bind_embedding(&decoder->embedding, weights);
    struct es_deal deal = {es_arena_region(arena, layout->head_region), 0};
    if (deal.base == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "logits: their memory is not reserved; free some memory of the GPU");
    }
    deal_head(decoder, model, &deal);
    struct es_cuda_stack_size size = stack_size(model);
    decoder->stack.position = &ops->state->decoder_position;
    decoder->stack.oldest = &ops->state->decoder_oldest;
    return es_cuda_stack_init(&decoder->stack, &size, ops, &layout->stack, arena, staging, error);
}

enum es_status es_cuda_decoder_condition(const struct es_cuda_decoder *decoder,
                                         const float *embedding, struct es_error *error) {
    const struct es_cuda_ops *ops = decoder->stack.ops;
    uint32_t dim = decoder->model->decoder.dim;
    enum es_status status = es_cuda_copy(ops->cuda, decoder->time, embedding, dim * sizeof(float),
                                         ES_CUDA_TO_DEVICE, error);
    for (uint32_t i = 0; status == ES_OK && i < decoder->model->decoder.layer_count; i++) {
        const struct es_decoder_layer *weights = &decoder->weights->decoder[i];
        const struct es_cuda_project down = {.x = decoder->time,
                                             .x_row_floats = dim,
                                             .row_count = 1,
                                             .w = &weights->ada0,
                                             .has_gelu = true,
                                             .y = decoder->narrow};
        const struct es_cuda_project up = {.x = decoder->narrow,
                                           .x_row_floats = decoder->model->ada_dim,
                                           .row_count = 1,
                                           .w = &weights->ada2,
                                           .y = decoder->ada + (size_t)i * dim};
        status = es_cuda_project(ops, &down, error);
        if (status == ES_OK) {
            status = es_cuda_project(ops, &up, error);
        }
    }
    return status;
}

static enum es_status run_layers(const struct es_cuda_decoder *decoder, uint32_t row_count,
                                 const struct es_cuda_tap *tap, uint64_t first_position,
                                 struct es_error *error) {
    const struct es_stack *shape = &decoder->model->decoder;
    const struct es_cuda_stack *stack = &decoder->stack;
    enum es_status status = ES_OK;
    for (uint32_t i = 0; status == ES_OK && i < shape->layer_count; i++) {
        const struct es_layer layer = es_layer_of_decoder(&decoder->weights->decoder[i],
                                                          decoder->ada + (size_t)i * shape->dim);
        const bool is_last = i + 1u == shape->layer_count;
        const struct es_layer next = es_layer_of_decoder(
            &decoder->weights->decoder[is_last ? i : i + 1u], NULL); /* q, k and v have no ada */
        status = es_cuda_stack_layer(stack, i, &layer, is_last ? NULL : &next, row_count, error);
        if (status == ES_OK) {
            status = es_cuda_tap_rows(tap, ES_STAGE_DECODER_LAYER, i, first_position, stack->x,
                                      row_count, shape->dim, error);
        }
    }
    return status;
}

/* The choice norms its own row; the tap wants all of them. */
static enum es_status tap_normed(const struct es_cuda_decoder *decoder, uint32_t row_count,
                                 const struct es_cuda_tap *tap, uint64_t first_position,
                                 struct es_error *error) {
    const struct es_cuda_stack *stack = &decoder->stack;
    if (tap->tap == NULL) {
        return ES_OK;
    }
    const struct es_cuda_norm norm = {.x = stack->x,
                                      .norm = decoder->weights->decoder_norm,
                                      .norm_eps = stack->shape->norm_eps,
                                      .row_count = row_count,
                                      .dim = stack->shape->dim,
                                      .y = stack->normed};
    enum es_status status = es_cuda_norm(stack->ops, &norm, error);
    if (status != ES_OK) {
        return status;
    }
    return es_cuda_tap_rows(tap, ES_STAGE_DECODER, 0, first_position, stack->normed, row_count,
                            stack->shape->dim, error);
}

enum es_status es_cuda_decoder_run(const struct es_cuda_decoder *decoder, const int32_t *ids,
                                   uint32_t row_count, const struct es_cuda_tap *tap,
                                   uint64_t first_position, struct es_error *error) {
    const struct es_stack *shape = &decoder->model->decoder;
    const struct es_cuda_stack *stack = &decoder->stack;
    ES_ASSERT(row_count >= 1 && (ids != NULL || row_count == 1));
    const struct es_cuda_embed embed = {
        .embedding = &decoder->embedding,
        .input = decoder->input,
        .ids = ids,
        .row_count = row_count,
        .queue = decoder->queue,
        .queue_slot_count = decoder->queue_slot_count,
        .x = stack->x,
    };
    enum es_status status = es_cuda_embed(stack->ops, &embed, error);
    if (status == ES_OK) {
        status = es_cuda_tap_rows(tap, ES_STAGE_DECODER_INPUT, 0, first_position, stack->x,
                                  row_count, shape->dim, error);
    }
    if (status == ES_OK) {
        status = run_layers(decoder, row_count, tap, first_position, error);
    }
    if (status == ES_OK) {
        status = tap_normed(decoder, row_count, tap, first_position, error);
    }
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_choose choose = {
        .x = stack->x + (size_t)(row_count - 1u) * shape->dim,
        .norm = decoder->weights->decoder_norm,
        .norm_eps = shape->norm_eps,
        .embedding = &decoder->embedding,
        .input = decoder->input,
        .output = decoder->output,
        .logits = decoder->logits,
        .advance_count = row_count,
    };
    status = es_cuda_choose(stack->ops, &choose, error);
    if (status != ES_OK) {
        return status;
    }
    return es_cuda_tap_rows(tap, ES_STAGE_LOGITS, 0, first_position + row_count - 1u,
                            decoder->logits, 1, decoder->model->vocab_size, error);
}
