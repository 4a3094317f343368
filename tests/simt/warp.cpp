#include "tests/simt/warp.h"

#include "tests/simt/halves.h"
#include "tests/simt/shared.h"

#include <string.h>

namespace simt {

#define WHOLE_WARP 0xffffffffu

/* -- meeting ----------------------------------------------------------------------------------- */

/* All who are to come have: the one that runs does the work. */
static void complete(warp &warp, meeting &meeting) {
    const uint32_t lanes = meeting.arrived;
    meeting.arrived = 0;
    if (meeting.act != nullptr) {
        meeting.act(warp.operands, lanes);
    }
    wake(warp, current->waits_for != nullptr ? lanes & ~(1u << current->lane) : lanes);
}

void lane_ended(warp &warp) {
    for (meeting &meeting : warp.meetings) {
        if (meeting.arrived != 0 && meeting.arrived == (meeting.wanted & warp.present)) {
            complete(warp, meeting);
        }
    }
}

static meeting &meeting_for(warp &warp, uint32_t mask, const char *what) {
    meeting *free_one = nullptr;
    for (meeting &meeting : warp.meetings) {
        if (meeting.arrived == 0) {
            free_one = free_one == nullptr ? &meeting : free_one;
        } else if (meeting.wanted == mask && strcmp(meeting.what, what) == 0) {
            return meeting;
        } else if ((meeting.arrived & mask) != 0) {
            fail("%s of lanes %08x, while lanes %08x wait in %s of lanes %08x", what, mask,
                 meeting.arrived, meeting.what, meeting.wanted);
        }
    }
    if (free_one == nullptr) {
        fail("%s: more than %u parts of a warp wait on their own", what, SIMT_MEETING_COUNT_MAX);
    }
    return *free_one;
}

void meet(uint32_t mask, const char *what, void *operands,
          void (*act)(void *const *operands, uint32_t present), place place) {
    warp &warp = *current->warp;
    const uint32_t bit = 1u << current->lane;
    if ((mask & bit) == 0) {
        fail("%s of lanes %08x by lane %u, which is none of them", what, mask, current->lane);
    }
    meeting &meeting = meeting_for(warp, mask, what);
    meeting.wanted = mask;
    meeting.what = what;
    meeting.act = act;
    meeting.arrived |= bit;
    warp.operands[current->lane] = operands;
    if (meeting.arrived == (mask & warp.present)) {
        complete(warp, meeting);
    } else {
        wait(what, place);
    }
}

static void expect_whole(uint32_t present, const char *what) {
    if (present != WHOLE_WARP) {
        fail("%s by lanes %08x: it takes all of a warp", what, present);
    }
}

/* -- votes and shuffles ------------------------------------------------------------------------ */

void warp_sync(uint32_t mask, place place) {
    meet(mask, "__syncwarp", nullptr, nullptr, place);
}

struct ballot_operands {
    bool is_true;
    uint32_t votes;
};

uint32_t ballot(uint32_t mask, bool is_true, const char *what, place place) {
    ballot_operands mine = {is_true, 0};
    meet(
        mask, what, &mine,
        [](void *const *operands, uint32_t present) {
            uint32_t votes = 0;
            for (uint32_t i = 0; i < 32; i++) {
                const bool is_here = (present >> i & 1u) != 0;
                votes |=
                    is_here && static_cast<ballot_operands *>(operands[i])->is_true ? 1u << i : 0u;
            }
            for (uint32_t i = 0; i < 32; i++) {
                if ((present >> i & 1u) != 0) {
                    static_cast<ballot_operands *>(operands[i])->votes = votes;
                }
            }
        },
        place);
    return mine.votes;
}

uint64_t shuffle_bits(uint32_t mask, uint64_t mine, int from, const char *what, place place) {
    shuffle_operands operands = {mine, 0, from};
    meet(
        mask, what, &operands,
        [](void *const *all, uint32_t present) {
            for (uint32_t i = 0; i < 32; i++) {
                if ((present >> i & 1u) == 0) {
                    continue;
                }
                shuffle_operands &to = *static_cast<shuffle_operands *>(all[i]);
                if ((present >> to.from & 1u) == 0) {
                    fail("a shuffle: lane %u reads lane %d, which takes no part", i, to.from);
                }
                to.found = static_cast<const shuffle_operands *>(all[to.from])->mine;
            }
        },
        place);
    return operands.found;
}

/* -- products ---------------------------------------------------------------------------------- */

/* Two numbers of a register, the lower half first. */
template <bool IS_BF16> static void unpack(uint32_t pair, float *to, size_t stride) {
    const uint16_t low = (uint16_t)pair;
    const uint16_t high = (uint16_t)(pair >> 16);
    to[0] = IS_BF16 ? from_bf16(low) : from_f16(low);
    to[stride] = IS_BF16 ? from_bf16(high) : from_f16(high);
}

/* PTX ISA, "Matrix Fragments for mma.m16n8k16": lane 4 g + t has of A the rows g (a0, a2) and g + 8
 * (a1, a3), columns 2 t and 2 t + 1, and 8 more for a2 and a3; of B column g, rows 2 t and 2 t + 1,
 * and 8 more for b1; of the sums rows g (0, 1) and g + 8 (2, 3), columns 2 t and 2 t + 1. */
template <bool IS_BF16> static void multiply_all(void *const *operands, uint32_t present) {
    float a[16][16];
    float b[16][8];
    expect_whole(present, "mma");
    for (uint32_t lane = 0; lane < 32; lane++) {
        const multiply_operands &mine = *static_cast<multiply_operands *>(operands[lane]);
        const uint32_t g = lane / 4u;
        const uint32_t t = lane % 4u;
        for (uint32_t i = 0; i < 4; i++) {
            unpack<IS_BF16>(mine.a[i], &a[g + 8u * (i & 1u)][2u * t + 8u * (i >> 1)], 1);
        }
        unpack<IS_BF16>(mine.b[0], &b[2u * t][g], 8);
        unpack<IS_BF16>(mine.b[1], &b[2u * t + 8u][g], 8);
    }
    float sums[16][8];
    for (uint32_t row = 0; row < 16; row++) {
        for (uint32_t column = 0; column < 8; column++) {
            sums[row][column] = a[row][0] * b[0][column];
        }
        for (uint32_t k = 1; k < 16; k++) {
            for (uint32_t column = 0; column < 8; column++) {
                sums[row][column] += a[row][k] * b[k][column];
            }
        }
    }
    for (uint32_t lane = 0; lane < 32; lane++) {
        float *mine = static_cast<multiply_operands *>(operands[lane])->sums;
        const uint32_t g = lane / 4u;
        const uint32_t t = lane % 4u;
        for (uint32_t i = 0; i < 4; i++) {
            mine[i] += sums[g + 8u * (i >> 1)][2u * t + (i & 1u)];
        }
    }
}

void multiply(multiply_operands operands, bool is_bf16, place place) {
    meet(WHOLE_WARP, is_bf16 ? "mma (bf16)" : "mma (f16)", &operands,
         is_bf16 ? multiply_all<true> : multiply_all<false>, place);
}

/* -- matrices ---------------------------------------------------------------------------------- */

struct load_operands {
    uint32_t *to; /* [4] */
    uint32_t from;
};

/* PTX ISA, "ldmatrix": lanes 8 m .. 8 m + 7 have the addresses of matrix m's rows; register m of lane
 * 4 g + t becomes row g, elements 2 t and 2 t + 1 of it; transposed, column g, rows 2 t and 2 t + 1. */
template <bool IS_TRANSPOSED> static void load_all(void *const *operands, uint32_t present) {
    uint16_t rows[32][8];
    expect_whole(present, "ldmatrix");
    for (uint32_t lane = 0; lane < 32; lane++) {
        const load_operands &mine = *static_cast<load_operands *>(operands[lane]);
        memcpy(rows[lane], shared_at(mine.from, sizeof rows[lane], "ldmatrix"), sizeof rows[lane]);
    }
    for (uint32_t lane = 0; lane < 32; lane++) {
        uint32_t *to = static_cast<load_operands *>(operands[lane])->to;
        const uint32_t g = lane / 4u;
        const uint32_t t = lane % 4u;
        for (uint32_t m = 0; m < 4; m++) {
            const uint16_t(*matrix)[8] = rows + 8u * m;
            const uint16_t low = IS_TRANSPOSED ? matrix[2u * t][g] : matrix[g][2u * t];
            const uint16_t high = IS_TRANSPOSED ? matrix[2u * t + 1u][g] : matrix[g][2u * t + 1u];
            to[m] = (uint32_t)high << 16 | low;
        }
    }
}

void load_matrices(uint32_t (&to)[4], uint32_t from, bool is_transposed, place place) {
    load_operands mine = {to, from};
    meet(WHOLE_WARP, is_transposed ? "ldmatrix.trans" : "ldmatrix", &mine,
         is_transposed ? load_all<true> : load_all<false>, place);
}

/* -- asynchronous copies ----------------------------------------------------------------------- */

void copy_later(uint32_t to, const void *from, bool is_there, place place) {
    (void)place;
    if (current->copy_count == SIMT_COPY_COUNT_MAX) {
        fail("more than %u asynchronous copies of one thread", SIMT_COPY_COUNT_MAX);
    }
    (void)shared_at(to, 16, "cp.async");
    if (is_there && (uintptr_t)from % 16u != 0) {
        fail("cp.async: the source is not aligned to 16 bytes");
    }
    current->copies[current->copy_count++] = {to, is_there ? from : nullptr, current->copy_group};
}

void copy_close() {
    current->copy_group++;
}

void copy_wait(uint32_t open_count) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < current->copy_count; i++) {
        const copy &copy = current->copies[i];
        if (copy.group + open_count >= current->copy_group) {
            current->copies[left++] = copy;
            continue;
        }
        void *to = shared_at(copy.to, 16, "cp.async");
        if (copy.from != nullptr) {
            memcpy(to, copy.from, 16);
        } else {
            memset(to, 0, 16);
        }
    }
    current->copy_count = left;
}

} // namespace simt
