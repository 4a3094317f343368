/* cuda_fp16.h - f16 numbers and pairs of them, for the simulated GPU. */
#pragma once

#include "tests/simt/halves.h"

struct alignas(2) __half {
    uint16_t bits;
};
struct alignas(4) __half2 {
    __half x, y;
};

static inline __half __float2half_rn(float x) {
    return {simt::to_f16(x)};
}
static inline float __half2float(__half x) {
    return simt::from_f16(x.bits);
}
static inline __half2 __floats2half2_rn(float first, float second) {
    return {__float2half_rn(first), __float2half_rn(second)};
}
static inline __half2 __halves2half2(__half first, __half second) {
    return {first, second};
}
static inline float __low2float(__half2 pair) {
    return __half2float(pair.x);
}
static inline float __high2float(__half2 pair) {
    return __half2float(pair.y);
}
