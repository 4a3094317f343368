/* ptx.cuh - the product's header of this name, for the simulated GPU: what each instruction does,
 * after NVIDIA's PTX ISA. The whole warp's instructions are in warp.h. */
#pragma once

#include "tests/simt/shared.h"
#include "tests/simt/warp.h"

#include <string.h>

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

/* -- barriers in shared memory: how many arrivals and bytes are out, and the parity -------------- */

struct simt_mbarrier {
    uint16_t count, pending;
    uint32_t bytes : 31, parity : 1;
};
static_assert(sizeof(simt_mbarrier) == sizeof(uint64_t), "as large as the real one");

static inline uint32_t es_ptx_shared(const void *memory) {
    return (uint32_t)simt::shared_offset(memory);
}

static inline uint32_t es_ptx_shared_peek(const uint32_t *memory, SIMT_PLACE) {
    simt::poll("ld.volatile.shared", place);
    return *memory;
}

static inline void es_ptx_mbarrier_init(uint64_t *barrier, uint32_t count) {
    const simt_mbarrier made = {(uint16_t)count, (uint16_t)count, 0, 0};
    memcpy(barrier, &made, sizeof made);
}

static inline void es_ptx_mbarrier_publish() {
}

static inline void simt_mbarrier_count(uint64_t *barrier, uint32_t arrivals, int64_t bytes) {
    simt_mbarrier now;
    memcpy(&now, barrier, sizeof now);
    now.pending = (uint16_t)(now.pending - arrivals);
    now.bytes = (uint32_t)(now.bytes + bytes) & 0x7fffffffu;
    if (now.pending == 0 && now.bytes == 0) {
        now.pending = now.count;
        now.parity ^= 1u;
    }
    memcpy(barrier, &now, sizeof now);
}

static inline void es_ptx_mbarrier_arrive(uint64_t *barrier) {
    simt_mbarrier_count(barrier, 1, 0);
}

static inline void es_ptx_mbarrier_arrive_copies(uint64_t *barrier) {
    simt::copy_close();
    simt::copy_wait(0);
    simt_mbarrier_count(barrier, 1, 0);
}

static inline bool es_ptx_mbarrier_test(uint64_t *barrier, uint32_t parity, SIMT_PLACE) {
    simt_mbarrier now;
    simt::poll("mbarrier.try_wait", place);
    memcpy(&now, barrier, sizeof now);
    return now.parity != parity;
}

/* -- bulk copies: this device goes the way of those that have none ------------------------------- */

static inline bool es_ptx_has_bulk_copies() {
    return false;
}

static inline void es_ptx_mbarrier_expect(uint64_t *barrier, uint32_t bytes) {
    simt_mbarrier_count(barrier, 1, bytes);
}

static inline void es_ptx_copy_bulk(void *to, const void *from, uint32_t bytes,
                                    uint64_t *barrier) {
    memcpy(to, from, bytes);
    simt_mbarrier_count(barrier, 0, -(int64_t)bytes);
}

/* -- between blocks ------------------------------------------------------------------------------ */

static inline uint32_t es_ptx_add_acq_rel(uint32_t *to, uint32_t more) {
    const uint32_t before = *to;
    *to += more;
    return before;
}

static inline void es_ptx_add_release(uint64_t *to, uint64_t more) {
    *to += more;
}

static inline uint64_t es_ptx_load_acquire(const uint64_t *from, SIMT_PLACE) {
    simt::poll("ld.acquire.gpu", place);
    return *from;
}

/* -- the rest ---------------------------------------------------------------------------------- */

static inline uint4 es_ptx_load_once(const uint4 *words) {
    return *words;
}

static inline float es_ptx_ex2(float x) {
    const float y = exp2f(fabsf(x) < __FLT_MIN__ ? 0.0f : x);
    return y < __FLT_MIN__ ? 0.0f : y;
}
