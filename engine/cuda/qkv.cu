/* qkv.cu - q, k, v = W x / rms(x) * norm (+ bias); q and k rotated; k and v into the ring as f16
 *
 * shape  x [row_count, dim] f32, WQ, WK, WV [.., stride] bf16 -> q [row_count, head_count, head_dim]
 *        f32, keys and values [kv_head_count, slot_count, head_stride] f16
 * bytes  (head_count + 2 * kv_head_count) * head_dim * stride * 2        limit: DRAM bandwidth
 * map    linear_inner.cuh: columns are the rows of WQ, WK and WV one after the other; a pair of
 *        columns is a pair that is rotated
 *
 * The phase is a 64-bit fraction of a turn, which wraps as it should (engine/cpu/rope.h); read as
 * signed, it loses under 2e-7 rad when it becomes an f32. */
#include "engine/cuda/many.h"
#include "engine/cuda/qkv_map.cuh"

struct qkv_params {
    struct es_linear_job job;
    struct qkv_map map;
};

template <uint32_t LOAD_COUNT, bool IS_RAGGED>
__global__ static void __launch_bounds__(ES_LINEAR_THREADS, 2)
    qkv_rows(const __grid_constant__ struct qkv_params params) {
    ES_SHARED(struct qkv_slots, rows);
    struct qkv_map map = params.map;
    map.rows = &rows;
    es_linear_run<LOAD_COUNT, IS_RAGGED>(params.job, map);
}

static void check_shapes(const struct es_cuda_qkv *op) {
    ES_ASSERT(op->row_count > 0);
    ES_ASSERT(es_linear_is_matrix(op->wq));
    ES_ASSERT(es_linear_is_matrix(op->wk));
    ES_ASSERT(es_linear_is_matrix(op->wv));
    ES_ASSERT(op->wq->in_dim == op->wk->in_dim);
    ES_ASSERT(op->wq->in_dim == op->wv->in_dim);
    ES_ASSERT(op->wq->out_dim == op->head_count * op->head_dim);
    ES_ASSERT(op->wk->out_dim == op->kv_head_count * op->head_dim);
    ES_ASSERT(op->wv->out_dim == op->wk->out_dim);
    ES_ASSERT(op->head_dim % 2 == 0);
    ES_ASSERT(op->head_stride >= op->head_dim);
    ES_ASSERT(op->head_stride % 2 == 0);
    ES_ASSERT(op->slot_count >= op->row_count);
}

enum es_status es_cuda_qkv(const struct es_cuda_ops *ops, const struct es_cuda_qkv *op,
                           struct es_error *error) {
    static const struct es_linear_kernels kernels = ES_LINEAR_KERNELS(qkv_rows, "qkv");
    check_shapes(op);
    if (op->row_count > ES_CUDA_FEW_ROWS_MAX) {
        return es_cuda_qkv_many(ops, op, error);
    }
    struct qkv_params params = {};
    es_qkv_bind(&params.job, &params.map, ops, op);
    const uint64_t moved_bytes =
        (uint64_t)(op->wq->out_dim + 2u * op->wk->out_dim) * op->wq->stride * sizeof(uint16_t);
    for (uint32_t row = 0; row < op->row_count; row += params.job.row_count) {
        if (es_linear_take_rows(ops, &params.job, op->row_count - row) == 0) {
            return es_linear_too_wide(ops, "qkv", op->wq->in_dim, error);
        }
        params.job.x = op->x + (size_t)row * op->wq->in_dim;
        params.map.row_first = row;
        params.map.job_row_count = params.job.row_count;
        enum es_status status = es_linear_launch(ops, &kernels, &params.job, params.job.pair_count,
                                                 &params, moved_bytes, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}
