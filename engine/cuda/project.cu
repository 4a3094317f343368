/* project.cu - y[r, v] = f(sum_k x[r, k] W[v, k] + bias[v]), or added to y[r, v]
 *
 * shape  x [row_count, in_dim] f32, W [out_dim, stride] bf16, bias [out_dim] f32 -> y [row_count,
 *        out_dim] f32, plain rows or slots of a queue
 * bytes  out_dim * stride * 2                      limit: DRAM bandwidth
 * map    linear_inner.cuh: columns are rows of W
 */
#include "engine/cuda/many.h"
#include "engine/cuda/project_map.cuh"

struct project_params {
    struct es_linear_job job;
    struct project_map map;
};

template <uint32_t LOAD_COUNT, bool IS_RAGGED>
__global__ static void __launch_bounds__(ES_LINEAR_THREADS, 2)
    project_rows(const __grid_constant__ struct project_params params) {
    struct project_map map = params.map;
    es_linear_run<LOAD_COUNT, IS_RAGGED>(params.job, map);
}

enum es_status es_cuda_project(const struct es_cuda_ops *ops, const struct es_cuda_project *op,
                               struct es_error *error) {
    static const struct es_linear_kernels kernels = ES_LINEAR_KERNELS(project_rows, "project");
    ES_ASSERT(op->row_count > 0);
    ES_ASSERT(es_linear_is_matrix(op->w));
    ES_ASSERT(!(op->is_added && op->has_gelu));
    ES_ASSERT(!(op->is_added && op->y_slot_count > 0));
    ES_ASSERT(op->y_slot_count == 0 || op->row_count <= op->y_slot_count);
    if (op->row_count > ES_CUDA_FEW_ROWS_MAX) {
        return es_cuda_project_many(ops, op, error);
    }
    struct project_params params = {};
    es_project_bind(&params.job, &params.map, ops, op);
    const uint64_t moved_bytes = (uint64_t)op->w->out_dim * op->w->stride * sizeof(uint16_t);
    for (uint32_t row = 0; row < op->row_count; row += params.job.row_count) {
        if (es_linear_take_rows(ops, &params.job, op->row_count - row) == 0) {
            return es_linear_too_wide(ops, "project", op->w->in_dim, error);
        }
        params.job.x = op->x + (size_t)row * op->x_row_floats;
        params.map.row_first = row;
        enum es_status status = es_linear_launch(ops, &kernels, &params.job, params.job.pair_count,
                                                 &params, moved_bytes, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}
