#include "engine/cuda/tap_cuda.h"

#include "platform/assert.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The largest stage. */
static size_t floats_max(const struct es_model *model, const struct es_backend_config *config) {
    size_t conv0 = (size_t)config->encode_positions_max * model->frames_per_position;
    size_t positions = larger(config->encode_positions_max, ES_PROMPT_POSITIONS_MAX);
    size_t stages = larger(conv0 * model->encoder.dim, positions * model->decoder.dim);
    return larger(stages, model->vocab_size);
}

uint32_t es_cuda_tap_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan) {
    if (config->tap == NULL) {
        return 0;
    }
    return es_plan_add(plan, ES_MEM_HOST, "cuda tap", floats_max(model, config) * sizeof(float));
}

void es_cuda_tap_init(struct es_cuda_tap *tap, const struct es_model *model,
                      const struct es_backend_config *config, uint32_t region,
                      const struct es_arena *arena) {
    *tap = (struct es_cuda_tap){.tap = config->tap, .cuda = config->cuda};
    if (config->tap != NULL) {
        tap->rows = es_arena_region(arena, region);
        tap->row_floats_max = floats_max(model, config);
        ES_ASSERT(tap->rows != NULL);
    }
}

enum es_status es_cuda_tap_rows(const struct es_cuda_tap *tap, enum es_stage stage, uint32_t layer,
                                uint64_t first_row, const float *rows, uint32_t row_count,
                                uint32_t dim, struct es_error *error) {
    if (tap->tap == NULL) {
        return ES_OK;
    }
    size_t floats = (size_t)row_count * dim;
    ES_ASSERT(floats <= tap->row_floats_max);
    enum es_status status =
        es_cuda_copy(tap->cuda, tap->rows, rows, floats * sizeof(float), ES_CUDA_TO_HOST, error);
    if (status == ES_OK) {
        status = es_cuda_wait(tap->cuda, error);
    }
    if (status == ES_OK) {
        es_tap_rows(tap->tap, stage, layer, first_row, tap->rows, row_count, dim);
    }
    return status;
}
