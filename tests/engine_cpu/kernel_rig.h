/* kernel_rig.h - what the tests of the kernels share: numbers, matrices, pools, instruction sets.
 *
 *   struct rng rng = {1};
 *   struct es_matrix w = rig_matrix(ES_DTYPE_BF16, out_dim, in_dim, &rng);     freed by the caller
 *   RIG_FOR_EACH_ISA(isa) { ... }                                  forced while the body runs */
#pragma once

#include "engine/cpu/kernels.h"
#include "platform/pool.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rng {
    uint64_t state;
};

/* Uniform in -1 .. 1, from the upper bits of a linear congruential generator (Knuth's MMIX). */
static inline float rig_number(struct rng *rng) {
    rng->state = rng->state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(rng->state >> 40) / (double)(1u << 23) - 1.0);
}

static inline float *rig_numbers(size_t count, float scale, struct rng *rng) {
    float *numbers = malloc((count + 1u) * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = scale * rig_number(rng);
    }
    return numbers;
}

/* A number of one of the three types, chosen among those that the type holds exactly. */
static inline uint16_t rig_half(enum es_dtype dtype, struct rng *rng) {
    if (dtype == ES_DTYPE_F16) {
        /* Every bit pattern with an exponent of 2^-14 (subnormals included) to 2^0. */
        rng->state = rng->state * 6364136223846793005u + 1442695040888963407u;
        uint16_t bits = (uint16_t)(rng->state >> 48);
        return (uint16_t)((bits & 0x83FFu) | ((bits >> 10 & 31u) % 16u) << 10);
    }
    float number = rig_number(rng);
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static inline double rig_widen(enum es_dtype dtype, const void *data, size_t index) {
    if (dtype == ES_DTYPE_F32) {
        return (double)((const float *)data)[index];
    }
    uint16_t half = ((const uint16_t *)data)[index];
    if (dtype == ES_DTYPE_F16) {
        int exponent = half >> 10 & 31;
        double fraction = (double)(half & 1023) / 1024.0;
        double value = exponent == 0 ? ldexp(fraction, -14) : ldexp(1.0 + fraction, exponent - 15);
        return (half & 0x8000) != 0 ? -value : value;
    }
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Exactly as long as the shape says, so that a sanitizer sees a read beyond the end. */
static inline struct es_matrix rig_matrix(enum es_dtype dtype, uint32_t out_dim, uint32_t in_dim,
                                          struct rng *rng) {
    size_t count = (size_t)out_dim * in_dim;
    void *data = malloc(count * es_dtype_bytes(dtype));
    for (size_t i = 0; i < count; i++) {
        if (dtype == ES_DTYPE_F32) {
            ((float *)data)[i] = rig_number(rng);
        } else {
            ((uint16_t *)data)[i] = rig_half(dtype, rng);
        }
    }
    return (struct es_matrix){data, out_dim, in_dim, dtype, in_dim};
}

/* Bits, not values: 0 and -0 differ, and so do two NaN. */
static inline bool rig_same_bits(const void *a, const void *b, size_t count) {
    return memcmp(a, b, count * sizeof(float)) == 0;
}

static inline struct es_pool *rig_pool(uint32_t thread_count) {
    struct es_pool *pool = NULL;
    struct es_error error;
    ES_EXPECT(es_pool_start(&pool, thread_count, &error) == ES_OK);
    return pool;
}

/* The next instruction set from `isa` on that this machine has, forced; ES_ISA_NEON + 1 when there
 * is none left, and the machine's own choice again. */
static inline int rig_isa_from(int isa, enum es_isa best) {
    while (isa <= ES_ISA_NEON && !es_isa_available((enum es_isa)isa)) {
        isa++;
    }
    es_isa_force(isa <= ES_ISA_NEON ? (enum es_isa)isa : best);
    return isa;
}

#define RIG_FOR_EACH_ISA(isa)                                                                      \
    for (enum es_isa isa##_best = es_isa_current(), isa##_end = (enum es_isa)(ES_ISA_NEON + 1),    \
                     isa = (enum es_isa)rig_isa_from(0, isa##_best);                               \
         isa != isa##_end; isa = (enum es_isa)rig_isa_from((int)isa + 1, isa##_best))
