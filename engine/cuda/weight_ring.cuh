/* weight_ring.cuh - weights on their way through shared memory, ahead of who multiplies by them.
 *
 *   es_ring_open(ring);                                    thread 0; then __syncthreads
 *   es_ring_fill(ring, at, row_count, row_bytes, from);    a producer's warp
 *   const uint4 *block = es_ring_await(ring, at);          a consumer's warp
 *   es_ring_free(ring, at);
 *   es_ring_advance(ring, at, step);                       either
 *
 * A block is a piece of 512 columns of 8 weight rows, 1 KiB a row. Blocks are numbered in the order
 * in which they are used, over all matrices of a kernel; number n lies in slot n modulo the depth.
 * Weights are never written, so producers wait for nothing but room: what the next matrix needs is
 * there when its input is. No more than ES_RING_FLIGHT blocks are under way at a time: that is
 * enough to keep memory busy, and more would only queue in front of what everybody waits for, the
 * activations.
 *
 * Number n is filled by producer n % ES_RING_PRODUCERS, and the depth is a multiple of that and of
 * the consumers' number, who take turns alike. So a slot is always of the same two warps, and who
 * waits for it has seen its filling before: the two states that a barrier tells apart are enough. A
 * block takes a warp 700 cycles to issue, and an SM's share of an H200's memory leaves 460: hence
 * several producers. Each waits for its turn: numbers go out in order, and so nobody is further
 * ahead of a warp that has not yet emptied its slot than the ring is deep.
 *
 * From compute capability 9.0 on by bulk copies, below by cp.async: the same bytes. */
#pragma once

#include "engine/cuda/ptx.cuh"

#define ES_RING_ROWS 8u
#define ES_RING_COLUMNS 512u
#define ES_RING_ROW_WORDS (ES_RING_COLUMNS / 8u) /* of 16 bytes */
/* Odd rows lie behind the even ones and half a line further: eight threads that read 16 bytes each
 * of two rows find them in different banks. */
#define ES_RING_ODD_WORDS (ES_RING_ROWS / 2u * ES_RING_ROW_WORDS + 4u)
#define ES_RING_BLOCK_WORDS (ES_RING_ROWS * ES_RING_ROW_WORDS + 4u)
#define ES_RING_BLOCK_BYTES (ES_RING_BLOCK_WORDS * 16u)
#define ES_RING_PRODUCERS 4u
#define ES_RING_FLIGHT 6u

struct es_ring {
    uint4 *blocks;    /* [depth, ES_RING_BLOCK_WORDS], shared memory */
    uint64_t *filled; /* [depth] barriers, shared memory */
    uint64_t *freed;
    uint32_t *turn; /* the number that goes out next */
    uint32_t depth;
};

__device__ __forceinline__ void es_ring_open(const struct es_ring &ring) {
    for (uint32_t slot = 0; slot < ring.depth; slot++) {
        es_ptx_mbarrier_init(ring.filled + slot, es_ptx_has_bulk_copies() ? 1u : 32u);
        es_ptx_mbarrier_init(ring.freed + slot, 1u);
    }
    *ring.turn = 0;
    es_ptx_mbarrier_publish();
}

/* Where a row of a block begins. */
__device__ __forceinline__ uint32_t es_ring_row(uint32_t row) {
    return row / 2u * ES_RING_ROW_WORDS + row % 2u * ES_RING_ODD_WORDS;
}

/* Where one warp is: it takes every so many numbers, ES_RING_PRODUCERS or the consumers' number. */
struct es_ring_cursor {
    uint32_t number, slot;
    uint32_t turn; /* how often the ring has been around */
};

__device__ __forceinline__ void es_ring_advance(const struct es_ring &ring,
                                                struct es_ring_cursor &at, uint32_t step) {
    at.number += step;
    at.slot += step;
    if (at.slot >= ring.depth) {
        at.slot -= ring.depth;
        at.turn++;
    }
}

/* Waits for the block that is to have come before this one goes. */
__device__ __forceinline__ void es_ring_await_flight(const struct es_ring &ring,
                                                     const struct es_ring_cursor &at) {
    const bool is_same_turn = at.slot >= ES_RING_FLIGHT;
    const uint32_t slot =
        is_same_turn ? at.slot - ES_RING_FLIGHT : at.slot + ring.depth - ES_RING_FLIGHT;
    const uint32_t turn = is_same_turn ? at.turn : at.turn - 1u;
    while (at.number >= ES_RING_FLIGHT && !es_ptx_mbarrier_test(ring.filled + slot, turn & 1u)) {
    }
}

/* A producer's 32 lanes together. `from(row)`: where row 0..row_count-1 of the block begins; of
 * each `row_bytes` are copied, a multiple of 64. Rows beyond row_count keep what they held. */
template <class From>
__device__ __forceinline__ void es_ring_fill(const struct es_ring &ring,
                                             const struct es_ring_cursor &at, uint32_t row_count,
                                             uint32_t row_bytes, const From &from) {
    const uint32_t lane = threadIdx.x % 32u;
    while (at.turn > 0 && !es_ptx_mbarrier_test(ring.freed + at.slot, (at.turn - 1u) & 1u)) {
    }
    while (es_ptx_shared_peek(ring.turn) != at.number) {
    }
    es_ring_await_flight(ring, at); /* all before have gone out: its barrier is no turn behind */
    __syncwarp();
    if (lane == 0) {
        atomicExch(ring.turn, at.number + 1u);
    }
    uint4 *block = ring.blocks + (size_t)at.slot * ES_RING_BLOCK_WORDS;
    if (es_ptx_has_bulk_copies()) {
        if (lane == 0) {
            es_ptx_mbarrier_expect(ring.filled + at.slot, row_count * row_bytes);
        }
        __syncwarp();
        if (lane < row_count) {
            es_ptx_copy_bulk(block + es_ring_row(lane), from(lane), row_bytes,
                             ring.filled + at.slot);
        }
        return;
    }
    for (uint32_t row = 0; row < row_count; row++) {
        const uint4 *words = reinterpret_cast<const uint4 *>(from(row));
        for (uint32_t word = lane; word < row_bytes / 16u; word += 32u) {
            es_ptx_cp_async(es_ptx_shared(block + es_ring_row(row) + word), words + word, true);
        }
    }
    es_ptx_mbarrier_arrive_copies(ring.filled + at.slot);
}

__device__ __forceinline__ const uint4 *es_ring_await(const struct es_ring &ring,
                                                      const struct es_ring_cursor &at) {
    while (!es_ptx_mbarrier_test(ring.filled + at.slot, at.turn & 1u)) {
    }
    return ring.blocks + (size_t)at.slot * ES_RING_BLOCK_WORDS;
}

__device__ __forceinline__ void es_ring_free(const struct es_ring &ring,
                                             const struct es_ring_cursor &at) {
    __syncwarp();
    if (threadIdx.x % 32u == 0) {
        es_ptx_mbarrier_arrive(ring.freed + at.slot);
    }
}
