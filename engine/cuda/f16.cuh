/* f16.cuh - pairs of f16 numbers, the tensor cores' product of them, and where attention's keys are.
 *
 *   uint32_t pair = es_f16_pack(first, second);        the first in the lower half
 *   es_f16_multiply(sums, a0, a1, a2, a3, b0, b1);     operands laid out as in bf16.cuh */
#pragma once

#include "engine/cuda/ptx.cuh"

#include <cuda_fp16.h>
#include <stdint.h>

__device__ __forceinline__ uint32_t es_f16_pack(float first, float second) {
    const __half2 pair = __floats2half2_rn(first, second);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

/* What the upper part loses, the lower holds: together 22 bits of mantissa. */
__device__ __forceinline__ void es_f16_split(float first, float second, uint32_t *high,
                                             uint32_t *low) {
    const __half2 pair = __floats2half2_rn(first, second);
    *high = *reinterpret_cast<const uint32_t *>(&pair);
    *low = es_f16_pack(first - __low2float(pair), second - __high2float(pair));
}

/* Beyond f16 the largest number; NaN stays. */
__device__ __forceinline__ float es_f16_bound(float x) {
    return fabsf(x) > 65504.0f ? copysignf(65504.0f, x) : x;
}

__device__ __forceinline__ void es_f16_multiply(float (&sums)[4], uint32_t a0, uint32_t a1,
                                                uint32_t a2, uint32_t a3, uint32_t b0,
                                                uint32_t b1) {
    es_ptx_mma_f16(sums, a0, a1, a2, a3, b0, b1);
}

/* A number modulo a slot count; divides 64 bits only where it must. */
__device__ __forceinline__ uint32_t es_slot_of(uint64_t position, uint32_t slot_count) {
    return position >> 32 == 0 ? (uint32_t)position % slot_count
                               : (uint32_t)(position % slot_count);
}

/* The oldest key that the row at `position` sees. */
__device__ __forceinline__ uint64_t es_first_seen(uint32_t window, uint64_t position,
                                                  uint64_t oldest) {
    const uint64_t first = position + 1u > window ? position + 1u - window : 0u;
    return first > oldest ? first : oldest;
}
