/* vector_portable.h - four lanes of plain C on the compiler's vector type: any architecture. See
 * vector_math.h for the list. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_bits __attribute__((vector_size(16)));
#define LANES 4u

#define TILE_ROWS 4u
#define TILE_OUTPUTS_OF_8 1u
#define TILE_OUTPUTS_OF_4 2u
#define TILE_OUTPUTS_OF_2 4u
#define TILE_OUTPUTS_OF_1 8u
/* Widening costs more than half of the loop (17 to 35 GFLOP/s on x86-64). */
#define WIDENS_AHEAD true
#define VALUE_ROWS 2u
#define VALUE_VECTORS 4u

static inline vec v_set(float a) {
    return (vec){a, a, a, a};
}

static inline vec v_zero(void) {
    return v_set(0.0f);
}

static inline vec v_load(const float *p) {
    vec a;
    memcpy(&a, p, sizeof a);
    return a;
}

static inline vec v_keep(vec a) {
    return a;
}

static inline void v_store(float *p, vec a) {
    memcpy(p, &a, sizeof a);
}

static inline vec v_load_part(const float *p, uint32_t count) {
    vec a = v_zero();
    memcpy(&a, p, count * sizeof *p);
    return a;
}

static inline void v_store_part(float *p, vec a, uint32_t count) {
    memcpy(p, &a, count * sizeof *p);
}

static inline vec v_add(vec a, vec b) {
    return a + b;
}

static inline vec v_sub(vec a, vec b) {
    return a - b;
}

static inline vec v_mul(vec a, vec b) {
    return a * b;
}

static inline vec v_div(vec a, vec b) {
    return a / b;
}

static inline vec v_select(vec_bits mask, vec a, vec b) {
    return (vec)(((vec_bits)a & mask) | ((vec_bits)b & ~mask));
}

static inline vec v_max(vec a, vec b) {
    return v_select(a > b, a, b);
}

static inline vec v_min(vec a, vec b) {
    return v_select(a < b, a, b);
}

static inline vec v_abs(vec a) {
    return (vec)((vec_bits)a & 0x7FFFFFFF);
}

static inline vec v_fma(vec a, vec b, vec c) {
    return a * b + c;
}

static inline vec v_power_of_two(vec whole) {
    return (vec)((__builtin_convertvector(whole, vec_bits) + 127) << 23);
}

static inline float v_from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline vec v_load_part_bf16(const uint16_t *p, uint32_t count) {
    vec a = v_zero();
    for (uint32_t i = 0; i < count; i++) {
        a[i] = v_from_bf16(p[i]);
    }
    return a;
}

static inline vec v_load_bf16(const uint16_t *p, uint32_t half) {
    typedef uint16_t words __attribute__((vector_size(8)));
    typedef uint32_t wide __attribute__((vector_size(16)));
    words a;
    memcpy(&a, p + LANES * half, sizeof a);
    return (vec)(__builtin_convertvector(a, wide) << 16);
}

/* Exponent and fraction move to their places; 2^112 corrects the exponent's bias and makes
 * subnormal numbers right as well, because the product with a power of two is exact. */
static inline float v_from_f16(uint16_t half) {
    uint32_t bits = (uint32_t)(half & 0x7FFFu) << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    if ((half & 0x7C00u) == 0x7C00u) {
        value = (half & 0x3FFu) != 0 ? NAN : INFINITY;
    }
    return (half & 0x8000u) != 0 ? -value : value;
}

static inline vec v_load_part_f16(const uint16_t *p, uint32_t count) {
    vec a = v_zero();
    for (uint32_t i = 0; i < count; i++) {
        a[i] = v_from_f16(p[i]);
    }
    return a;
}

static inline vec v_load_f16(const uint16_t *p, uint32_t half) {
    return v_load_part_f16(p + LANES * half, LANES);
}

static inline float v_sum(vec a) {
    return (a[0] + a[2]) + (a[1] + a[3]);
}

static inline float v_largest(vec a) {
    return fmaxf(fmaxf(a[0], a[2]), fmaxf(a[1], a[3]));
}

static inline void v_sum_4(const vec *a, float *sums) {
    for (uint32_t i = 0; i < 4u; i++) {
        sums[i] = v_sum(a[i]);
    }
}
