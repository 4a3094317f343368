/* workspace.h - what the operations share: scratch of split attention, of the many-row products,
 * and cuBLASLt's handle and workspace.
 *
 *   es_cuda_workspace_layout(&model, &config, &plan, &layout);
 *   status = es_cuda_workspace_open(&ops, &model, &config, &layout, &arena, &weights, &error);
 *   es_cuda_workspace_close(&ops);
 *
 * Engine thread only. */
#pragma once

#include "engine/backend.h"
#include "engine/cuda/ops.h"

struct es_cuda_workspace_layout {
    uint32_t partials_region;
    uint32_t tickets_region;
    uint32_t split_region;
    uint32_t products_region;
    uint32_t blas_region;
    uint32_t plans_region;
};

void es_cuda_workspace_layout(const struct es_model *model, const struct es_backend_config *config,
                              struct es_plan *plan, struct es_cuda_workspace_layout *layout);

/* Fills what ops->cuda and ops->state leave open, clears the tickets (enqueued), and lets cuBLASLt
 * choose its algorithms. Boot only. */
ES_MUST_CHECK enum es_status
es_cuda_workspace_open(struct es_cuda_ops *ops, const struct es_model *model,
                       const struct es_backend_config *config,
                       const struct es_cuda_workspace_layout *layout, const struct es_arena *arena,
                       const struct es_weights *weights, struct es_error *error);

/* Gives the handle back; also after an open that failed or never was. */
void es_cuda_workspace_close(struct es_cuda_ops *ops);
