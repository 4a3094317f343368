#include "tests/engine_cuda/ptx_kernels.h"

#include "engine/cuda/bf16.cuh"
#include "engine/cuda/f16.cuh"
#include "engine/cuda/kernel.cuh"

/* Both matrices by cp.async into shared memory, from there by ldmatrix, into one mma. */
template <bool IS_BF16>
__global__ static void product(const uint16_t *a, const uint16_t *b, float *out) {
    ES_SHARED_ALIGNED(16, uint16_t[16 * 16], a_rows);
    ES_SHARED_ALIGNED(16, uint16_t[16 * 8], b_rows);
    const uint32_t lane = threadIdx.x;
    const uint32_t g = lane / 4u;
    const uint32_t t = lane % 4u;
    const uint32_t a_base = (uint32_t)__cvta_generic_to_shared(a_rows);
    const uint32_t b_base = (uint32_t)__cvta_generic_to_shared(b_rows);
    es_ptx_cp_async(a_base + 16u * lane, a + 8u * lane, true);
    es_ptx_cp_async_commit();
    if (lane < 16) {
        es_ptx_cp_async(b_base + 16u * lane, b + 8u * lane, true);
    }
    es_ptx_cp_async_commit();
    es_ptx_cp_async_wait<0>();
    __syncwarp();
    uint32_t of_a[4], of_b[4];
    es_ptx_ldmatrix(of_a, a_base + 32u * (lane % 16u) + 16u * (lane / 16u));
    es_ptx_ldmatrix_trans(of_b, b_base + 16u * (lane % 16u));
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (IS_BF16) {
        es_bf16_multiply(sums, of_a[0], of_a[1], of_a[2], of_a[3], of_b[0], of_b[1]);
    } else {
        es_f16_multiply(sums, of_a[0], of_a[1], of_a[2], of_a[3], of_b[0], of_b[1]);
    }
    out[g * 8u + 2u * t] = sums[0];
    out[g * 8u + 2u * t + 1u] = sums[1];
    out[(g + 8u) * 8u + 2u * t] = sums[2];
    out[(g + 8u) * 8u + 2u * t + 1u] = sums[3];
}

__global__ static void lanes(uint32_t *out) {
    const uint32_t lane = threadIdx.x;
    const uint32_t value = 100u + lane;
    out[lane] = __shfl_xor_sync(0xffffffffu, value, 5);
    out[32u + lane] = __shfl_sync(0xffffffffu, value, 7);
    out[64u + lane] = __shfl_down_sync(0xffffffffu, value, 3);
    out[96u + lane] = __shfl_up_sync(0xffffffffu, value, 2, 8);
    out[128u + lane] = __ballot_sync(0xffffffffu, lane % 3u == 0);
    if (lane < 16) { /* half a warp on its own */
        out[160u + lane] = __shfl_xor_sync(0x0000ffffu, value, 1);
    } else {
        out[160u + lane] = __shfl_xor_sync(0xffff0000u, value, 2);
    }
}

/* Each half passes numbers on among its own 64 threads, a different number of times. */
__global__ static void barriers(uint32_t *out) {
    ES_SHARED(uint32_t[128], numbers);
    const uint32_t half = threadIdx.x / 64u;
    const uint32_t place = threadIdx.x % 64u;
    uint32_t mine = threadIdx.x;
    for (uint32_t i = 0; i < 3u + half; i++) {
        numbers[threadIdx.x] = mine;
        es_ptx_bar_sync_at<64>(half + 1u);
        mine = numbers[64u * half + (place + 40u) % 64u];
        es_ptx_bar_sync_at<64>(half + 1u);
    }
    __syncthreads();
    out[threadIdx.x] = mine;
}

__global__ static void ex2(const float *in, float *out) {
    out[threadIdx.x] = es_ptx_ex2(in[threadIdx.x]);
}

/* Every block waits for all, and then reads what all have written. */
__global__ static void meeting(uint32_t *counter, uint32_t *values, uint32_t *out) {
    if (threadIdx.x == 0) {
        values[blockIdx.x] = 3u + blockIdx.x;
        __threadfence();
        atomicAdd(counter, 1u);
        while (__ldcv(counter) < gridDim.x) {
        }
        __threadfence();
    }
    __syncthreads();
    if (threadIdx.x == 32) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < gridDim.x; i++) {
            sum += __ldcg(values + i);
        }
        out[blockIdx.x] = sum;
    }
}

const struct es_cuda_kernel *ptx_kernel(enum ptx_kernel_id id) {
    static const struct es_cuda_kernel kernels[PTX_KERNEL_COUNT] = {
        ES_KERNEL("product<bf16>", product<true>),
        ES_KERNEL("product<f16>", product<false>),
        ES_KERNEL("lanes", lanes),
        ES_KERNEL("barriers", barriers),
        ES_KERNEL("ex2", ex2),
        ES_KERNEL("meeting", meeting),
    };
    return &kernels[id];
}
