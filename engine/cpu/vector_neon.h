/* vector_neon.h - the vector of Advanced SIMD on arm64: 4 lanes. See vector_math.h for the list. */
#pragma once

#include <arm_neon.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef float32x4_t vec;
#define LANES 4u

/* 24 accumulators of 32 registers. */
#define TILE_ROWS 8u
#define TILE_OUTPUTS_OF_8 3u
#define TILE_OUTPUTS_OF_4 6u
#define TILE_OUTPUTS_OF_2 8u
#define TILE_OUTPUTS_OF_1 8u
/* The shifts compete with the multiply-adds for a pipe. */
#define WIDENS_AHEAD true
#define VALUE_ROWS 4u
#define VALUE_VECTORS 4u

static inline vec v_zero(void) {
    return vdupq_n_f32(0.0f);
}

static inline vec v_set(float a) {
    return vdupq_n_f32(a);
}

static inline vec v_load(const float *p) {
    return vld1q_f32(p);
}

/* Keeps a loaded operand in its register: GCC would load it again for every product. */
static inline vec v_keep(vec a) {
    __asm__("" : "+w"(a));
    return a;
}

static inline void v_store(float *p, vec a) {
    vst1q_f32(p, a);
}

static inline vec v_load_part(const float *p, uint32_t count) {
    float lanes[LANES] = {0};
    memcpy(lanes, p, count * sizeof *p);
    return vld1q_f32(lanes);
}

static inline void v_store_part(float *p, vec a, uint32_t count) {
    float lanes[LANES];
    vst1q_f32(lanes, a);
    memcpy(p, lanes, count * sizeof *p);
}

static inline vec v_add(vec a, vec b) {
    return vaddq_f32(a, b);
}

static inline vec v_sub(vec a, vec b) {
    return vsubq_f32(a, b);
}

static inline vec v_mul(vec a, vec b) {
    return vmulq_f32(a, b);
}

static inline vec v_div(vec a, vec b) {
    return vdivq_f32(a, b);
}

static inline vec v_max(vec a, vec b) {
    return vmaxq_f32(a, b);
}

static inline vec v_min(vec a, vec b) {
    return vminq_f32(a, b);
}

static inline vec v_abs(vec a) {
    return vabsq_f32(a);
}

static inline vec v_fma(vec a, vec b, vec c) {
    return vfmaq_f32(c, a, b);
}

static inline vec v_power_of_two(vec whole) {
    int32x4_t biased = vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
}

static inline vec v_from_bf16_words(uint16x4_t words) {
    return vreinterpretq_f32_u32(vshll_n_u16(words, 16));
}

static inline uint16x4_t v_load_part_words(const uint16_t *p, uint32_t count) {
    uint16_t words[LANES] = {0};
    memcpy(words, p, count * sizeof *p);
    return vld1_u16(words);
}

static inline vec v_load_bf16(const uint16_t *p, uint32_t half) {
    return v_from_bf16_words(vld1_u16(p + LANES * half));
}

static inline vec v_load_part_bf16(const uint16_t *p, uint32_t count) {
    return v_from_bf16_words(v_load_part_words(p, count));
}

static inline vec v_load_f16(const uint16_t *p, uint32_t half) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + LANES * half)));
}

static inline vec v_load_part_f16(const uint16_t *p, uint32_t count) {
    return vcvt_f32_f16(vreinterpret_f16_u16(v_load_part_words(p, count)));
}

/* Neighbours first, as the pairwise additions of v_sum_4. */
static inline float v_sum(vec a) {
    vec s = vpaddq_f32(a, a);
    return vgetq_lane_f32(vpaddq_f32(s, s), 0);
}

static inline float v_largest(vec a) {
    return vmaxvq_f32(a);
}

static inline void v_sum_4(const vec *a, float *sums) {
    vst1q_f32(sums, vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3])));
}
