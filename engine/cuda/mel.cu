/* mel.cu - frames[2 + i, b] = mel[i, b]: a run's frames behind the two of history
 *
 * shape  mel [frame_count, bin_count] f32 in shared memory -> frames [2 + frame_count, bin_count]
 * bytes  frame_count * bin_count * 8               limit: the bus to the host's memory
 * map    a thread per number
 */
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/ops.h"
#include "platform/assert.h"

#define THREAD_COUNT 256u
#define HISTORY_FRAMES 2u

__global__ static void __launch_bounds__(THREAD_COUNT)
    mel_in(const float *mel, float *frames, uint32_t count) {
    es_grid_release();
    es_grid_wait();
    uint32_t i = blockIdx.x * THREAD_COUNT + threadIdx.x;
    if (i >= count) {
        return;
    }
    frames[i] = __ldcv(mel + i);
}

enum es_status es_cuda_mel(const struct es_cuda_ops *ops, const struct es_cuda_mel *op,
                           struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("mel", mel_in);
    ES_ASSERT(op->frame_count > 0);
    ES_ASSERT(op->bin_count > 0);
    uint32_t count = op->frame_count * op->bin_count;
    float *frames = op->frames + (size_t)HISTORY_FRAMES * op->bin_count;
    struct es_cuda_grid grid = {};
    grid.block_count = (count + THREAD_COUNT - 1) / THREAD_COUNT;
    grid.thread_count = THREAD_COUNT;
    grid.is_dependent = false; /* the first of a run: see grid.cuh */
    void *args[] = {(void *)&op->mel, (void *)&frames, (void *)&count};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}
