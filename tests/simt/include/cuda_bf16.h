/* cuda_bf16.h - pairs of BF16 numbers, for the simulated GPU. */
#pragma once

#include "tests/simt/halves.h"

struct alignas(4) __nv_bfloat162 {
    uint16_t x, y;
};

static inline __nv_bfloat162 __floats2bfloat162_rn(float first, float second) {
    return {simt::to_bf16(first), simt::to_bf16(second)};
}
