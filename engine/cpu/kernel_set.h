/* kernel_set.h - the inner loops that exist once per instruction set.
 *
 *   const struct es_kernel_set *set = es_kernel_set_current();
 *   set->linear_block(&block);
 *
 * Each kernels_<isa>.c compiles the same text (linear_inner.h, attention_inner.h,
 * activation_inner.h) over its own vector type (vector_<isa>.h) and fills one table. Private to
 * engine/cpu. */
#pragma once

#include "engine/cpu/kernels.h"

#include <stddef.h>

/* Outputs first_output .. first_output + output_count - 1 of one map, for all rows. */
struct es_linear_block {
    const struct es_matrix *w;
    const float *x;        /* [row_count, in_dim] */
    const float *bias;     /* [out_dim] or NULL */
    const float *residual; /* [row_count, out_dim] or NULL; may be y */
    float *y;              /* [row_count, out_dim] */
    uint32_t row_count;
    uint32_t first_output;
    uint32_t output_count;
};

/* Query rows that share one pass over keys and values. */
#define ES_ATTENTION_TILE 8u

struct es_kernel_set {
    void (*linear_block)(const struct es_linear_block *block);

    /* scores[i][j] = q[i] . keys[j] * scale for item_count <= ES_ATTENTION_TILE queries and
     * key_count keys that lie one after another, [key_count, head_dim]. */
    void (*attention_scores)(const float *const *q, uint32_t item_count, const float *keys,
                             uint32_t key_count, uint32_t head_dim, float scale,
                             float *const *scores);
    /* scores = exp(scores - max), in place; returns their sum. count >= 1. */
    float (*attention_exp)(float *scores, uint32_t count);
    /* out[i][:] += sum_j weights[i][j] * values[j][:], added in the order of j. */
    void (*attention_values)(const float *const *weights, uint32_t item_count, const float *values,
                             uint32_t value_count, uint32_t head_dim, float *const *out);

    void (*gelu)(float *x, size_t count);
    void (*silu_multiply)(float *gate, const float *up, size_t count);
};

const struct es_kernel_set *es_kernel_set_current(void);

extern const struct es_kernel_set es_kernels_portable;
extern const struct es_kernel_set es_kernels_avx2;
extern const struct es_kernel_set es_kernels_avx512;
extern const struct es_kernel_set es_kernels_neon;
