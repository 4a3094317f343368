/* rings.h - the keys and values of one stack: a ring per layer, and a copy of its silent start.
 *
 *   es_cuda_rings_layout(&size, kind, &plan, &layout);
 *   status = es_cuda_rings_init(&rings, &size, &layout, &arena, &error);
 *   op.keys = es_cuda_rings_keys(&rings, layer);
 *   status = es_cuda_rings_keep(&rings, ops, first_position, position_count, &error);
 *   status = es_cuda_rings_restore(&rings, ops, &error);
 *
 * A layer's ring is f16 [2 (keys, values), kv_head_count, slot_count, head_stride]; position p lies
 * in slot p % slot_count. As many layers as fit share a region. Engine thread only. */
#pragma once

#include "engine/cuda/ops.h"
#include "platform/arena.h"

#define ES_CUDA_RING_REGION_COUNT_MAX ES_LAYER_COUNT_MAX

struct es_cuda_rings_size {
    const struct es_stack *shape; /* borrowed */
    uint32_t slot_count;
    uint32_t kept_count_max; /* slots of the copy; at most slot_count */
    const char *name;        /* "encoder kv ring" */
};

struct es_cuda_rings_layout {
    uint32_t first_region;
    uint32_t kept_region; /* 0 with kept_count_max 0 */
};

struct es_cuda_rings {
    const struct es_stack *shape;
    uint32_t slot_count;
    uint32_t head_stride;
    uint32_t layers_per_region;
    uint32_t kept_count_max;
    uint16_t *regions[ES_CUDA_RING_REGION_COUNT_MAX];
    uint16_t *kept; /* device f16 [layer_count, 2, kv_head_count, kept_count_max, head_stride] */
    uint32_t first_slot, kept_count; /* what `kept` holds */
};

/* The rings go to `kind`, the copy to device memory. */
void es_cuda_rings_layout(const struct es_cuda_rings_size *size, enum es_mem_kind kind,
                          struct es_plan *plan, struct es_cuda_rings_layout *layout);
ES_MUST_CHECK enum es_status es_cuda_rings_init(struct es_cuda_rings *rings,
                                                const struct es_cuda_rings_size *size,
                                                const struct es_cuda_rings_layout *layout,
                                                const struct es_arena *arena,
                                                struct es_error *error);

/* f16 [kv_head_count, slot_count, head_stride] */
uint16_t *es_cuda_rings_keys(const struct es_cuda_rings *rings, uint32_t layer);
uint16_t *es_cuda_rings_values(const struct es_cuda_rings *rings, uint32_t layer);

/* Copies the slots of the last kept_count_max of `position_count` positions from first_position on,
 * and back. Enqueued. */
ES_MUST_CHECK enum es_status es_cuda_rings_keep(struct es_cuda_rings *rings,
                                                const struct es_cuda_ops *ops,
                                                uint64_t first_position, uint32_t position_count,
                                                struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_rings_restore(const struct es_cuda_rings *rings,
                                                   const struct es_cuda_ops *ops,
                                                   struct es_error *error);
