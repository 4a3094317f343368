/* cuda_runtime.h - what nvcc and its headers give a kernel, as C++ for the simulated GPU.
 *
 * Comes before every .cu that is compiled for it (-include). A thread is a fiber (grid.h): the
 * words below either do what they say at once, or wait there for the other threads. */
#pragma once

#include "tests/simt/grid.h"
#include "tests/simt/shared.h"
#include "tests/simt/warp.h"

#include <cuda_runtime_api.h>
#include <math.h>

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

/* -- who a thread is --------------------------------------------------------------------------- */

#define threadIdx (simt::current->index)
#define blockIdx (simt::current->block->index)
#define blockDim (simt::current->block->grid->block_dim)
#define gridDim (simt::current->block->grid->grid_dim)

/* -- vectors: aligned as there, so that a sanitizer sees what hardware refuses ----------------- */

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned int x, y;
};
struct alignas(16) uint4 {
    unsigned int x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};

static inline float2 make_float2(float x, float y) {
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
static inline uint2 make_uint2(unsigned int x, unsigned int y) {
    return {x, y};
}
static inline uint4 make_uint4(unsigned int x, unsigned int y, unsigned int z, unsigned int w) {
    return {x, y, z, w};
}

/* -- loads and stores: caches are not simulated ------------------------------------------------ */

template <class Type> static inline Type __ldg(const Type *from) {
    return *from;
}
template <class Type> static inline Type __ldcg(const Type *from) {
    return *from;
}
template <class Type> static inline Type __ldcs(const Type *from) {
    return *from;
}
/* What somebody else may change: a loop around it must let others run. */
template <class Type> static inline Type __ldcv(const Type *from, SIMT_PLACE) {
    simt::poll_softly("__ldcv", place);
    return *from;
}
template <class Type, class Value> static inline void __stcg(Type *to, Value value) {
    *to = (Type)value;
}
template <class Type, class Value> static inline void __stcs(Type *to, Value value) {
    *to = (Type)value;
}

/* -- between threads --------------------------------------------------------------------------- */

static inline void __syncthreads(SIMT_PLACE) {
    simt::barrier_sync(0, simt::current->block->thread_count, "__syncthreads", place);
}
static inline void __syncwarp(uint32_t mask = 0xffffffffu, SIMT_PLACE) {
    simt::warp_sync(mask, place);
}
template <class Type>
static inline Type __shfl_sync(uint32_t mask, Type value, int lane, int width = 32, SIMT_PLACE) {
    const int base = (int)simt::current->lane & ~(width - 1);
    return simt::shuffle(mask, value, base + (lane & (width - 1)), "__shfl_sync", place);
}
template <class Type>
static inline Type __shfl_xor_sync(uint32_t mask, Type value, int offset, int width = 32,
                                   SIMT_PLACE) {
    const int lane = (int)simt::current->lane;
    const int from = lane ^ offset;
    /* A higher segment's value is not to be had: the own one stays. */
    const bool is_beyond = (from & ~(width - 1)) > (lane & ~(width - 1));
    return simt::shuffle(mask, value, is_beyond ? lane : from, "__shfl_xor_sync", place);
}
template <class Type>
static inline Type __shfl_down_sync(uint32_t mask, Type value, unsigned int offset, int width = 32,
                                    SIMT_PLACE) {
    const int lane = (int)simt::current->lane;
    const int from = lane + (int)offset;
    const bool is_beyond = from > (lane | (width - 1));
    return simt::shuffle(mask, value, is_beyond ? lane : from, "__shfl_down_sync", place);
}
template <class Type>
static inline Type __shfl_up_sync(uint32_t mask, Type value, unsigned int offset, int width = 32,
                                  SIMT_PLACE) {
    const int lane = (int)simt::current->lane;
    const int from = lane - (int)offset;
    const bool is_beyond = from < (lane & ~(width - 1));
    return simt::shuffle(mask, value, is_beyond ? lane : from, "__shfl_up_sync", place);
}
static inline uint32_t __ballot_sync(uint32_t mask, int is_true, SIMT_PLACE) {
    return simt::ballot(mask, is_true != 0, "__ballot_sync", place);
}
static inline int __any_sync(uint32_t mask, int is_true, SIMT_PLACE) {
    return simt::ballot(mask, is_true != 0, "__any_sync", place) != 0;
}
static inline int __all_sync(uint32_t mask, int is_true, SIMT_PLACE) {
    return simt::ballot(mask, is_true == 0, "__all_sync", place) == 0;
}

/* One thread runs at a time: what it wrote is there. */
static inline void __threadfence() {
}
static inline void __threadfence_block() {
}
static inline void __threadfence_system() {
}
static inline void __nanosleep(unsigned int, SIMT_PLACE) {
    simt::poll("__nanosleep", place);
}

template <class Type, class Value> static inline Type atomicAdd(Type *to, Value value, SIMT_PLACE) {
    simt::poll_softly("atomicAdd", place);
    const Type before = *to;
    *to = (Type)(before + (Type)value);
    return before;
}
template <class Type, class Value> static inline Type atomicOr(Type *to, Value value, SIMT_PLACE) {
    simt::poll_softly("atomicOr", place);
    const Type before = *to;
    *to = (Type)(before | (Type)value);
    return before;
}
template <class Type, class Value> static inline Type atomicMax(Type *to, Value value, SIMT_PLACE) {
    simt::poll_softly("atomicMax", place);
    const Type before = *to;
    *to = before < (Type)value ? (Type)value : before;
    return before;
}
template <class Type, class Value>
static inline Type atomicExch(Type *to, Value value, SIMT_PLACE) {
    simt::poll_softly("atomicExch", place);
    const Type before = *to;
    *to = (Type)value;
    return before;
}
template <class Type, class Value>
static inline Type atomicCAS(Type *to, Value expected, Value value, SIMT_PLACE) {
    simt::poll_softly("atomicCAS", place);
    const Type before = *to;
    *to = before == (Type)expected ? (Type)value : before;
    return before;
}

/* -- numbers ----------------------------------------------------------------------------------- */

static inline uint32_t __float_as_uint(float x) {
    return __builtin_bit_cast(uint32_t, x);
}
static inline float __uint_as_float(uint32_t x) {
    return __builtin_bit_cast(float, x);
}
static inline int __float_as_int(float x) {
    return __builtin_bit_cast(int, x);
}
static inline float __int_as_float(int x) {
    return __builtin_bit_cast(float, x);
}
static inline int min(int a, int b) {
    return a < b ? a : b;
}
static inline unsigned int min(unsigned int a, unsigned int b) {
    return a < b ? a : b;
}
static inline int max(int a, int b) {
    return a > b ? a : b;
}
static inline unsigned int max(unsigned int a, unsigned int b) {
    return a > b ? a : b;
}
static inline int __popc(unsigned int x) {
    return __builtin_popcount(x);
}
static inline int __clz(int x) {
    return x == 0 ? 32 : __builtin_clz((unsigned int)x);
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
static inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
static inline void sincospif(float x, float *sine, float *cosine) {
    *sine = (float)sin(M_PI * (double)x);
    *cosine = (float)cos(M_PI * (double)x);
}
/* Each half byte of `select` names one of the eight bytes. */
static inline uint32_t __byte_perm(uint32_t low, uint32_t high, uint32_t select) {
    const uint64_t bytes = (uint64_t)high << 32 | low;
    uint32_t result = 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t byte = (uint32_t)(bytes >> 8 * (select >> 4 * i & 7u)) & 0xffu;
        result |= byte << 8 * i;
    }
    return result;
}

/* An address of the block's memory as the 32 bits that instructions take. */
static inline size_t __cvta_generic_to_shared(const void *memory) {
    return simt::shared_offset(memory);
}
