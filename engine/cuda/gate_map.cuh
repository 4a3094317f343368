/* gate_map.cuh - what becomes of the sums of a gated feed-forward (linear_inner.cuh; gate.cu). */
#pragma once

#include "engine/cuda/linear_launch.cuh"

struct gate_map {
    struct ahead {};

    const uint16_t *w1, *w3;
    uint32_t stride, hidden_dim;
    float *out;

    __device__ __forceinline__ uint32_t row_count() const {
        return 2 * hidden_dim;
    }

    __device__ __forceinline__ const uint16_t *weight_row(uint32_t v) const {
        return (v % 2 == 0 ? w1 : w3) + (size_t)(v / 2) * stride;
    }

    __device__ __forceinline__ void begin() {
    }

    __device__ __forceinline__ ahead look(uint32_t, uint32_t) const {
        return {};
    }

    __device__ __forceinline__ float gated(float gate, float up) const {
        return gate / (1.0f + expf(-gate)) * up;
    }

    __device__ __forceinline__ void finish(uint32_t row, uint32_t pair, float gate, float up,
                                           const ahead &) const {
        out[(size_t)row * hidden_dim + pair] = gated(gate, up);
    }

    __device__ __forceinline__ void end() {
    }
};

/* The first row of `op` and as many behind it as job->row_count will say. */
static inline void es_gate_bind(struct es_linear_job *job, struct gate_map *map,
                                const struct es_cuda_gate *op) {
    job->x = op->x;
    job->norm = op->norm;
    job->ada = op->ada;
    job->norm_eps = op->norm_eps;
    job->x_row_floats = op->w1->in_dim;
    job->in_dim = op->w1->in_dim;
    job->chunk_count = op->w1->stride / ES_LINEAR_CHUNK;
    job->pair_count = op->w1->out_dim;
    map->w1 = (const uint16_t *)op->w1->data;
    map->w3 = (const uint16_t *)op->w3->data;
    map->stride = op->w1->stride;
    map->hidden_dim = op->w1->out_dim;
    map->out = op->out;
}
