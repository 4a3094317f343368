/* project_map.cuh - what becomes of the sums of a projection (linear_inner.cuh; project.cu). */
#pragma once

#include "engine/cuda/linear_launch.cuh"

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

/* The first row of `op` and as many behind it as job->row_count will say. */
static inline void es_project_bind(struct es_linear_job *job, struct project_map *map,
                                   const struct es_cuda_ops *ops, const struct es_cuda_project *op) {
    job->x = op->x;
    job->x_row_floats = op->x_row_floats;
    job->in_dim = op->w->in_dim;
    job->chunk_count = op->w->stride / ES_LINEAR_CHUNK;
    job->pair_count = (op->w->out_dim + 1) / 2;
    map->w = (const uint16_t *)op->w->data;
    map->stride = op->w->stride;
    map->out_dim = op->w->out_dim;
    map->bias = op->bias;
    map->y = op->y;
    map->is_added = op->is_added;
    map->has_gelu = op->has_gelu;
    map->y_slot_count = op->y_slot_count;
    map->state = ops->state;
}
