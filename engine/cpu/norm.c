#include "engine/cpu/kernels.h"

#include <math.h>

/* Independent sums, so that the compiler may keep them in vector registers of any width without
 * changing a bit. */
#define SUM_COUNT 16u

static float sum_of_squares(const float *x, uint32_t dim) {
    float sums[SUM_COUNT] = {0};
    uint32_t i = 0;
    for (; i + SUM_COUNT <= dim; i += SUM_COUNT) {
        for (uint32_t lane = 0; lane < SUM_COUNT; lane++) {
            sums[lane] += x[i + lane] * x[i + lane];
        }
    }
    for (uint32_t lane = 0; i + lane < dim; lane++) {
        sums[lane] += x[i + lane] * x[i + lane];
    }
    double total = 0.0;
    for (uint32_t lane = 0; lane < SUM_COUNT; lane++) {
        total += (double)sums[lane];
    }
    return (float)total;
}

void es_rmsnorm(const float *x, const float *weight, float eps, const float *ada,
                uint32_t row_count, uint32_t dim, float *y) {
    for (uint32_t row = 0; row < row_count; row++) {
        const float *in = x + (size_t)row * dim;
        float *out = y + (size_t)row * dim;
        const float scale = 1.0f / sqrtf(sum_of_squares(in, dim) / (float)dim + eps);
        if (ada == NULL) {
            for (uint32_t i = 0; i < dim; i++) {
                out[i] = in[i] * scale * weight[i];
            }
        } else {
            for (uint32_t i = 0; i < dim; i++) {
                out[i] = in[i] * scale * weight[i] * (1.0f + ada[i]);
            }
        }
    }
}
