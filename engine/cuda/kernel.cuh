/* kernel.cuh - how a kernel names itself and its block's memory.
 *
 *   static const struct es_cuda_kernel kernel = ES_KERNEL("norm", norm_rows);
 *   ES_SHARED(float[WARP_COUNT], squares);                   instead of __shared__ float squares[..]
 *   ES_SHARED_ALIGNED(16, float[64], tile);
 *   ES_SHARED_DYNAMIC(uint4, words);                         what es_cuda_grid.shared_bytes asks for
 *
 * In these words, because the tests put a header of their own in this one's place (tests/simt):
 * there a block's memory is poisoned before and guarded around, and a kernel is called, not
 * launched. */
#pragma once

#include "platform/jetson/cuda.h"

template <class Type> using es_shared_type = Type;

/* The function comes last: the commas of its template arguments are the preprocessor's, too. */
#define ES_KERNEL(name, ...)                                                                       \
    { (const void *)(__VA_ARGS__), name }
#define ES_SHARED(type, name) __shared__ es_shared_type<type> name
#define ES_SHARED_ALIGNED(bytes, type, name) __shared__ __align__(bytes) es_shared_type<type> name
#define ES_SHARED_DYNAMIC(type, name) extern __shared__ type name[]
