/* linear_rig.h - matrices and references for the tests of the few-row operations.
 *
 *   struct es_cuda_ops ops = linear_rig_ops();
 *   struct linear_rig_map w = linear_rig_map(out_dim, in_dim);
 *   linear_rig_row(&w, x, norm, ada, eps, sums);          a row of W x' in double precision
 *   linear_rig_spreads(&w, x, norm, ada, eps, spreads);   how large its sums are before they cancel
 *   linear_rig_close(&ops);                               checks the tickets, drops the memory */
#pragma once

#include "tests/engine_cuda/device_rig.h"

#define LINEAR_RIG_TICKET_COUNT 16u

/* Activations are split into two BF16 parts (2^-17 of a number), sums are f32. */
#define LINEAR_RIG_TOLERANCE 1e-5

/* A matrix on the device, and what it holds. */
struct linear_rig_map {
    struct es_matrix matrix;
    double *values; /* host [out_dim, in_dim] */
};

static inline struct es_cuda_ops linear_rig_ops(void) {
    struct es_cuda_ops ops = {.cuda = device_rig_open()};
    ops.state = device_rig_zeros(sizeof *ops.state);
    ops.partials = device_rig_take(ES_CUDA_CHOOSE_SCRATCH_BYTES);
    ops.tickets = device_rig_zeros(LINEAR_RIG_TICKET_COUNT * sizeof *ops.tickets);
    return ops;
}

static inline void linear_rig_close(struct es_cuda_ops *ops) {
    uint32_t tickets[LINEAR_RIG_TICKET_COUNT];
    device_rig_get(tickets, ops->tickets, sizeof tickets);
    device_rig_drop();
    for (uint32_t i = 0; i < LINEAR_RIG_TICKET_COUNT; i++) {
        ES_EXPECT_EQ(tickets[i], 0);
    }
}

static inline struct linear_rig_map linear_rig_map(uint32_t out_dim, uint32_t in_dim) {
    uint32_t stride = (in_dim + 31u) / 32u * 32u;
    struct linear_rig_map map = {.values = malloc((size_t)out_dim * in_dim * sizeof(double))};
    uint16_t *rows = calloc((size_t)out_dim * stride, sizeof *rows);
    for (uint32_t o = 0; o < out_dim; o++) {
        for (uint32_t i = 0; i < in_dim; i++) {
            rows[(size_t)o * stride + i] = device_rig_bf16(&map.values[(size_t)o * in_dim + i]);
        }
    }
    map.matrix = (struct es_matrix){device_rig_put(rows, (size_t)out_dim * stride * sizeof *rows),
                                    out_dim, in_dim, ES_DTYPE_BF16, stride};
    free(rows);
    return map;
}

/* x'[k] = x[k] / rms(x) * norm[k] * (1 + ada[k]); no rms without norm. The caller frees it. */
static inline double *linear_rig_input(uint32_t dim, const float *x, const float *norm,
                                       const float *ada, double eps) {
    double *row = malloc(dim * sizeof *row);
    double squares = 0.0;
    for (uint32_t k = 0; k < dim; k++) {
        squares += (double)x[k] * (double)x[k];
    }
    double scale = norm != NULL ? 1.0 / sqrt(squares / dim + eps) : 1.0;
    for (uint32_t k = 0; k < dim; k++) {
        row[k] = (double)x[k] * scale * (norm != NULL ? (double)norm[k] : 1.0) *
                 (ada != NULL ? 1.0 + (double)ada[k] : 1.0);
    }
    return row;
}

/* sums[o] = sum_k x'[k] W[o, k] */
static inline void linear_rig_row(const struct linear_rig_map *map, const float *x,
                                  const float *norm, const float *ada, double eps, double *sums) {
    uint32_t dim = map->matrix.in_dim;
    double *row = linear_rig_input(dim, x, norm, ada, eps);
    for (uint32_t o = 0; o < map->matrix.out_dim; o++) {
        double sum = 0.0;
        for (uint32_t k = 0; k < dim; k++) {
            sum += map->values[(size_t)o * dim + k] * row[k];
        }
        sums[o] = sum;
    }
    free(row);
}

/* spreads[o] = sqrt(sum_k (x'[k] W[o, k])^2): what a sum of terms of either sign is as large as, if
 * it does not happen to cancel. Each term's rounding counts against it; against the sum itself, a
 * row of one or two numbers that cancel would be off by any factor. */
static inline void linear_rig_spreads(const struct linear_rig_map *map, const float *x,
                                      const float *norm, const float *ada, double eps,
                                      double *spreads) {
    uint32_t dim = map->matrix.in_dim;
    double *row = linear_rig_input(dim, x, norm, ada, eps);
    for (uint32_t o = 0; o < map->matrix.out_dim; o++) {
        double squares = 0.0;
        for (uint32_t k = 0; k < dim; k++) {
            double term = map->values[(size_t)o * dim + k] * row[k];
            squares += term * term;
        }
        spreads[o] = sqrt(squares);
    }
    free(row);
}

/* Of a row: |actual - expected| / |spreads|; infinite where a number is none. */
static inline double linear_rig_error(const float *actual, const double *expected,
                                      const double *spreads, size_t count) {
    double off = 0.0;
    double all = 0.0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)actual[i] - expected[i];
        off += difference * difference;
        all += spreads[i] * spreads[i];
    }
    double error = sqrt(off / all);
    return isfinite(error) ? error : INFINITY;
}

static inline uint32_t linear_rig_flags(const struct es_cuda_ops *ops) {
    struct es_cuda_stream_state state;
    device_rig_get(&state, ops->state, sizeof state);
    return state.flags;
}
