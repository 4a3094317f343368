#include "engine/cpu/adapter.h"

#include "engine/cpu/kernels.h"
#include "platform/assert.h"
#include "platform/deal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static uint32_t queue_slot_count(const struct es_backend_config *config) {
    return ES_PROMPT_POSITIONS_MAX + config->encode_positions_max;
}

static void deal_buffers(struct es_adapter *adapter, const struct es_model *model,
                         const struct es_backend_config *config, struct es_deal *deal) {
    size_t dim = model->decoder.dim;
    adapter->hidden = es_deal_floats(deal, config->encode_positions_max * dim);
    adapter->fresh = es_deal_floats(deal, config->encode_positions_max * dim);
    adapter->queue = es_deal_floats(deal, queue_slot_count(config) * dim);
}

uint32_t es_adapter_layout(const struct es_model *model, const struct es_backend_config *config,
                           struct es_plan *plan) {
    struct es_adapter adapter;
    struct es_deal deal = {NULL, 0};
    deal_buffers(&adapter, model, config, &deal);
    return es_plan_add(plan, ES_MEM_HOST, "embedding queue", deal.used_bytes);
}

void es_adapter_init(struct es_adapter *adapter, const struct es_model *model,
                     const struct es_backend_config *config, uint32_t region,
                     const struct es_arena *arena, const struct es_weights *weights) {
    adapter->model = model;
    adapter->weights = weights;
    adapter->pool = config->pool;
    adapter->tap = config->tap;
    adapter->slot_count = queue_slot_count(config);
    struct es_deal deal = {es_arena_region(arena, region), 0};
    deal_buffers(adapter, model, config, &deal);
    es_adapter_reset(adapter, 0);
}

void es_adapter_reset(struct es_adapter *adapter, uint64_t first_position) {
    adapter->pushed_count = first_position;
    adapter->taken_count = first_position;
}

uint32_t es_adapter_waiting_count(const struct es_adapter *adapter) {
    return (uint32_t)(adapter->pushed_count - adapter->taken_count);
}

static float *queue_slot(const struct es_adapter *adapter, uint64_t position) {
    return adapter->queue + position % adapter->slot_count * adapter->model->decoder.dim;
}

static enum es_status check_finite(const struct es_adapter *adapter, uint32_t position_count,
                                   struct es_error *error) {
    size_t dim = adapter->model->decoder.dim;
    for (size_t i = 0; i < position_count * dim; i++) {
        if (!isfinite(adapter->fresh[i])) {
            return es_fail(error, ES_ERR_INPUT,
                           "audio embedding of position %" PRIu64
                           ": is not a finite number; the model's weights are damaged or its "
                           "features are not finite, fetch the model again",
                           adapter->pushed_count + i / dim);
        }
    }
    return ES_OK;
}

enum es_status es_adapter_push(struct es_adapter *adapter, const float *frames,
                               uint32_t position_count, struct es_error *error) {
    const struct es_weights *weights = adapter->weights;
    uint32_t dim = adapter->model->decoder.dim;
    ES_ASSERT(es_adapter_waiting_count(adapter) + position_count <= adapter->slot_count);

    /* The frames of a position are neighbours already: [positions, downsample * encoder.dim]. */
    es_linear(adapter->pool, &weights->adapter0, frames, position_count, NULL, NULL,
              adapter->hidden);
    es_gelu(adapter->hidden, (size_t)position_count * dim);
    es_linear(adapter->pool, &weights->adapter2, adapter->hidden, position_count, NULL, NULL,
              adapter->fresh);
    es_tap_rows(adapter->tap, ES_STAGE_ADAPTER, 0, adapter->pushed_count, adapter->fresh,
                position_count, dim);
    enum es_status status = check_finite(adapter, position_count, error);
    if (status != ES_OK) {
        return status;
    }
    for (uint32_t r = 0; r < position_count; r++) {
        memcpy(queue_slot(adapter, adapter->pushed_count + r), adapter->fresh + (size_t)r * dim,
               dim * sizeof(float));
    }
    adapter->pushed_count += position_count;
    return ES_OK;
}

void es_adapter_take(struct es_adapter *adapter, float *x) {
    ES_ASSERT(adapter->taken_count < adapter->pushed_count);
    const float *embedding = queue_slot(adapter, adapter->taken_count);
    for (uint32_t i = 0; i < adapter->model->decoder.dim; i++) {
        x[i] += embedding[i];
    }
    adapter->taken_count++;
}
