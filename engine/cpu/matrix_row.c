#include "engine/cpu/kernels.h"
#include "platform/assert.h"

#include "engine/cpu/vector_portable.h"

void es_matrix_row(const struct es_matrix *w, uint32_t row, float *out) {
    ES_ASSERT(row < w->out_dim);
    const size_t first = (size_t)row * w->in_dim;
    const uint16_t *halves = (const uint16_t *)w->data + first;
    switch (w->dtype) {
    case ES_DTYPE_BF16:
        for (uint32_t i = 0; i < w->in_dim; i++) {
            out[i] = v_from_bf16(halves[i]);
        }
        break;
    case ES_DTYPE_F16:
        for (uint32_t i = 0; i < w->in_dim; i++) {
            out[i] = v_from_f16(halves[i]);
        }
        break;
    default:
        memcpy(out, (const float *)w->data + first, w->in_dim * sizeof(float));
        break;
    }
}
