/* slots.cu - kept[h, i, :] = ring[h, (first + i) % slot_count, :], or the other way
 *
 * shape  ring f16 [head_count, slot_count, head_stride], kept f16 [head_count, kept_count_max,
 *        head_stride]
 * bytes  2 * head_count * kept_count * head_stride * 2     limit: DRAM bandwidth; once per stream
 * map    one block per head, 16 bytes per thread and turn */
#include "engine/cuda/slots.h"

#include "engine/cuda/kernel.cuh"
#include "platform/assert.h"

#define THREAD_COUNT 256u
#define PIECE_ELEMENTS 8u /* 16 bytes of f16 */

namespace {

__global__ void slots_kernel(struct es_cuda_slots op) {
    const uint32_t pieces_per_slot = op.head_stride / PIECE_ELEMENTS;
    const uint32_t piece_count = op.kept_count * pieces_per_slot;
    uint4 *ring = reinterpret_cast<uint4 *>(op.ring) +
                  static_cast<size_t>(blockIdx.x) * op.slot_count * pieces_per_slot;
    uint4 *kept = reinterpret_cast<uint4 *>(op.kept) +
                  static_cast<size_t>(blockIdx.x) * op.kept_count_max * pieces_per_slot;
    for (uint32_t i = threadIdx.x; i < piece_count; i += THREAD_COUNT) {
        uint32_t slot = (op.first_slot + i / pieces_per_slot) % op.slot_count;
        size_t place = static_cast<size_t>(slot) * pieces_per_slot + i % pieces_per_slot;
        if (op.is_restoring) {
            ring[place] = kept[i];
        } else {
            kept[i] = ring[place];
        }
    }
}

} // namespace

enum es_status es_cuda_slots(const struct es_cuda_ops *ops, const struct es_cuda_slots *op,
                             struct es_error *error) {
    ES_ASSERT(op->head_stride % PIECE_ELEMENTS == 0);
    ES_ASSERT(op->kept_count >= 1 && op->kept_count <= op->kept_count_max);
    ES_ASSERT(op->kept_count <= op->slot_count && op->first_slot < op->slot_count);
    const struct es_cuda_kernel kernel = ES_KERNEL("slots", slots_kernel);
    const struct es_cuda_grid grid = {op->head_count, 1, THREAD_COUNT, 0, false, 0};
    void *args[] = {const_cast<struct es_cuda_slots *>(op)};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}
