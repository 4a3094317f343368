/* bf16.cuh - BF16 parts of f32 numbers, and the tensor cores' product of them.
 *
 *   es_bf16_split(x0, x1, &high, &low);          x = high + low to 16 bits of mantissa
 *   es_bf16_multiply(sums, a0, a1, a2, a3, b0, b1); */
#pragma once

#include "engine/cuda/ptx.cuh"

#include <cuda_bf16.h>
#include <stdint.h>

/* Two numbers, the first in the lower half. */
__device__ __forceinline__ uint32_t es_bf16_pack(float first, float second) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

__device__ __forceinline__ float es_bf16_first(uint32_t pair) {
    return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float es_bf16_second(uint32_t pair) {
    return __uint_as_float(pair & 0xffff0000u);
}

/* What the upper part loses, the lower holds: together within 2^-17 of the number. A product with
 * BF16 weights is then that much off, and BF16 activations would be 2^-9. */
__device__ __forceinline__ void es_bf16_split(float first, float second, uint32_t *high,
                                              uint32_t *low) {
    *high = es_bf16_pack(first, second);
    *low = es_bf16_pack(first - es_bf16_first(*high), second - es_bf16_second(*high));
}

/* sums [16, 8] += A [16, 16] B [16, 8]. Lane 4 g + t holds of A the rows g (a0, a2) and g + 8 (a1,
 * a3), of B column g, of the sums columns 2 t and 2 t + 1 of row g (0, 1) and g + 8 (2, 3). The
 * sixteen terms of a sum lie in a0, a2 (a1, a3) against b0, b1 of four lanes with the same t, in
 * whatever order one likes. */
__device__ __forceinline__ void es_bf16_multiply(float (&sums)[4], uint32_t a0, uint32_t a1,
                                                 uint32_t a2, uint32_t a3, uint32_t b0,
                                                 uint32_t b1) {
    es_ptx_mma_bf16(sums, a0, a1, a2, a3, b0, b1);
}
