/* tap_cuda.h - rows of the device for a test's tap.
 *
 *   es_cuda_tap_layout(&model, &config, &plan, &region);     nothing without a tap
 *   status = es_cuda_tap_rows(&tap, ES_STAGE_CONV0, 0, first_row, device_rows, count, dim, &error);
 *
 * With a tap every stage is waited for and its rows are copied back, so nothing of it may be
 * captured. Without one all of this does nothing. Engine thread only. */
#pragma once

#include "engine/backend.h"
#include "platform/jetson/cuda.h"

struct es_cuda_tap {
    const struct es_tap *tap; /* NULL: nobody listens */
    struct es_cuda *cuda;
    float *rows; /* host */
    size_t row_floats_max;
};

/* Returns the region, or 0 without a tap. */
uint32_t es_cuda_tap_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan);
void es_cuda_tap_init(struct es_cuda_tap *tap, const struct es_model *model,
                      const struct es_backend_config *config, uint32_t region,
                      const struct es_arena *arena);

/* rows: device [row_count, dim]. */
ES_MUST_CHECK enum es_status es_cuda_tap_rows(const struct es_cuda_tap *tap, enum es_stage stage,
                                              uint32_t layer, uint64_t first_row, const float *rows,
                                              uint32_t row_count, uint32_t dim,
                                              struct es_error *error);
