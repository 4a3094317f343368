/* project.cu - y[r, v] = f(sum_k x[r, k] W[v, k] + bias[v]), or added to y[r, v]
 *
 * shape  x [row_count, in_dim] f32, W [out_dim, stride] bf16, bias [out_dim] f32 -> y [row_count,
 *        out_dim] f32, plain rows or slots of a queue
 * bytes  out_dim * stride * 2                      limit: DRAM bandwidth
 * map    linear_inner.cuh: columns are rows of W
 */
#include "engine/cuda/linear_launch.cuh"
#include "engine/cuda/many.h"

struct project_map {
    struct ahead {
        float first, second; /* bias, and what is there already */
        uint32_t target;     /* row of y */
    };

    const uint16_t *w;
    uint32_t stride, out_dim;
    const float *bias;
    float *y;
    bool is_added, has_gelu;
    uint32_t y_slot_count, row_first;
    struct es_cuda_stream_state *state;

    __device__ __forceinline__ uint32_t row_count() const {
        return out_dim;
    }

    __device__ __forceinline__ const uint16_t *weight_row(uint32_t v) const {
        return w + (size_t)v * stride;
    }

    __device__ __forceinline__ void begin() {
    }

    __device__ __forceinline__ ahead look(uint32_t row, uint32_t pair) const {
        uint32_t column = 2 * pair;
        bool has_second = column + 1 < out_dim;
        ahead found = {0.0f, 0.0f, row_first + row};
        if (y_slot_count > 0) {
            found.target =
                (uint32_t)((__ldcg(&state->embeddings_written) + found.target) % y_slot_count);
        }
        if (bias != nullptr) {
            found.first = bias[column];
            found.second = has_second ? bias[column + 1] : 0.0f;
        }
        if (is_added) {
            const float *residual = y + (size_t)found.target * out_dim + column;
            found.first += __ldcg(residual);
            found.second += has_second ? __ldcg(residual + 1) : 0.0f;
        }
        return found;
    }

    __device__ __forceinline__ float shape(float value) const {
        return has_gelu ? 0.5f * value * (1.0f + erff(value * 0.70710678118654752f)) : value;
    }

    __device__ __forceinline__ void finish(uint32_t, uint32_t pair, float first, float second,
                                           const ahead &found) const {
        first = shape(first + found.first);
        second = shape(second + found.second);
        bool has_second = 2 * pair + 1 < out_dim;
        float *to = y + (size_t)found.target * out_dim + 2 * pair;
        to[0] = first;
        if (has_second) {
            to[1] = second;
        }
        if (y_slot_count > 0 && !(isfinite(first) && (!has_second || isfinite(second)))) {
            atomicOr(&state->flags, (uint32_t)ES_CUDA_FLAG_EMBEDDING_NOT_FINITE);
        }
    }

    __device__ __forceinline__ void end() {
    }
};

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
    params.job.x_row_floats = op->x_row_floats;
    params.job.in_dim = op->w->in_dim;
    params.job.chunk_count = op->w->stride / ES_LINEAR_CHUNK;
    params.job.pair_count = (op->w->out_dim + 1) / 2;
    params.map.w = (const uint16_t *)op->w->data;
    params.map.stride = op->w->stride;
    params.map.out_dim = op->w->out_dim;
    params.map.bias = op->bias;
    params.map.y = op->y;
    params.map.is_added = op->is_added;
    params.map.has_gelu = op->has_gelu;
    params.map.y_slot_count = op->y_slot_count;
    params.map.state = ops->state;
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
