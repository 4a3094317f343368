#include "engine/cpu/transformer.h"

#include "engine/cpu/kernels.h"
#include "platform/assert.h"
#include "platform/deal.h"

#include <string.h>

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* A run needs the keys of window - 1 older positions beside its own rows. The first run after a
 * reset has nothing older, and a window that is wider than the run then shows no more than the run
 * itself: that is why the prompt of 63 positions adds nothing to a window of 8192. */
static uint32_t ring_slot_count(const struct es_transformer_size *size) {
    uint32_t first = size->first_row_count_max;
    return larger(size->shape->window - 1 + size->row_count_max,
                  smaller(size->shape->window, first) - 1 + first);
}

static void deal_activations(struct es_transformer *stack, const struct es_transformer_size *size,
                             struct es_deal *deal) {
    const struct es_stack *shape = size->shape;
    size_t rows = larger(size->row_count_max, size->first_row_count_max);
    size_t q_width = (size_t)shape->head_count * shape->head_dim;
    size_t kv_width = (size_t)shape->kv_head_count * shape->head_dim;
    stack->x = es_deal_floats(deal, rows * shape->dim);
    stack->normed = es_deal_floats(deal, rows * shape->dim);
    stack->q = es_deal_floats(deal, rows * q_width);
    stack->k = es_deal_floats(deal, rows * kv_width);
    stack->v = es_deal_floats(deal, rows * kv_width);
    stack->attended = es_deal_floats(deal, rows * q_width);
    stack->gate = es_deal_floats(deal, rows * shape->hidden_dim);
    stack->up = es_deal_floats(deal, rows * shape->hidden_dim);
    stack->cos_sin = es_deal_floats(deal, rows * shape->head_dim);
    stack->rope.turns = es_deal_bytes(deal, shape->head_dim / 2 * sizeof *stack->rope.turns);
}

/* One of the two rings of a layer. */
static size_t ring_float_count(const struct es_stack *shape, uint32_t slot_count) {
    return (size_t)shape->kv_head_count * slot_count * shape->head_dim;
}

void es_transformer_layout(const struct es_transformer_size *size, struct es_plan *plan,
                           struct es_transformer_layout *layout) {
    struct es_transformer stack;
    struct es_deal deal = {NULL, 0};
    deal_activations(&stack, size, &deal);
    layout->activations_region =
        es_plan_add(plan, ES_MEM_HOST, size->activations_name, deal.used_bytes);
    layout->ring_region = es_plan_add(plan, ES_MEM_HOST, size->ring_name,
                                      ring_float_count(size->shape, ring_slot_count(size)) * 2 *
                                          size->shape->layer_count * sizeof(float));
}

void es_transformer_init(struct es_transformer *stack, const struct es_transformer_size *size,
                         struct es_pool *pool, const struct es_transformer_layout *layout,
                         const struct es_arena *arena, void *attention_scratch) {
    stack->shape = size->shape;
    stack->pool = pool;
    stack->attention_scratch = attention_scratch;
    stack->row_count_max = larger(size->row_count_max, size->first_row_count_max);
    stack->slot_count = ring_slot_count(size);
    stack->ring = es_arena_region(arena, layout->ring_region);
    struct es_deal deal = {es_arena_region(arena, layout->activations_region), 0};
    deal_activations(stack, size, &deal);
    es_rope_init(&stack->rope, size->shape->head_dim, size->shape->rope_theta, stack->rope.turns);
    es_transformer_reset(stack, 0);
}

void es_transformer_reset(struct es_transformer *stack, uint64_t first_position) {
    stack->position = first_position;
    stack->oldest_position = first_position;
    stack->row_count = 0;
}

void es_transformer_begin(struct es_transformer *stack, uint32_t row_count) {
    ES_ASSERT(row_count >= 1);
    ES_ASSERT(row_count <= stack->row_count_max);
    stack->row_count = row_count;
    es_rope_rows(&stack->rope, stack->position, row_count, stack->cos_sin);
}

void es_transformer_end(struct es_transformer *stack) {
    stack->position += stack->row_count;
    stack->row_count = 0;
}

/* ring [kv_head_count, slot_count, head_dim] <- rows [row_count, kv_head_count, head_dim] */
static void store_rows(const struct es_transformer *stack, const float *rows, float *ring) {
    uint32_t head_dim = stack->shape->head_dim;
    for (uint32_t r = 0; r < stack->row_count; r++) {
        uint64_t slot = (stack->position + r) % stack->slot_count;
        for (uint32_t head = 0; head < stack->shape->kv_head_count; head++) {
            memcpy(ring + (head * (size_t)stack->slot_count + slot) * head_dim, rows,
                   head_dim * sizeof(float));
            rows += head_dim;
        }
    }
}

static void attend(struct es_transformer *stack, uint32_t layer_index,
                   const struct es_layer *layer) {
    const struct es_stack *shape = stack->shape;
    uint32_t row_count = stack->row_count;
    const struct es_linear_job maps[] = {
        {layer->wq, layer->wq_bias, stack->q},
        {layer->wk, NULL, stack->k},
        {layer->wv, layer->wv_bias, stack->v},
    };
    es_linear_many(stack->pool, maps, 3, stack->normed, row_count);
    es_rope_apply(stack->q, row_count, shape->head_count, shape->head_dim, stack->cos_sin);
    es_rope_apply(stack->k, row_count, shape->kv_head_count, shape->head_dim, stack->cos_sin);

    size_t ring_floats = ring_float_count(shape, stack->slot_count);
    float *keys = stack->ring + 2 * layer_index * ring_floats;
    float *values = keys + ring_floats;
    store_rows(stack, stack->k, keys);
    store_rows(stack, stack->v, values);

    /* See ring_slot_count: where a window is too wide for the ring, no row sees beyond this run. */
    bool window_fits = stack->slot_count >= shape->window - 1 + row_count;
    ES_ASSERT(window_fits || stack->position == stack->oldest_position);
    const struct es_attention_job job = {
        .q = stack->q,
        .keys = keys,
        .values = values,
        .out = stack->attended,
        .row_count = row_count,
        .head_count = shape->head_count,
        .kv_head_count = shape->kv_head_count,
        .head_dim = shape->head_dim,
        .window = window_fits ? shape->window : row_count,
        .slot_count = stack->slot_count,
        .first_position = stack->position,
        .oldest_position = stack->oldest_position,
    };
    es_attention(stack->pool, &job, stack->attention_scratch);
}

void es_transformer_layer(struct es_transformer *stack, uint32_t layer_index,
                          const struct es_layer *layer) {
    const struct es_stack *shape = stack->shape;
    uint32_t row_count = stack->row_count;

    es_rmsnorm(stack->x, layer->attention_norm, shape->norm_eps, NULL, row_count, shape->dim,
               stack->normed);
    attend(stack, layer_index, layer);
    es_linear(stack->pool, layer->wo, stack->attended, row_count, layer->wo_bias, stack->x,
              stack->x);

    es_rmsnorm(stack->x, layer->ffn_norm, shape->norm_eps, layer->ada, row_count, shape->dim,
               stack->normed);
    const struct es_linear_job maps[] = {{layer->w1, NULL, stack->gate},
                                         {layer->w3, NULL, stack->up}};
    es_linear_many(stack->pool, maps, 2, stack->normed, row_count);
    es_silu_multiply(stack->pool, stack->gate, stack->up, (size_t)row_count * shape->hidden_dim);
    es_linear(stack->pool, layer->w2, stack->gate, row_count, layer->w2_bias, stack->x, stack->x);
}
