#include "engine/cpu/kernels.h"

void es_rope_apply(float *x, uint32_t row_count, uint32_t head_count, uint32_t head_dim,
                   const float *cos_sin) {
    for (uint32_t row = 0; row < row_count; row++) {
        const float *phases = cos_sin + (size_t)row * head_dim;
        for (uint32_t head = 0; head < head_count; head++) {
            float *pairs = x + ((size_t)row * head_count + head) * head_dim;
            for (uint32_t i = 0; i < head_dim; i += 2u) {
                const float re = pairs[i];
                const float im = pairs[i + 1u];
                pairs[i] = re * phases[i] - im * phases[i + 1u];
                pairs[i + 1u] = re * phases[i + 1u] + im * phases[i];
            }
        }
    }
}
