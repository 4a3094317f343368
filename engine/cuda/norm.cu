/* norm.cu - y[r, k] = x[r, k] / sqrt(mean(x[r, :]^2) + eps) * norm[k]
 *
 * shape  x [row_count, dim] f32, norm [dim] f32 -> y [row_count, dim] f32
 * bytes  row_count * dim * 8 + dim * 4             limit: latency
 * map    one block per row; the order of the sum follows from dim alone
 */
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/ops.h"
#include "platform/assert.h"

#define THREAD_COUNT 512u
#define WARP_COUNT (THREAD_COUNT / 32u)

__global__ static void __launch_bounds__(THREAD_COUNT)
    norm_rows(const __grid_constant__ struct es_cuda_norm op) {
    ES_SHARED(float[WARP_COUNT], squares);
    es_grid_release();
    es_grid_wait();
    const float *x = op.x + (size_t)blockIdx.x * op.dim;
    float *y = op.y + (size_t)blockIdx.x * op.dim;
    float square = 0.0f;
    for (uint32_t k = threadIdx.x; k < op.dim; k += THREAD_COUNT) {
        float value = __ldcg(x + k);
        square += value * value;
    }
#pragma unroll
    for (uint32_t offset = 16; offset > 0; offset /= 2) {
        square += __shfl_xor_sync(0xffffffffu, square, offset);
    }
    if (threadIdx.x % 32 == 0) {
        squares[threadIdx.x / 32] = square;
    }
    __syncthreads();
    float sum = 0.0f;
#pragma unroll
    for (uint32_t i = 0; i < WARP_COUNT; i++) {
        sum += squares[i];
    }
    float scale = 1.0f / sqrtf(sum / (float)op.dim + op.norm_eps);
    for (uint32_t k = threadIdx.x; k < op.dim; k += THREAD_COUNT) {
        y[k] = __ldcg(x + k) * scale * op.norm[k];
    }
}

enum es_status es_cuda_norm(const struct es_cuda_ops *ops, const struct es_cuda_norm *op,
                            struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("norm", norm_rows);
    ES_ASSERT(op->row_count > 0);
    ES_ASSERT(op->dim > 0);
    struct es_cuda_grid grid = {};
    grid.block_count = op->row_count;
    grid.thread_count = THREAD_COUNT;
    grid.is_dependent = true;
    void *args[] = {(void *)op};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}
