/* embed.cu - x[r, k] = E[id of r, k] + queue[slot of its position, k]
 *
 * shape  E [vocab_size, stride] bf16 in blocks of rows, queue [queue_slot_count, dim] f32 -> x
 *        [row_count, dim] f32
 * bytes  row_count * dim * (2 + 4 + 4)             limit: latency, most of it that of the id
 * map    a thread per column, a row per block in y
 */
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/ops.h"
#include "platform/assert.h"

#define THREAD_COUNT 256u
#define STEP_LAST (-1) /* ES_STEP_LAST of engine/backend.h */

__global__ static void __launch_bounds__(THREAD_COUNT)
    embed_rows(const __grid_constant__ struct es_cuda_embed op,
               const __grid_constant__ struct es_cuda_embedding embedding,
               const struct es_cuda_stream_state *state) {
    ES_SHARED(int32_t, shared_id);
    es_grid_release();
    es_grid_wait();
    uint32_t column = blockIdx.x * THREAD_COUNT + threadIdx.x;
    uint32_t row = blockIdx.y;
    if (threadIdx.x == 0) {
        /* Once a block: on a discrete GPU each read of shared memory crosses the bus, one after the
         * other where they ask for the same line. */
        int32_t told = op.ids != nullptr ? __ldcg(op.ids + row) : __ldcv(&op.input->id);
        shared_id = told == STEP_LAST ? __ldcg(&state->last_id) : told;
    }
    __syncthreads();
    int32_t id = shared_id;
    if (column >= embedding.dim) {
        return;
    }
    uint64_t position = __ldcg(&state->decoder_position) + row;
    uint64_t slot = (position - __ldcg(&state->decoder_oldest)) % op.queue_slot_count;
    uint32_t block = (uint32_t)id / embedding.rows_per_block;
    uint32_t line = (uint32_t)id - block * embedding.rows_per_block;
    uint32_t half = embedding.blocks[block][(size_t)line * embedding.stride + column];
    op.x[(size_t)row * embedding.dim + column] =
        __uint_as_float(half << 16) + __ldcg(op.queue + slot * embedding.dim + column);
}

enum es_status es_cuda_embed(const struct es_cuda_ops *ops, const struct es_cuda_embed *op,
                             struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("embed", embed_rows);
    ES_ASSERT(op->row_count > 0);
    ES_ASSERT(op->ids != nullptr || op->row_count == 1);
    ES_ASSERT(op->queue_slot_count > 0);
    ES_ASSERT(op->embedding->rows_per_block > 0);
    struct es_cuda_grid grid = {};
    grid.block_count = (op->embedding->dim + THREAD_COUNT - 1) / THREAD_COUNT;
    grid.block_count_y = op->row_count;
    grid.thread_count = THREAD_COUNT;
    grid.is_dependent = false; /* the first of a run: see grid.cuh */
    const struct es_cuda_stream_state *state = ops->state;
    void *args[] = {(void *)op, (void *)op->embedding, (void *)&state};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}
