/* vector_avx2.h - the vector of AVX2 with FMA and F16C: 8 lanes. See vector_math.h for the list. */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

typedef __m256 vec;
#define LANES 8u

/* 12 accumulators of 16 registers, 3 weights and one x beside them. */
#define TILE_ROWS 4u
#define TILE_OUTPUTS_OF_8 1u
#define TILE_OUTPUTS_OF_4 3u
#define TILE_OUTPUTS_OF_2 4u
#define TILE_OUTPUTS_OF_1 8u
/* The shuffles compete with the multiply-adds for a port. */
#define WIDENS_AHEAD true
#define VALUE_ROWS 2u
#define VALUE_VECTORS 4u

static inline vec v_zero(void) {
    return _mm256_setzero_ps();
}

static inline vec v_set(float a) {
    return _mm256_set1_ps(a);
}

static inline vec v_load(const float *p) {
    return _mm256_loadu_ps(p);
}

/* Keeps a loaded operand in its register: GCC would load it again for every product. */
static inline vec v_keep(vec a) {
    __asm__("" : "+x"(a));
    return a;
}

static inline void v_store(float *p, vec a) {
    _mm256_storeu_ps(p, a);
}

/* All ones in the first `count` of 8 lanes. */
static inline __m256i v_mask(uint32_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec v_load_part(const float *p, uint32_t count) {
    return _mm256_maskload_ps(p, v_mask(count));
}

static inline void v_store_part(float *p, vec a, uint32_t count) {
    _mm256_maskstore_ps(p, v_mask(count), a);
}

static inline vec v_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}

static inline vec v_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}

static inline vec v_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

static inline vec v_div(vec a, vec b) {
    return _mm256_div_ps(a, b);
}

static inline vec v_max(vec a, vec b) {
    return _mm256_max_ps(a, b);
}

static inline vec v_min(vec a, vec b) {
    return _mm256_min_ps(a, b);
}

static inline vec v_abs(vec a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

static inline vec v_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec v_power_of_two(vec whole) {
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

/* Both halves of the register get the same 8 words; one shuffle moves 4 of them into the upper
 * halves of each 4 lanes and clears the lower halves (-1). */
static inline vec v_load_bf16(const uint16_t *p, uint32_t half) {
    __m256i words = _mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)(p + 8u * half)));
    const __m256i order =
        _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7, -1, -1, 8, 9, -1,
                         -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
    return _mm256_castsi256_ps(_mm256_shuffle_epi8(words, order));
}

/* The words beyond the end are not read: there may be no memory. */
static inline __m128i v_load_part_words(const uint16_t *p, uint32_t count) {
    uint16_t words[8] = {0};
    for (uint32_t i = 0; i < count; i++) {
        words[i] = p[i];
    }
    return _mm_loadu_si128((const __m128i *)(const void *)words);
}

static inline vec v_load_part_bf16(const uint16_t *p, uint32_t count) {
    __m128i words = v_load_part_words(p, count);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
}

static inline vec v_load_f16(const uint16_t *p, uint32_t half) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 8u * half)));
}

static inline vec v_load_part_f16(const uint16_t *p, uint32_t count) {
    return _mm256_cvtph_ps(v_load_part_words(p, count));
}

/* Lanes i and i + 4, then + 2, + 1: the same additions as v_sum_4. */
static inline float v_sum(vec a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static inline float v_largest(vec a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    s = _mm_max_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static inline void v_sum_4(const vec *a, float *sums) {
    vec p = _mm256_add_ps(_mm256_permute2f128_ps(a[0], a[1], 0x20),
                          _mm256_permute2f128_ps(a[0], a[1], 0x31));
    vec q = _mm256_add_ps(_mm256_permute2f128_ps(a[2], a[3], 0x20),
                          _mm256_permute2f128_ps(a[2], a[3], 0x31));
    /* p = [0 | 1], q = [2 | 3]; next: two lanes each of [0 2 | 1 3]. */
    vec s = _mm256_add_ps(_mm256_shuffle_ps(p, q, 0x44), _mm256_shuffle_ps(p, q, 0xEE));
    s = _mm256_add_ps(_mm256_shuffle_ps(s, s, 0x88), _mm256_shuffle_ps(s, s, 0xDD));
    _mm_storeu_ps(sums, _mm_unpacklo_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}
