#include "engine/cuda/rings.h"

#include "engine/cuda/slots.h"
#include "platform/assert.h"

#include <stdio.h>
#include <string.h>

/* Of keys and values of one layer. */
static size_t layer_elements(const struct es_stack *shape, uint32_t slot_count) {
    return 2u * (size_t)shape->kv_head_count * slot_count * es_cuda_head_stride(shape->head_dim);
}

/* Small regions pack well into chunks, and the plan stays readable: a quarter of a chunk each. */
static uint32_t layers_per_region(const struct es_cuda_rings_size *size) {
    size_t layer_bytes = layer_elements(size->shape, size->slot_count) * sizeof(uint16_t);
    ES_ASSERT(layer_bytes > 0); /* es_backend_cuda_check lets no wider head through */
    size_t count = ES_CHUNK_BYTES_MAX / 4u / layer_bytes;
    return count == 0                         ? 1u
           : count < size->shape->layer_count ? (uint32_t)count
                                              : size->shape->layer_count;
}

static uint32_t region_count(const struct es_cuda_rings_size *size) {
    uint32_t per_region = layers_per_region(size);
    return (size->shape->layer_count + per_region - 1u) / per_region;
}

void es_cuda_rings_layout(const struct es_cuda_rings_size *size, enum es_mem_kind kind,
                          struct es_plan *plan, struct es_cuda_rings_layout *layout) {
    const struct es_stack *shape = size->shape;
    ES_ASSERT(es_cuda_head_stride(shape->head_dim) > 0);
    ES_ASSERT(size->kept_count_max <= size->slot_count);
    uint32_t per_region = layers_per_region(size);
    uint32_t count = region_count(size);
    for (uint32_t i = 0; i < count; i++) {
        char name[ES_REGION_NAME_BYTES];
        uint32_t first = i * per_region;
        uint32_t left = shape->layer_count - first;
        uint32_t layers = left < per_region ? left : per_region;
        if (count == 1) {
            snprintf(name, sizeof name, "%s", size->name);
        } else {
            snprintf(name, sizeof name, "%s %u..%u", size->name, first, first + layers - 1u);
        }
        uint32_t region = es_plan_add(
            plan, kind, name, layers * layer_elements(shape, size->slot_count) * sizeof(uint16_t));
        layout->first_region = i == 0 ? region : layout->first_region;
    }
    layout->kept_region = 0;
    if (size->kept_count_max > 0) {
        char name[ES_REGION_NAME_BYTES];
        snprintf(name, sizeof name, "%s, silence", size->name);
        layout->kept_region = es_plan_add(
            plan, ES_MEM_DEVICE, name,
            shape->layer_count * layer_elements(shape, size->kept_count_max) * sizeof(uint16_t));
    }
}

enum es_status es_cuda_rings_init(struct es_cuda_rings *rings,
                                  const struct es_cuda_rings_size *size,
                                  const struct es_cuda_rings_layout *layout,
                                  const struct es_arena *arena, struct es_error *error) {
    memset(rings, 0, sizeof *rings);
    rings->shape = size->shape;
    rings->slot_count = size->slot_count;
    rings->head_stride = es_cuda_head_stride(size->shape->head_dim);
    rings->layers_per_region = layers_per_region(size);
    rings->kept_count_max = size->kept_count_max;
    bool is_complete = true;
    for (uint32_t i = 0; i < region_count(size); i++) {
        rings->regions[i] = es_arena_region(arena, layout->first_region + i);
        is_complete = is_complete && rings->regions[i] != NULL;
    }
    if (size->kept_count_max > 0) {
        rings->kept = es_arena_region(arena, layout->kept_region);
        is_complete = is_complete && rings->kept != NULL;
    }
    if (!is_complete) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "%s: its memory is not reserved; free some memory of the GPU", size->name);
    }
    return ES_OK;
}

uint16_t *es_cuda_rings_keys(const struct es_cuda_rings *rings, uint32_t layer) {
    ES_ASSERT(layer < rings->shape->layer_count);
    return rings->regions[layer / rings->layers_per_region] +
           layer % rings->layers_per_region * layer_elements(rings->shape, rings->slot_count);
}

uint16_t *es_cuda_rings_values(const struct es_cuda_rings *rings, uint32_t layer) {
    return es_cuda_rings_keys(rings, layer) + layer_elements(rings->shape, rings->slot_count) / 2u;
}

/* One launch per region: within it the layers, keys, values and heads lie evenly. */
static enum es_status move_slots(const struct es_cuda_rings *rings, const struct es_cuda_ops *ops,
                                 bool is_restoring, struct es_error *error) {
    const struct es_stack *shape = rings->shape;
    size_t kept_elements = layer_elements(shape, rings->kept_count_max);
    for (uint32_t first = 0; first < shape->layer_count; first += rings->layers_per_region) {
        uint32_t left = shape->layer_count - first;
        uint32_t layers = left < rings->layers_per_region ? left : rings->layers_per_region;
        const struct es_cuda_slots op = {
            .ring = es_cuda_rings_keys(rings, first),
            .kept = rings->kept + first * kept_elements,
            .head_count = layers * 2u * shape->kv_head_count,
            .slot_count = rings->slot_count,
            .kept_count_max = rings->kept_count_max,
            .head_stride = rings->head_stride,
            .first_slot = rings->first_slot,
            .kept_count = rings->kept_count,
            .is_restoring = is_restoring,
        };
        enum es_status status = es_cuda_slots(ops, &op, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}

enum es_status es_cuda_rings_keep(struct es_cuda_rings *rings, const struct es_cuda_ops *ops,
                                  uint64_t first_position, uint32_t position_count,
                                  struct es_error *error) {
    uint32_t count =
        position_count < rings->kept_count_max ? position_count : rings->kept_count_max;
    rings->kept_count = count;
    rings->first_slot = (uint32_t)((first_position + position_count - count) % rings->slot_count);
    return move_slots(rings, ops, false, error);
}

enum es_status es_cuda_rings_restore(const struct es_cuda_rings *rings,
                                     const struct es_cuda_ops *ops, struct es_error *error) {
    ES_ASSERT(rings->kept_count > 0);
    return move_slots(rings, ops, true, error);
}
