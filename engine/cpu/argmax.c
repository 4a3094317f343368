#include "engine/cpu/kernels.h"
#include "platform/assert.h"

void es_argmax(const float *logits, uint32_t count, int32_t *index, float *margin) {
    ES_ASSERT(count >= 2);
    uint32_t best = logits[1] > logits[0] ? 1u : 0u;
    float second = logits[1u - best];
    for (uint32_t i = 2; i < count; i++) {
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else if (logits[i] > second) {
            second = logits[i];
        }
    }
    *index = (int32_t)best;
    *margin = logits[best] - second;
}
