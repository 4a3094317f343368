/* kernels.h - the arithmetic of the CPU engine. One operation per .c file.
 *
 *   es_linear(pool, &layer->wo, x, rows, bias, residual, y);
 *   es_attention(pool, &job, scratch);
 *   es_rmsnorm(x, weight, eps, NULL, rows, dim, y);
 *
 * The rule that all of them keep: a row's result depends on that row's inputs alone, bit for bit;
 * not on how many rows are computed together, nor on which of them, nor on the number of threads.
 * So every dot product has one order of summation, whatever the blocking. All tensors are dense
 * row-major f32 unless a matrix says otherwise; no pointer is kept; nothing allocates. */
#pragma once

#include "engine/weights.h"
#include "platform/pool.h"

/* The instruction sets that kernels exist for. */
enum es_isa { ES_ISA_PORTABLE, ES_ISA_AVX2, ES_ISA_AVX512, ES_ISA_NEON };

/* The best one that this processor and this build have, found once. Tests force another (it must be
 * available) before any other thread runs. */
enum es_isa es_isa_current(void);
bool es_isa_available(enum es_isa isa);
void es_isa_force(enum es_isa isa);
const char *es_isa_name(enum es_isa isa);

/* y[r, o] = sum_i x[r, i] * w[o, i]  (+ bias[o] unless NULL)  (+ residual[r, o] unless NULL)
 *
 * x [row_count, w->in_dim], y [row_count, w->out_dim]; residual [row_count, out_dim] may be y
 * itself; x and y must not overlap. Weights of one call are read from memory once per block of rows
 * that fits the caches; for row_count = 1 exactly once. */
void es_linear(struct es_pool *pool, const struct es_matrix *w, const float *x, uint32_t row_count,
               const float *bias, const float *residual, float *y);

/* Several maps of the same x in one parallel run (wq, wk, wv; w1, w3): one barrier instead of
 * three. */
struct es_linear_job {
    const struct es_matrix *w;
    const float *bias; /* or NULL */
    float *y;          /* [row_count, w->out_dim] */
};
#define ES_LINEAR_JOB_COUNT_MAX 3u
void es_linear_many(struct es_pool *pool, const struct es_linear_job *jobs, uint32_t job_count,
                    const float *x, uint32_t row_count);

/* One row of a matrix as f32: out[i] = w[row, i]. For the embedding. */
void es_matrix_row(const struct es_matrix *w, uint32_t row, float *out);

/* y[r, :] = x[r, :] / sqrt(mean(x[r, :]^2) + eps) * weight  (* (1 + ada) unless ada is NULL)
 * x, y [row_count, dim], may be the same; weight, ada [dim]. */
void es_rmsnorm(const float *x, const float *weight, float eps, const float *ada,
                uint32_t row_count, uint32_t dim, float *y);

/* x = gelu(x) = x / 2 * (1 + erf(x / sqrt(2))), in place: the erf form, as the model was trained.
 */
void es_gelu(float *x, size_t count);

/* gate = silu(gate) * up = gate / (1 + exp(-gate)) * up; gate, up [count]. Parallel over fixed
 * blocks. */
void es_silu_multiply(struct es_pool *pool, float *gate, const float *up, size_t count);

/* Rotary embedding of interleaved pairs (2i, 2i+1): x [row_count, head_count, head_dim] in place;
 * cos_sin [row_count, head_dim / 2, 2] = cos, sin of each row's phases (rope.h). */
void es_rope_apply(float *x, uint32_t row_count, uint32_t head_count, uint32_t head_dim,
                   const float *cos_sin);

/* Sliding-window attention over ring caches.
 *
 *   query row r sits at position p = first_position + r and sees the keys
 *   max(oldest_position, p - window + 1) .. p; out = softmax(q k^T / sqrt(head_dim)) v
 *
 * q, out [row_count, head_count, head_dim]; keys, values [kv_head_count, slot_count, head_dim],
 * where position j lives in slot j % slot_count. The rows' own keys are already written. slot_count
 * >= window - 1 + row_count. Query head h uses kv head h / (head_count / kv_head_count). */
struct es_attention_job {
    const float *q;
    const float *keys;
    const float *values;
    float *out;
    uint32_t row_count;
    uint32_t head_count;
    uint32_t kv_head_count;
    uint32_t head_dim;
    uint32_t window;
    uint32_t slot_count;
    uint64_t first_position;
    uint64_t oldest_position; /* where this stream began */
};

/* Bytes of scratch that es_attention needs for this window, for all workers together. */
size_t es_attention_scratch_bytes(uint32_t window, uint32_t thread_count);
void es_attention(struct es_pool *pool, const struct es_attention_job *job, void *scratch);

/* Greedy choice over logits [count]: the largest, ties to the lowest index; margin = largest minus
 * second largest (0 when they tie; count >= 2). */
void es_argmax(const float *logits, uint32_t count, int32_t *index, float *margin);
