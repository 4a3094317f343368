/* ptx.cuh - the product's header of this name, for the simulated GPU: what each instruction does,
 * after NVIDIA's PTX ISA. The whole warp's instructions are in warp.h. */
#pragma once

#include "tests/simt/warp.h"

/* -- tensor cores ------------------------------------------------------------------------------ */

static inline void es_ptx_mma_bf16(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                   uint32_t a3, uint32_t b0, uint32_t b1, SIMT_PLACE) {
    simt::multiply({sums, {a0, a1, a2, a3}, {b0, b1}}, true, place);
}

static inline void es_ptx_mma_f16(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                  uint32_t a3, uint32_t b0, uint32_t b1, SIMT_PLACE) {
    simt::multiply({sums, {a0, a1, a2, a3}, {b0, b1}}, false, place);
}

static inline void es_ptx_ldmatrix(uint32_t (&to)[4], uint32_t from, SIMT_PLACE) {
    simt::load_matrices(to, from, false, place);
}

static inline void es_ptx_ldmatrix_trans(uint32_t (&to)[4], uint32_t from, SIMT_PLACE) {
    simt::load_matrices(to, from, true, place);
}

/* -- asynchronous copies: they come as late as they may ---------------------------------------- */

static inline void es_ptx_cp_async(uint32_t to, const void *from, bool is_there, SIMT_PLACE) {
    simt::copy_later(to, from, is_there, place);
}

static inline void es_ptx_cp_async_commit() {
    simt::copy_close();
}

template <int OPEN> static inline void es_ptx_cp_async_wait() {
    simt::copy_wait(OPEN);
}

/* -- barriers ---------------------------------------------------------------------------------- */

template <int BARRIER, int THREADS> static inline void es_ptx_bar_sync(SIMT_PLACE) {
    simt::barrier_sync(BARRIER, THREADS, "bar.sync", place);
}

template <int THREADS> static inline void es_ptx_bar_sync_at(uint32_t barrier, SIMT_PLACE) {
    simt::barrier_sync(barrier, THREADS, "bar.sync", place);
}

/* -- dependent launch: the next kernel begins as early as it may ------------------------------- */

static inline void es_ptx_launch_dependents() {
}

static inline void es_ptx_wait_dependency(SIMT_PLACE) {
    simt::wait_dependency(place);
}

/* -- the rest ---------------------------------------------------------------------------------- */

static inline uint4 es_ptx_load_once(const uint4 *words) {
    return *words;
}

static inline float es_ptx_ex2(float x) {
    const float y = exp2f(fabsf(x) < __FLT_MIN__ ? 0.0f : x);
    return y < __FLT_MIN__ ? 0.0f : y;
}
