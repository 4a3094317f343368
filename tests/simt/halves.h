/* halves.h - f16 and BF16 numbers as bits, rounded to the nearest even one as the hardware does.
 *
 *   uint16_t bits = simt::to_f16(1.5f);    float x = simt::from_f16(bits); */
#pragma once

#include <stdint.h>

namespace simt {

static inline float from_bf16(uint16_t bits) {
    return __builtin_bit_cast(float, (uint32_t)bits << 16);
}

static inline uint16_t to_bf16(float x) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return 0x7fff; /* cvt.rn.bf16 gives this NaN */
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Moved into place, the exponent is 112 too small: one exact product corrects it, and makes normal
 * numbers of subnormal ones. */
static inline float from_f16(uint16_t bits) {
    const uint32_t magnitude = (uint32_t)(bits & 0x7fffu) << 13;
    const float scaled = __builtin_bit_cast(float, magnitude) * 0x1p112f;
    uint32_t result = __builtin_bit_cast(uint32_t, scaled);
    result = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : result;
    return __builtin_bit_cast(float, result | (uint32_t)(bits & 0x8000u) << 16);
}

static inline uint16_t to_f16(float x) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return 0x7fff; /* cvt.rn.f16 gives this NaN */
    }
    if (magnitude >= 0x477ff000u) { /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude <
        0x38800000u) { /* below 2^-14: a multiple of 2^-24, which adding 0.5 rounds to */
        const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
        return (uint16_t)(sign | (__builtin_bit_cast(uint32_t, shifted) - 0x3f000000u));
    }
    const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

} // namespace simt
