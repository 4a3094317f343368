#include "tests/simt/wrong_kernels.h"

#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"

__global__ static void wrong_barrier(float *) {
    if (threadIdx.x < 32) {
        es_ptx_bar_sync<1, 64>();
    } else {
        es_ptx_bar_sync<2, 64>();
    }
}

__global__ static void wrong_return(float *numbers) {
    if (threadIdx.x == 5) {
        return;
    }
    __syncthreads();
    numbers[threadIdx.x] = 1.0f;
}

__global__ static void wrong_shuffle(float *numbers) {
    if (threadIdx.x % 2u == 0) {
        numbers[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
    } else {
        __syncwarp();
    }
}

__global__ static void wrong_address(float *numbers) {
    ES_SHARED_ALIGNED(16, uint16_t[32 * 8], rows);
    uint32_t found[4];
    es_ptx_ldmatrix(found, (uint32_t)__cvta_generic_to_shared(rows) + 16u * (threadIdx.x + 1u));
    numbers[threadIdx.x] = (float)found[0];
}

__global__ static void wrong_copy(float *numbers) {
    ES_SHARED_ALIGNED(16, float[4 * 64], copied);
    es_ptx_cp_async((uint32_t)__cvta_generic_to_shared(copied + 4u * threadIdx.x), numbers, true);
    es_ptx_cp_async_commit();
}

__global__ static void wrong_poll(float *numbers) {
    while (__ldcv(numbers) != 123.0f) {
    }
}

__global__ static void wrong_neighbour(float *numbers) {
    ES_SHARED(float[64], shared);
    shared[threadIdx.x] = (float)threadIdx.x;
    numbers[threadIdx.x] = shared[threadIdx.x ^ 32u];
}

__global__ static void wrong_unset(float *numbers) {
    ES_SHARED(float[64], shared);
    numbers[threadIdx.x] = shared[threadIdx.x];
}

__global__ static void wrong_unwaited(float *numbers) {
    ES_SHARED_ALIGNED(16, float[4 * 64], copied);
    float *mine = copied + 4u * threadIdx.x;
    es_ptx_cp_async((uint32_t)__cvta_generic_to_shared(mine), numbers + threadIdx.x / 4u * 4u,
                    true);
    es_ptx_cp_async_commit();
    const float early = *mine;
    es_ptx_cp_async_wait<0>();
    numbers[threadIdx.x] = early;
}

__global__ static void first_of_two(float *numbers) {
    es_grid_release();
    es_grid_wait();
    numbers[threadIdx.x] += 1.0f;
}

__global__ static void wrong_early(float *numbers) {
    es_grid_release();
    const float early = numbers[threadIdx.x];
    es_grid_wait();
    numbers[threadIdx.x] = 2.0f * early;
}

__global__ static void wrong_independent(float *numbers) {
    numbers[threadIdx.x] = 1.0f;
}

const struct es_cuda_kernel *wrong_kernel(enum wrong_kernel_id id) {
    static const struct es_cuda_kernel kernels[WRONG_KERNEL_COUNT] = {
        ES_KERNEL("wrong_barrier", wrong_barrier),
        ES_KERNEL("wrong_return", wrong_return),
        ES_KERNEL("wrong_shuffle", wrong_shuffle),
        ES_KERNEL("wrong_address", wrong_address),
        ES_KERNEL("wrong_copy", wrong_copy),
        ES_KERNEL("wrong_poll", wrong_poll),
        ES_KERNEL("wrong_neighbour", wrong_neighbour),
        ES_KERNEL("wrong_unset", wrong_unset),
        ES_KERNEL("wrong_unwaited", wrong_unwaited),
        ES_KERNEL("first_of_two", first_of_two),
        ES_KERNEL("wrong_early", wrong_early),
        ES_KERNEL("wrong_independent", wrong_independent),
    };
    return &kernels[id];
}
