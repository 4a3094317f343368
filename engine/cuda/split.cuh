/* split.cuh - activations as the products want them, so that who reads them only copies.
 *
 *   es_split_store2(split, row_count, row, column, first, second);
 *
 * Two BF16 parts of each number (bf16.cuh): [columns / 32, 2 parts, row_count, 32] bf16, columns a
 * multiple of 32. As many bytes as f32. */
#pragma once

#include "engine/cuda/bf16.cuh"

#define ES_SPLIT_CHUNK 32u /* columns */

/* Where the upper part of a number lies; the lower one is row_count * ES_SPLIT_CHUNK further. */
__device__ __forceinline__ size_t es_split_place(uint32_t row_count, uint32_t row,
                                                 uint32_t column) {
    return ((size_t)(column / ES_SPLIT_CHUNK) * 2u * row_count + row) * ES_SPLIT_CHUNK +
           column % ES_SPLIT_CHUNK;
}

/* Two neighbours; column is even. */
__device__ __forceinline__ void es_split_store2(uint16_t *split, uint32_t row_count, uint32_t row,
                                                uint32_t column, float first, float second) {
    uint32_t high, low;
    es_bf16_split(first, second, &high, &low);
    uint16_t *to = split + es_split_place(row_count, row, column);
    *reinterpret_cast<uint32_t *>(to) = high;
    *reinterpret_cast<uint32_t *>(to + row_count * ES_SPLIT_CHUNK) = low;
}

__device__ __forceinline__ void es_split_store1(uint16_t *split, uint32_t row_count, uint32_t row,
                                                uint32_t column, float value) {
    uint32_t high, low;
    es_bf16_split(value, 0.0f, &high, &low);
    uint16_t *to = split + es_split_place(row_count, row, column);
    to[0] = (uint16_t)high;
    to[row_count * ES_SPLIT_CHUNK] = (uint16_t)low;
}
