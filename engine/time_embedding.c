#include "engine/time_embedding.h"

#include <math.h>

void es_time_embedding(uint32_t delay_positions, uint32_t dim, float *out) {
    uint32_t half = dim / 2;
    for (uint32_t j = 0; j < half; j++) {
        double frequency = exp(-log(10000.0) * (double)j / (double)half);
        out[j] = (float)cos((double)delay_positions * frequency);
        out[half + j] = (float)sin((double)delay_positions * frequency);
    }
}
