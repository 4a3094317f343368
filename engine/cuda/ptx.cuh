/* ptx.cuh - the instructions that C++ has no word for: one function each, and nothing around it.
 *
 *   es_ptx_mma_bf16(sums, a0, a1, a2, a3, b0, b1);     bf16.cuh says what lies where
 *   es_ptx_cp_async(to, from, is_there); es_ptx_cp_async_commit(); es_ptx_cp_async_wait<0>();
 *   es_ptx_bar_sync<1, 256>();
 *
 * No inline PTX stands anywhere else: the tests put a header of their own in this one's place, and
 * run the kernels on the CPU (tests/simt). Names are those of the PTX ISA, where each is described.
 * Addresses of shared memory are 32 bits: what __cvta_generic_to_shared gives. */
#pragma once

#include <stdint.h>

/* -- tensor cores, by a whole warp -------------------------------------------------------------- */

/* sums [16, 8] += A [16, 16] B [16, 8] */
__device__ __forceinline__ void es_ptx_mma_bf16(float (&sums)[4], uint32_t a0, uint32_t a1,
                                                uint32_t a2, uint32_t a3, uint32_t b0,
                                                uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void es_ptx_mma_f16(float (&sums)[4], uint32_t a0, uint32_t a1,
                                               uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/* Four 8 x 8 matrices of 16 bits; lane i says where row i % 8 of matrix i / 8 lies. */
__device__ __forceinline__ void es_ptx_ldmatrix(uint32_t (&to)[4], uint32_t from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
}

__device__ __forceinline__ void es_ptx_ldmatrix_trans(uint32_t (&to)[4], uint32_t from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
}

/* -- asynchronous copies, by a thread ----------------------------------------------------------- */

/* 16 bytes to shared memory, or zeros. */
__device__ __forceinline__ void es_ptx_cp_async(uint32_t to, const void *from, bool is_there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(is_there ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void es_ptx_cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* This thread's copies are there but for those of the last `OPEN` groups. */
template <int OPEN> __device__ __forceinline__ void es_ptx_cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(OPEN) : "memory");
}

/* -- barriers of a part of the block; 0 is __syncthreads ------------------------------------------ */

/* Numbers that the compiler knows: a barrier in a register reserves all sixteen. */
template <int BARRIER, int THREADS> __device__ __forceinline__ void es_ptx_bar_sync() {
    asm volatile("bar.sync %0, %1;" ::"n"(BARRIER), "n"(THREADS) : "memory");
}

template <int THREADS> __device__ __forceinline__ void es_ptx_bar_sync_at(uint32_t barrier) {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(THREADS) : "memory");
}

/* -- dependent launch: nothing below compute capability 9.0 --------------------------------------- */

__device__ __forceinline__ void es_ptx_launch_dependents() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ void es_ptx_wait_dependency() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* -- barriers in shared memory (mbarrier): 8 bytes, aligned so ---------------------------------- */

__device__ __forceinline__ uint32_t es_ptx_shared(const void *memory) {
    return (uint32_t)__cvta_generic_to_shared(memory);
}

/* What another warp of the block may have changed just now. */
__device__ __forceinline__ uint32_t es_ptx_shared_peek(const uint32_t *memory) {
    uint32_t value;
    asm volatile("ld.volatile.shared.u32 %0, [%1];"
                 : "=r"(value)
                 : "r"(es_ptx_shared(memory))
                 : "memory");
    return value;
}

/* A phase ends after `count` arrivals (and the bytes that they announced). */
__device__ __forceinline__ void es_ptx_mbarrier_init(uint64_t *barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(es_ptx_shared(barrier)), "r"(count)
                 : "memory");
}

/* Before bulk copies use barriers that were made by this thread; then __syncthreads. */
__device__ __forceinline__ void es_ptx_mbarrier_publish() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async;" ::: "memory");
#endif
}

__device__ __forceinline__ void es_ptx_mbarrier_arrive(uint64_t *barrier) {
    asm volatile(
        "{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(es_ptx_shared(barrier))
        : "memory");
}

/* Arrives when all copies of this thread so far (es_ptx_cp_async) are there. */
__device__ __forceinline__ void es_ptx_mbarrier_arrive_copies(uint64_t *barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(es_ptx_shared(barrier))
                 : "memory");
}

/* True when the phase of that parity has ended; waits a moment for it. */
__device__ __forceinline__ bool es_ptx_mbarrier_test(uint64_t *barrier, uint32_t parity) {
    uint32_t is_over;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("{ .reg .pred over; mbarrier.try_wait.parity.shared.b64 over, [%1], %2; "
                 "selp.u32 %0, 1, 0, over; }"
                 : "=r"(is_over)
                 : "r"(es_ptx_shared(barrier)), "r"(parity)
                 : "memory");
#else
    asm volatile("{ .reg .pred over; mbarrier.test_wait.parity.shared.b64 over, [%1], %2; "
                 "selp.u32 %0, 1, 0, over; }"
                 : "=r"(is_over)
                 : "r"(es_ptx_shared(barrier)), "r"(parity)
                 : "memory");
#endif
    return is_over != 0;
}

/* -- bulk copies: from compute capability 9.0 on ------------------------------------------------- */

__device__ __forceinline__ bool es_ptx_has_bulk_copies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    return true;
#else
    return false;
#endif
}

/* Arrives, and announces so many bytes of bulk copies. */
__device__ __forceinline__ void es_ptx_mbarrier_expect(uint64_t *barrier, uint32_t bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1; }" ::"r"(
                     es_ptx_shared(barrier)),
                 "r"(bytes)
                 : "memory");
#endif
}

/* A multiple of 16 bytes, both sides aligned to 16, by one thread. */
__device__ __forceinline__ void es_ptx_copy_bulk(void *to, const void *from, uint32_t bytes,
                                                 uint64_t *barrier) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], "
                 "%2, [%3];" ::"r"(es_ptx_shared(to)),
                 "l"(from), "r"(bytes), "r"(es_ptx_shared(barrier))
                 : "memory");
#endif
}

/* -- between blocks ------------------------------------------------------------------------------ */

/* What this thread, and those it has met at a barrier, wrote before is seen by whoever reads the sum
 * so, or with es_ptx_load_acquire, and by those whom it meets then. The value before. */
__device__ __forceinline__ uint32_t es_ptx_add_acq_rel(uint32_t *to, uint32_t more) {
    uint32_t before;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(to), "r"(more)
                 : "memory");
    return before;
}

/* The same half of it, with no answer to wait for. */
__device__ __forceinline__ void es_ptx_add_release(uint64_t *to, uint64_t more) {
    asm volatile("red.release.gpu.global.add.u64 [%0], %1;" ::"l"(to), "l"(more) : "memory");
}

__device__ __forceinline__ uint64_t es_ptx_load_acquire(const uint64_t *from) {
    uint64_t value;
    asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(from) : "memory");
    return value;
}

/* -- the rest ----------------------------------------------------------------------------------- */

/* 16 bytes that pass once, around L1. */
__device__ __forceinline__ uint4 es_ptx_load_once(const uint4 *words) {
    uint4 loaded;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(loaded.x), "=r"(loaded.y), "=r"(loaded.z), "=r"(loaded.w)
                 : "l"(words));
    return loaded;
}

/* exp2 with the special function unit: 2 ulp, and exactly 1 for 0 and 0 for -infinity. */
__device__ __forceinline__ float es_ptx_ex2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
