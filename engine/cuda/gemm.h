/* gemm.h - products of many rows with one matrix, through cuBLASLt.
 *
 *   status = es_cuda_gemm_open(&ops, es_blas_runtime(), memory, &error);  of es_cuda_gemm_bytes()
 *   status = es_cuda_gemm_prepare(&ops, &w, row_count, &error);          at boot, per shape
 *   status = es_cuda_gemm(&ops, &w, row_count, split, products, &error); enqueued; can be captured
 *   es_cuda_gemm_close(&ops);
 *
 * f32 activations are multiplied as ES_CUDA_SPLIT_PART_COUNT BF16 numbers that add up to them: two
 * keep 16 bits of mantissa, at twice the arithmetic. The parts are stacked as rows, so that a
 * matrix is read once; part p of row r is row p * row_count + r.
 *
 * The number of stacked rows is rounded up to ES_CUDA_GEMM_ROW_MULTIPLE (what lies in the rows
 * behind is multiplied and never looked at): so few shapes exist that an algorithm for each is
 * chosen at boot, and nothing is chosen or allocated after it. The algorithm is the first one that
 * cuBLASLt suggests, never the one that happened to be fastest: it is the same in every run.
 *
 * Workspace: what ops->blas_workspace_bytes says; NVIDIA recommends 32 MiB on Hopper, smaller ones
 * exclude some split-k algorithms and nothing else. Engine thread only. */
#pragma once

#include "engine/cuda/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_CUDA_SPLIT_PART_COUNT 2u /* 1 is plain BF16: half the time, 2^-9 instead of 2^-17 */
#define ES_CUDA_GEMM_ROW_MULTIPLE 64u

struct es_blas_calls; /* gemm_calls.h: the functions of cuBLASLt that are used, or a test's */

/* The table that calls cuBLASLt itself. */
const struct es_blas_calls *es_blas_runtime(void);

/* Host memory for the table of algorithms, aligned to 64 bytes. */
size_t es_cuda_gemm_bytes(void);

/* Sets ops->blas and ops->plans; ops->blas_workspace is set before. `memory` is borrowed until
 * es_cuda_gemm_close. Boot only. */
ES_MUST_CHECK enum es_status es_cuda_gemm_open(struct es_cuda_ops *ops,
                                               const struct es_blas_calls *calls, void *memory,
                                               struct es_error *error);
void es_cuda_gemm_close(struct es_cuda_ops *ops); /* also after an open that failed or never was */

/* Stacked rows of a product of row_count rows: parts, rounded up. */
uint32_t es_cuda_gemm_row_count(uint32_t row_count);

/* Floats from one row of products to the next: out_dim, rounded up to 64 bytes. */
uint32_t es_cuda_gemm_stride(uint32_t out_dim);

/* Matrices that lie one right behind the other in memory become one that is as high as both: one
 * product instead of two. Writes at most `count` matrices to `joined` and returns how many. */
uint32_t es_cuda_gemm_join(const struct es_matrix *const *matrices, uint32_t count,
                           struct es_matrix *joined);

/* Chooses the algorithm for matrices of this shape and this many rows; again is nothing. Boot
 * only. */
ES_MUST_CHECK enum es_status es_cuda_gemm_prepare(const struct es_cuda_ops *ops,
                                                  const struct es_matrix *w, uint32_t row_count,
                                                  struct es_error *error);

/* Whether that was done. */
bool es_cuda_gemm_is_prepared(const struct es_cuda_ops *ops, const struct es_matrix *w,
                              uint32_t row_count);

/* products [es_cuda_gemm_row_count, es_cuda_gemm_stride] f32 = split [.., w->stride] bf16 times w
 * transposed; both device, 64-byte aligned. A shape that was not prepared is a programmer error. */
ES_MUST_CHECK enum es_status es_cuda_gemm(const struct es_cuda_ops *ops, const struct es_matrix *w,
                                          uint32_t row_count, const uint16_t *split,
                                          float *products, struct es_error *error);

#ifdef __cplusplus
}
#endif
