/* slots.h - copies a run of slots of every ring in a region, out of the rings or back into them.
 *
 *   status = es_cuda_slots(ops, &op, &error); */
#pragma once

#include "engine/cuda/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

struct es_cuda_slots {
    uint16_t *ring;      /* f16 [head_count, slot_count, head_stride] */
    uint16_t *kept;      /* f16 [head_count, kept_count_max, head_stride] */
    uint32_t head_count; /* of keys and values of all layers */
    uint32_t slot_count, kept_count_max;
    uint32_t head_stride; /* a multiple of 8 */
    uint32_t first_slot;  /* kept slot i is ring slot (first_slot + i) % slot_count */
    uint32_t kept_count;
    bool is_restoring; /* from `kept` to `ring`; false: the other way */
};
ES_MUST_CHECK enum es_status es_cuda_slots(const struct es_cuda_ops *ops,
                                           const struct es_cuda_slots *op, struct es_error *error);

#ifdef __cplusplus
}
#endif
