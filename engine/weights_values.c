#include "engine/weights_values.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[] = {
    [ES_DTYPE_BF16] = {"BF16", 2}, [ES_DTYPE_F16] = {"F16", 2}, [ES_DTYPE_F32] = {"F32", 4}};

#define DTYPE_COUNT (sizeof dtypes / sizeof dtypes[0])

size_t es_dtype_bytes(enum es_dtype dtype) {
    return dtypes[dtype].bytes;
}

const char *es_dtype_name(enum es_dtype dtype) {
    return dtypes[dtype].name;
}

bool es_dtype_find(const char *name, enum es_dtype *dtype) {
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype = (enum es_dtype)i;
            return true;
        }
    }
    return false;
}

static float widen(enum es_dtype dtype, uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t bits = (uint32_t)half << 16;
    if (dtype == ES_DTYPE_F16) {
        uint32_t exponent = half >> 10 & 0x1fu;
        uint32_t fraction = half & 0x3ffu;
        if (exponent == 0) { /* zero or subnormal: fraction * 2^-24, exact in f32 */
            float magnitude = (float)fraction * 0x1p-24f;
            return sign != 0 ? -magnitude : magnitude;
        }
        uint32_t widened = exponent == 0x1fu ? 0xffu : exponent + (127 - 15);
        bits = sign | widened << 23 | fraction << 13;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float es_value_at(const uint8_t *data, enum es_dtype dtype, size_t index) {
    if (dtype == ES_DTYPE_F32) {
        float value;
        memcpy(&value, data + index * sizeof value, sizeof value);
        return value;
    }
    uint16_t half;
    memcpy(&half, data + index * sizeof half, sizeof half);
    return widen(dtype, half);
}

/* No exponent of all ones. Plain loops, which compilers turn into
 * SIMD: this reads every weight of the model once. */
bool es_values_are_finite(const uint8_t *data, enum es_dtype dtype, size_t count) {
    uint32_t bad = 0;
    if (dtype == ES_DTYPE_F32) {
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, data + i * sizeof bits, sizeof bits);
            bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
        }
        return bad == 0;
    }
    uint16_t mask = dtype == ES_DTYPE_F16 ? 0x7c00u : 0x7f80u;
    uint16_t bad_half = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + i * sizeof half, sizeof half);
        bad_half |= (uint16_t)((half & mask) == mask);
    }
    return bad_half == 0;
}

size_t es_values_find_not_finite(const uint8_t *data, enum es_dtype dtype, size_t count) {
    size_t index = 0;
    while (index + 1 < count && isfinite(es_value_at(data, dtype, index))) {
        index++;
    }
    return index;
}
