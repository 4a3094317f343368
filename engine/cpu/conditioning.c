#include "engine/cpu/conditioning.h"

#include "engine/cpu/kernels.h"
#include "engine/time_embedding.h"
#include "platform/deal.h"

static void deal_buffers(struct es_conditioning *conditioning, const struct es_model *model,
                         struct es_deal *deal) {
    conditioning->embedding = es_deal_floats(deal, model->decoder.dim);
    conditioning->narrow = es_deal_floats(deal, model->ada_dim);
    conditioning->ada =
        es_deal_floats(deal, (size_t)model->decoder.layer_count * model->decoder.dim);
}

uint32_t es_conditioning_layout(const struct es_model *model, struct es_plan *plan) {
    struct es_conditioning conditioning;
    struct es_deal deal = {NULL, 0};
    deal_buffers(&conditioning, model, &deal);
    return es_plan_add(plan, ES_MEM_HOST, "delay conditioning", deal.used_bytes);
}

void es_conditioning_init(struct es_conditioning *conditioning, const struct es_model *model,
                          struct es_pool *pool, uint32_t region, const struct es_arena *arena,
                          const struct es_weights *weights) {
    conditioning->model = model;
    conditioning->weights = weights;
    conditioning->pool = pool;
    struct es_deal deal = {es_arena_region(arena, region), 0};
    deal_buffers(conditioning, model, &deal);
}

void es_conditioning_reset(struct es_conditioning *conditioning, uint32_t delay_positions) {
    const struct es_model *model = conditioning->model;
    uint32_t dim = model->decoder.dim;
    es_time_embedding(delay_positions, dim, conditioning->embedding);
    for (uint32_t i = 0; i < model->decoder.layer_count; i++) {
        const struct es_decoder_layer *layer = &conditioning->weights->decoder[i];
        es_linear(conditioning->pool, &layer->ada0, conditioning->embedding, 1, NULL, NULL,
                  conditioning->narrow);
        es_gelu(conditioning->narrow, model->ada_dim);
        es_linear(conditioning->pool, &layer->ada2, conditioning->narrow, 1, NULL, NULL,
                  conditioning->ada + (size_t)i * dim);
    }
}

const float *es_conditioning_layer(const struct es_conditioning *conditioning,
                                   uint32_t layer_index) {
    return conditioning->ada + (size_t)layer_index * conditioning->model->decoder.dim;
}
