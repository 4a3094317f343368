/* warp.h - instructions that a warp executes together, and asynchronous copies.
 *
 *   simt::warp_sync(mask, place);
 *   float other = simt::shuffle(mask, mine, lane, "__shfl_sync", place);
 *
 * A lane leaves its operands and waits; the last one to come does the work for all. Lanes that meet
 * in different instructions are a failure. */
#pragma once

#include "tests/simt/grid.h"

namespace simt {

/* Does `act(operands of each lane, lanes present)` once all lanes of the mask have come. */
void meet(uint32_t mask, const char *what, void *operands,
          void (*act)(void *const *operands, uint32_t present), place place);

/* A lane of the warp has ended: those that wait for it alone go on. */
void lane_ended(warp &warp);

void warp_sync(uint32_t mask, place place);
uint32_t ballot(uint32_t mask, bool is_true, const char *what, place place);

struct shuffle_operands {
    uint64_t mine, found;
    int from;
};
uint64_t shuffle_bits(uint32_t mask, uint64_t mine, int from, const char *what, place place);

template <class Type>
static inline Type shuffle(uint32_t mask, Type value, int from, const char *what, place place) {
    static_assert(sizeof(Type) == 4 || sizeof(Type) == 8, "as the hardware has it");
    if constexpr (sizeof(Type) == 4) {
        const uint32_t bits = __builtin_bit_cast(uint32_t, value);
        return __builtin_bit_cast(Type, (uint32_t)shuffle_bits(mask, bits, from, what, place));
    } else {
        const uint64_t bits = __builtin_bit_cast(uint64_t, value);
        return __builtin_bit_cast(Type, shuffle_bits(mask, bits, from, what, place));
    }
}

/* mma.sync.m16n8k16: sums [16, 8] += A [16, 16] B [16, 8] of BF16 or f16 numbers. */
struct multiply_operands {
    float *sums;
    uint32_t a[4], b[2];
};
void multiply(multiply_operands operands, bool is_bf16, place place);

/* ldmatrix.m8n8.x4; `from` is an offset of shared memory. */
void load_matrices(uint32_t (&to)[4], uint32_t from, bool is_transposed, place place);

/* cp.async of 16 bytes: reads and writes when it is waited for, not before. */
void copy_later(uint32_t to, const void *from, bool is_there, place place);
void copy_close();
void copy_wait(uint32_t open_count);

} // namespace simt
