#include "engine/cuda/stack_cuda.h"

#include "engine/rope.h"
#include "platform/assert.h"
#include "platform/deal.h"

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* A run needs the keys of window - 1 older positions beside its own rows. The first run after a
 * reset has nothing older than itself and the silence, row_count_max positions together at most,
 * and a window that is wider shows no more than those: that is why a prompt of 63 positions adds
 * nothing to a window of 8192. */
static uint32_t slot_count(const struct es_cuda_stack_size *size) {
    uint32_t first = size->row_count_max;
    return larger(size->shape->window - 1u + size->later_row_count_max,
                  smaller(size->shape->window, first) - 1u + first);
}

static struct es_cuda_rings_size rings_size(const struct es_cuda_stack_size *size) {
    struct es_cuda_rings_size rings = {
        .shape = size->shape,
        .slot_count = slot_count(size),
        .kept_count_max = smaller(size->kept_count_max, slot_count(size)),
        .name = size->ring_name,
    };
    return rings;
}

static void deal_buffers(struct es_cuda_stack *stack, const struct es_cuda_stack_size *size,
                         struct es_deal *deal) {
    const struct es_stack *shape = size->shape;
    size_t rows = size->row_count_max;
    size_t q_width = (size_t)shape->head_count * shape->head_dim;
    stack->turns = es_deal_bytes(deal, shape->head_dim / 2u * sizeof *stack->turns);
    stack->x = es_deal_floats(deal, rows * shape->dim);
    stack->q = es_deal_floats(deal, rows * q_width);
    stack->attended = es_deal_floats(deal, rows * q_width);
    stack->hidden = es_deal_floats(deal, rows * shape->hidden_dim);
    stack->normed = es_deal_floats(deal, rows * shape->dim);
    stack->squares = es_deal_floats(deal, shape->dim / 8u);
}

void es_cuda_stack_layout(const struct es_cuda_stack_size *size, enum es_mem_kind kv_kind,
                          struct es_plan *plan, struct es_cuda_stack_layout *layout) {
    struct es_cuda_stack stack;
    struct es_deal deal = {NULL, 0};
    deal_buffers(&stack, size, &deal);
    layout->activations_region =
        es_plan_add(plan, ES_MEM_DEVICE, size->activations_name, deal.used_bytes);
    struct es_cuda_rings_size rings = rings_size(size);
    es_cuda_rings_layout(&rings, kv_kind, plan, &layout->rings);
}

enum es_status
es_cuda_stack_init(struct es_cuda_stack *stack, const struct es_cuda_stack_size *size,
                   const struct es_cuda_ops *ops, const struct es_cuda_stack_layout *layout,
                   const struct es_arena *arena, uint64_t *staging, struct es_error *error) {
    stack->shape = size->shape;
    stack->ops = ops;
    stack->row_count_max = size->row_count_max;
    struct es_deal deal = {es_arena_region(arena, layout->activations_region), 0};
    if (deal.base == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: their memory is not reserved; free some memory of the GPU",
                       size->activations_name);
    }
    deal_buffers(stack, size, &deal);
    struct es_cuda_rings_size rings = rings_size(size);
    enum es_status status = es_cuda_rings_init(&stack->rings, &rings, &layout->rings, arena, error);
    if (status != ES_OK) {
        return status;
    }
    struct es_rope rope;
    es_rope_init(&rope, size->shape->head_dim, size->shape->rope_theta, staging);
    return es_cuda_copy(ops->cuda, stack->turns, staging,
                        size->shape->head_dim / 2u * sizeof *staging, ES_CUDA_TO_DEVICE, error);
}

static struct es_cuda_qkv qkv_of(const struct es_cuda_stack *stack, uint32_t layer_index,
                                 const struct es_layer *layer, uint32_t row_count) {
    const struct es_stack *shape = stack->shape;
    const struct es_cuda_rings *rings = &stack->rings;
    return (struct es_cuda_qkv){
        .x = stack->x,
        .norm = layer->attention_norm,
        .norm_eps = shape->norm_eps,
        .row_count = row_count,
        .wq = layer->wq,
        .wk = layer->wk,
        .wv = layer->wv,
        .wq_bias = layer->wq_bias,
        .wv_bias = layer->wv_bias,
        .turns = stack->turns,
        .position = stack->position,
        .head_count = shape->head_count,
        .kv_head_count = shape->kv_head_count,
        .head_dim = shape->head_dim,
        .q = stack->q,
        .keys = es_cuda_rings_keys(rings, layer_index),
        .values = es_cuda_rings_values(rings, layer_index),
        .head_stride = rings->head_stride,
        .slot_count = rings->slot_count,
    };
}

static enum es_status attend(const struct es_cuda_stack *stack, uint32_t layer_index,
                             uint32_t row_count, bool is_split, struct es_error *error) {
    const struct es_stack *shape = stack->shape;
    const struct es_cuda_rings *rings = &stack->rings;
    /* See slot_count: where the window is too wide for the ring, no row sees beyond this run. */
    const struct es_cuda_attention attention = {
        .q = stack->q,
        .keys = es_cuda_rings_keys(rings, layer_index),
        .values = es_cuda_rings_values(rings, layer_index),
        .position = stack->position,
        .oldest = stack->oldest,
        .row_count = row_count,
        .head_count = shape->head_count,
        .kv_head_count = shape->kv_head_count,
        .head_dim = shape->head_dim,
        .head_stride = rings->head_stride,
        .window = smaller(shape->window, rings->slot_count + 1u - row_count),
        .slot_count = rings->slot_count,
        .out = is_split ? NULL : stack->attended,
        .split = is_split ? (uint16_t *)(void *)stack->attended : NULL,
    };
    return es_cuda_attention(stack->ops, &attention, error);
}

/* Split activations take as many bytes as f32 ones, and no run has them both ways. */
static struct es_cuda_layer joined_of(const struct es_cuda_stack *stack,
                                      const struct es_layer *layer) {
    return (struct es_cuda_layer){
        .attended = (const uint16_t *)(const void *)stack->attended,
        .x = stack->x,
        .wo = layer->wo,
        .wo_bias = layer->wo_bias,
        .norm = layer->ffn_norm,
        .ada = layer->ada,
        .norm_eps = stack->shape->norm_eps,
        .w1 = layer->w1,
        .w3 = layer->w3,
        .w2 = layer->w2,
        .w2_bias = layer->w2_bias,
        .hidden = (uint16_t *)(void *)stack->hidden,
        .normed = (uint16_t *)(void *)stack->normed,
        .squares = stack->squares,
    };
}

/* The same operations one by one. */
static enum es_status run_apart(const struct es_cuda_stack *stack, const struct es_layer *layer,
                                uint32_t row_count, struct es_error *error) {
    const struct es_stack *shape = stack->shape;
    const struct es_cuda_project output = {.x = stack->attended,
                                           .x_row_floats = shape->head_count * shape->head_dim,
                                           .row_count = row_count,
                                           .w = layer->wo,
                                           .bias = layer->wo_bias,
                                           .is_added = true,
                                           .y = stack->x};
    const struct es_cuda_gate gate = {.x = stack->x,
                                      .norm = layer->ffn_norm,
                                      .ada = layer->ada,
                                      .norm_eps = shape->norm_eps,
                                      .row_count = row_count,
                                      .w1 = layer->w1,
                                      .w3 = layer->w3,
                                      .out = stack->hidden};
    const struct es_cuda_project down = {.x = stack->hidden,
                                         .x_row_floats = shape->hidden_dim,
                                         .row_count = row_count,
                                         .w = layer->w2,
                                         .bias = layer->w2_bias,
                                         .is_added = true,
                                         .y = stack->x};
    enum es_status status = es_cuda_project(stack->ops, &output, error);
    if (status == ES_OK) {
        status = es_cuda_gate(stack->ops, &gate, error);
    }
    return status == ES_OK ? es_cuda_project(stack->ops, &down, error) : status;
}

enum es_status es_cuda_stack_layer(const struct es_cuda_stack *stack, uint32_t layer_index,
                                   const struct es_layer *layer, const struct es_layer *next,
                                   uint32_t row_count, struct es_error *error) {
    const struct es_cuda_ops *ops = stack->ops;
    ES_ASSERT(row_count >= 1 && row_count <= stack->row_count_max);
    const struct es_stack *shape = stack->shape;
    struct es_cuda_layer joined = joined_of(stack, layer);
    const bool is_joined = ops->joins_layers && row_count == 1 &&
                           shape->head_count <= shape->kv_head_count * ES_CUDA_ATTENTION_FEW_MAX &&
                           es_cuda_layer_fits(ops, &joined);
    enum es_status status = ES_OK;
    struct es_cuda_qkv qkv;
    if (!is_joined || layer_index == 0) {
        qkv = qkv_of(stack, layer_index, layer, row_count);
        status = es_cuda_qkv(ops, &qkv, error);
    }
    if (status == ES_OK) {
        status = attend(stack, layer_index, row_count, is_joined, error);
    }
    if (status != ES_OK || !is_joined) {
        return status == ES_OK ? run_apart(stack, layer, row_count, error) : status;
    }
    if (next != NULL) {
        qkv = qkv_of(stack, layer_index + 1u, next, row_count);
        joined.next = &qkv;
    }
    return es_cuda_layer(ops, &joined, error);
}
