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
#include "engine/cuda/linear_launch.cuh"
#include "engine/cuda/many.h"

#include <cuda_fp16.h>

#define HALF_MAX 65504.0f

struct qkv_slots {
    uint64_t positions[ES_LINEAR_ROW_COUNT_MAX];
    uint32_t slots[ES_LINEAR_ROW_COUNT_MAX];
};

struct qkv_map {
    struct ahead {
        float cosine, sine;
        float first, second; /* bias */
    };

    const uint16_t *wq, *wk, *wv;
    uint32_t stride;
    uint32_t q_dim, kv_dim; /* rows of WQ; of WK, and of WV */
    uint32_t head_dim, head_stride, slot_count;
    const float *wq_bias, *wv_bias;
    const uint64_t *turns;
    const uint64_t *position;
    uint32_t row_first, job_row_count;
    float *q;
    __half *keys, *values;
    struct es_cuda_stream_state *state;
    struct qkv_slots *rows; /* shared memory */

    __device__ __forceinline__ uint32_t row_count() const {
        return q_dim + 2 * kv_dim;
    }

    __device__ __forceinline__ const uint16_t *weight_row(uint32_t v) const {
        const uint16_t *w = wq;
        if (v >= q_dim) {
            v -= q_dim;
            w = wk;
            if (v >= kv_dim) {
                v -= kv_dim;
                w = wv;
            }
        }
        return w + (size_t)v * stride;
    }

    __device__ __forceinline__ void begin() {
        if (threadIdx.x < job_row_count) {
            uint64_t here = __ldcg(position) + row_first + threadIdx.x;
            rows->positions[threadIdx.x] = here;
            rows->slots[threadIdx.x] = (uint32_t)(here % slot_count);
        }
    }

    __device__ __forceinline__ ahead look(uint32_t row, uint32_t pair) const {
        uint32_t column = 2 * pair;
        ahead found = {1.0f, 0.0f, 0.0f, 0.0f};
        if (column < q_dim + kv_dim) {
            uint64_t fraction = turns[column % head_dim / 2] * rows->positions[row];
            /* Turns to half turns: one bit less to divide by. */
            float half_turns = (float)(int64_t)fraction * 0x1p-63f;
            sincospif(half_turns, &found.sine, &found.cosine);
        }
        if (column < q_dim) {
            if (wq_bias != nullptr) {
                found.first = wq_bias[column];
                found.second = wq_bias[column + 1];
            }
        } else if (column >= q_dim + kv_dim && wv_bias != nullptr) {
            found.first = wv_bias[column - q_dim - kv_dim];
            found.second = wv_bias[column - q_dim - kv_dim + 1];
        }
        return found;
    }

    /* A number that f16 does not hold, or that is none, becomes its largest; and is told. */
    __device__ __forceinline__ __half narrow(float value) const {
        if (!(fabsf(value) <= HALF_MAX)) {
            atomicOr(&state->flags, (uint32_t)ES_CUDA_FLAG_KV_OUT_OF_RANGE);
            value = copysignf(HALF_MAX, value);
        }
        return __float2half_rn(value);
    }

    __device__ __forceinline__ void finish(uint32_t row, uint32_t pair, float first, float second,
                                           const ahead &found) const {
        uint32_t column = 2 * pair;
        first += found.first;
        second += found.second;
        float turned_first = first * found.cosine - second * found.sine;
        float turned_second = first * found.sine + second * found.cosine;
        if (column < q_dim) {
            float2 *target =
                reinterpret_cast<float2 *>(q + (size_t)(row_first + row) * q_dim + column);
            *target = make_float2(turned_first, turned_second);
            return;
        }
        column -= q_dim;
        __half *ring = keys;
        if (column >= kv_dim) {
            column -= kv_dim;
            ring = values;
            turned_first = first;
            turned_second = second;
        }
        size_t at = (column / head_dim * (size_t)slot_count + rows->slots[row]) * head_stride +
                    column % head_dim;
        *reinterpret_cast<__half2 *>(ring + at) =
            __halves2half2(narrow(turned_first), narrow(turned_second));
    }

    __device__ __forceinline__ void end() {
    }
};

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
    params.job.norm = op->norm;
    params.job.norm_eps = op->norm_eps;
    params.job.x_row_floats = op->wq->in_dim;
    params.job.in_dim = op->wq->in_dim;
    params.job.chunk_count = op->wq->stride / ES_LINEAR_CHUNK;
    params.job.pair_count = (op->wq->out_dim + 2 * op->wk->out_dim) / 2;
    params.map.wq = (const uint16_t *)op->wq->data;
    params.map.wk = (const uint16_t *)op->wk->data;
    params.map.wv = (const uint16_t *)op->wv->data;
    params.map.stride = op->wq->stride;
    params.map.q_dim = op->wq->out_dim;
    params.map.kv_dim = op->wk->out_dim;
    params.map.head_dim = op->head_dim;
    params.map.head_stride = op->head_stride;
    params.map.slot_count = op->slot_count;
    params.map.wq_bias = op->wq_bias;
    params.map.wv_bias = op->wv_bias;
    params.map.turns = op->turns;
    params.map.position = op->position;
    params.map.q = op->q;
    params.map.keys = (__half *)op->keys;
    params.map.values = (__half *)op->values;
    params.map.state = ops->state;
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
