/* vector_math.h - what the vectors of the instruction sets have in common.
 *
 * A vector_<isa>.h defines `vec`, LANES, its tile sizes and v_zero, v_set, v_load, v_keep, v_store,
 * v_load_part, v_store_part (the first `count` < LANES lanes; the others read as 0 and are not
 * touched), v_add, v_sub, v_mul, v_div, v_max, v_min, v_abs, v_fma (fused where the hardware can),
 * v_power_of_two (of a whole number -126..127), v_sum (a fixed tree), v_sum_4 (the same tree for
 * four vectors at once), v_largest, and loads that widen weights: v_load_bf16 and v_load_f16 (half
 * 0 or 1 of 2 * LANES elements), v_load_part_bf16 and v_load_part_f16. Include after one of them.
 */
#pragma once

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif
#define INLINE static inline __attribute__((always_inline))

/* e^x within 1.5 units in the last place; x is clamped to the range of normal results. x = n ln 2 +
 * r with |r| <= ln 2 / 2, e^r by its series to r^7 / 7! (the next term is under 6e-9). */
INLINE vec v_exp(vec x) {
    x = v_min(v_max(x, v_set(-87.3f)), v_set(88.3f));
    /* Adding 1.5 * 2^23 rounds to a whole number. */
    const vec round = v_set(12582912.0f);
    vec n = v_sub(v_add(v_mul(x, v_set(1.44269504f)), round), round);
    /* ln 2 in two parts; the first has 9 trailing zero bits, so that n times it is exact. */
    vec r = v_fma(n, v_set(-0.693145751953125f), x);
    r = v_fma(n, v_set(-1.42860677e-6f), r);
    vec p = v_set(1.0f / 5040.0f);
    p = v_fma(p, r, v_set(1.0f / 720.0f));
    p = v_fma(p, r, v_set(1.0f / 120.0f));
    p = v_fma(p, r, v_set(1.0f / 24.0f));
    p = v_fma(p, r, v_set(1.0f / 6.0f));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(p, v_mul(r, r), r);
    return v_mul(v_add(p, v_set(1.0f)), v_power_of_two(n));
}
