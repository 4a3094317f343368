/* advance.cu - the end of an encoder run: histories to the front, counters on
 *
 * shape  mel_frames [2 + n, mel_dim]: rows n and n + 1 become rows 0 and 1; conv0_rows [1 + m,
 *        conv0_dim]: row m becomes row 0; the state
 * bytes  (2 * mel_dim + conv0_dim) * 8             limit: latency
 * map    a block for each of the two; runs of one frame move a row onto its neighbour, so every
 *        thread reads all that it writes, in ascending order: what it overwrites has been read
 */
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/ops.h"
#include "platform/assert.h"

#define THREAD_COUNT 512u
#define MEL_HISTORY 2u
#define CONV0_HISTORY 1u

/* Moves the `history` rows that end the buffer to its front; a thread keeps to its columns. */
__device__ static void move_rows(float *rows, uint32_t history, uint32_t count, uint32_t dim) {
    for (uint32_t k = threadIdx.x; k < dim; k += THREAD_COUNT) {
        for (uint32_t i = 0; i < history; i++) {
            rows[(size_t)i * dim + k] = __ldcg(rows + (size_t)(count + i) * dim + k);
        }
    }
}

__global__ static void __launch_bounds__(THREAD_COUNT)
    advance_stream(const __grid_constant__ struct es_cuda_advance op,
                   struct es_cuda_stream_state *state) {
    es_grid_release();
    es_grid_wait();
    if (blockIdx.x == 0) {
        move_rows(op.mel_frames, MEL_HISTORY, op.mel_frame_count, op.mel_dim);
        if (threadIdx.x == 0) {
            state->encoder_frame += op.frame_count;
            state->embeddings_written += op.position_count;
        }
    } else {
        move_rows(op.conv0_rows, CONV0_HISTORY, op.conv0_row_count, op.conv0_dim);
    }
}

enum es_status es_cuda_advance(const struct es_cuda_ops *ops, const struct es_cuda_advance *op,
                               struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("advance", advance_stream);
    ES_ASSERT(op->mel_frame_count > 0);
    ES_ASSERT(op->conv0_row_count > 0);
    struct es_cuda_grid grid = {};
    grid.block_count = 2;
    grid.thread_count = THREAD_COUNT;
    grid.is_dependent = true;
    struct es_cuda_stream_state *state = ops->state;
    void *args[] = {(void *)op, (void *)&state};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}
