/* vector_avx512.h - the vector of AVX-512 (F, BW, DQ, VL): 16 lanes. See vector_math.h for the
 * list. */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

typedef __m512 vec;
#define LANES 16u

/* 24 accumulators, one row's or one output's operand in registers beside them. */
#define TILE_ROWS 8u
#define TILE_OUTPUTS_OF_8 3u
#define TILE_OUTPUTS_OF_4 6u
#define TILE_OUTPUTS_OF_2 8u
#define TILE_OUTPUTS_OF_1 8u
/* Widening 16 weights is one shuffle: less than reading them back from a wide copy. */
#define WIDENS_AHEAD false
#define VALUE_ROWS 4u
#define VALUE_VECTORS 4u

static inline vec v_zero(void) {
    return _mm512_setzero_ps();
}

static inline vec v_set(float a) {
    return _mm512_set1_ps(a);
}

static inline vec v_load(const float *p) {
    return _mm512_loadu_ps(p);
}

/* Keeps a loaded operand in its register: GCC would load it again for every product. */
static inline vec v_keep(vec a) {
    __asm__("" : "+v"(a));
    return a;
}

static inline void v_store(float *p, vec a) {
    _mm512_storeu_ps(p, a);
}

static inline __mmask16 v_mask(uint32_t count) {
    return (__mmask16)((1u << count) - 1u);
}

static inline vec v_load_part(const float *p, uint32_t count) {
    return _mm512_maskz_loadu_ps(v_mask(count), p);
}

static inline void v_store_part(float *p, vec a, uint32_t count) {
    _mm512_mask_storeu_ps(p, v_mask(count), a);
}

static inline vec v_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

static inline vec v_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

static inline vec v_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

static inline vec v_div(vec a, vec b) {
    return _mm512_div_ps(a, b);
}

static inline vec v_max(vec a, vec b) {
    return _mm512_max_ps(a, b);
}

static inline vec v_min(vec a, vec b) {
    return _mm512_min_ps(a, b);
}

static inline vec v_abs(vec a) {
    return _mm512_abs_ps(a);
}

static inline vec v_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec v_power_of_two(vec whole) {
    __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}

/* One shuffle moves 16 of the 32 words into the upper halves of 16 lanes, in order, and clears the
 * lower halves. */
static inline vec v_load_bf16(const uint16_t *p, uint32_t half) {
    const __m512i low = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8,
                                         7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    const __m512i high =
        _mm512_set_epi16(31, 31, 30, 30, 29, 29, 28, 28, 27, 27, 26, 26, 25, 25, 24, 24, 23, 23, 22,
                         22, 21, 21, 20, 20, 19, 19, 18, 18, 17, 17, 16, 16);
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xAAAAAAAAu, half == 0 ? low : high,
                                                              _mm512_loadu_si512((const void *)p)));
}

static inline vec v_load_part_bf16(const uint16_t *p, uint32_t count) {
    __m256i words = _mm256_maskz_loadu_epi16(v_mask(count), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
}

static inline vec v_load_f16(const uint16_t *p, uint32_t half) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p + 16u * half)));
}

static inline vec v_load_part_f16(const uint16_t *p, uint32_t count) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(v_mask(count), p));
}

/* Lanes i and i + 8, then + 4, + 2, + 1: the same additions as v_sum_4. */
static inline float v_sum(vec a) {
    a = _mm512_add_ps(a, _mm512_shuffle_f32x4(a, a, 0xEE));
    a = _mm512_add_ps(a, _mm512_shuffle_f32x4(a, a, 0x55));
    a = _mm512_add_ps(a, _mm512_permute_ps(a, 0xEE));
    a = _mm512_add_ps(a, _mm512_permute_ps(a, 0x55));
    return _mm512_cvtss_f32(a);
}

static inline float v_largest(vec a) {
    return _mm512_reduce_max_ps(a);
}

static inline void v_sum_4(const vec *a, float *sums) {
    vec p = _mm512_add_ps(_mm512_shuffle_f32x4(a[0], a[1], 0x44),
                          _mm512_shuffle_f32x4(a[0], a[1], 0xEE));
    vec q = _mm512_add_ps(_mm512_shuffle_f32x4(a[2], a[3], 0x44),
                          _mm512_shuffle_f32x4(a[2], a[3], 0xEE));
    vec s = _mm512_add_ps(_mm512_shuffle_f32x4(p, q, 0x88), _mm512_shuffle_f32x4(p, q, 0xDD));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xEE));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x55));
    _mm_storeu_ps(sums, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, s)));
}
