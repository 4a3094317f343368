/* gate.cu - out[r, i] = silu(sum_k h[r, k] W1[i, k]) * sum_k h[r, k] W3[i, k],
 *           h = x / rms(x) * norm * (1 + ada)
 *
 * shape  x [row_count, dim] f32, W1 and W3 [hidden_dim, stride] bf16 -> out [row_count, hidden_dim]
 * bytes  2 * hidden_dim * stride * 2               limit: DRAM bandwidth
 * map    linear_inner.cuh: column 2 i is row i of W1, column 2 i + 1 row i of W3
 */
#include "engine/cuda/gate_map.cuh"
#include "engine/cuda/many.h"

struct gate_params {
    struct es_linear_job job;
    struct gate_map map;
};

template <uint32_t LOAD_COUNT, bool IS_RAGGED>
__global__ static void __launch_bounds__(ES_LINEAR_THREADS, 2)
    gate_rows(const __grid_constant__ struct gate_params params) {
    struct gate_map map = params.map;
    es_linear_run<LOAD_COUNT, IS_RAGGED>(params.job, map);
}

enum es_status es_cuda_gate(const struct es_cuda_ops *ops, const struct es_cuda_gate *op,
                            struct es_error *error) {
    static const struct es_linear_kernels kernels = ES_LINEAR_KERNELS(gate_rows, "gate");
    ES_ASSERT(op->row_count > 0);
    ES_ASSERT(es_linear_is_matrix(op->w1));
    ES_ASSERT(es_linear_is_matrix(op->w3));
    ES_ASSERT(op->w1->in_dim == op->w3->in_dim);
    ES_ASSERT(op->w1->out_dim == op->w3->out_dim);
    if (op->row_count > ES_CUDA_FEW_ROWS_MAX) {
        return es_cuda_gate_many(ops, op, error);
    }
    uint32_t dim = op->w1->in_dim;
    uint32_t hidden_dim = op->w1->out_dim;
    struct gate_params params = {};
    es_gate_bind(&params.job, &params.map, op);
    const uint64_t moved_bytes = 2u * (uint64_t)op->w1->out_dim * op->w1->stride * sizeof(uint16_t);
    for (uint32_t row = 0; row < op->row_count; row += params.job.row_count) {
        if (es_linear_take_rows(ops, &params.job, op->row_count - row) == 0) {
            return es_linear_too_wide(ops, "gate", dim, error);
        }
        params.job.x = op->x + (size_t)row * dim;
        params.map.out = op->out + (size_t)row * hidden_dim;
        enum es_status status = es_linear_launch(ops, &kernels, &params.job, params.job.pair_count,
                                                 &params, moved_bytes, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}
