/* qkv_map.cuh - what becomes of the sums of q, k and v (linear_inner.cuh; qkv.cu). */
#pragma once

#include "engine/cuda/linear_launch.cuh"

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

/* The first row of `op` and as many behind it as job->row_count will say; also map->job_row_count,
 * once that is known, and map->rows, in the kernel. */
static inline void es_qkv_bind(struct es_linear_job *job, struct qkv_map *map,
                               const struct es_cuda_ops *ops, const struct es_cuda_qkv *op) {
    job->x = op->x;
    job->norm = op->norm;
    job->norm_eps = op->norm_eps;
    job->x_row_floats = op->wq->in_dim;
    job->in_dim = op->wq->in_dim;
    job->chunk_count = op->wq->stride / ES_LINEAR_CHUNK;
    job->pair_count = (op->wq->out_dim + 2 * op->wk->out_dim) / 2;
    map->wq = (const uint16_t *)op->wq->data;
    map->wk = (const uint16_t *)op->wk->data;
    map->wv = (const uint16_t *)op->wv->data;
    map->stride = op->wq->stride;
    map->q_dim = op->wq->out_dim;
    map->kv_dim = op->wk->out_dim;
    map->head_dim = op->head_dim;
    map->head_stride = op->head_stride;
    map->slot_count = op->slot_count;
    map->wq_bias = op->wq_bias;
    map->wv_bias = op->wv_bias;
    map->turns = op->turns;
    map->position = op->position;
    map->q = op->q;
    map->keys = (__half *)op->keys;
    map->values = (__half *)op->values;
    map->state = ops->state;
}
