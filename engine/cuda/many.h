/* many.h - the operations of ops.h for more than ES_CUDA_FEW_ROWS_MAX rows: files and the prompt.
 *
 *   es_cuda_many_scratch(&model, positions_max, &split_bytes, &products_bytes, &row_count_max);
 *   status = es_cuda_many_prepare(ops, &model, &weights, positions_max, &error);       at boot
 *   status = es_cuda_qkv_many(ops, &op, &error);          from es_cuda_qkv, when rows are many
 *
 * f32 rows (through the norm where there is one) are split into BF16 parts, the parts of all rows
 * stacked; one product per matrix (gemm.h) multiplies them, and a last kernel adds the parts up and
 * does what is left: bias, rotation and ring, activation, residual, queue. Can be captured. Engine
 * thread only. */
#pragma once

#include "engine/cuda/ops.h"
#include "engine/model.h"
#include "engine/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

ES_MUST_CHECK enum es_status es_cuda_qkv_many(const struct es_cuda_ops *ops,
                                              const struct es_cuda_qkv *op, struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_project_many(const struct es_cuda_ops *ops,
                                                  const struct es_cuda_project *op,
                                                  struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_gate_many(const struct es_cuda_ops *ops,
                                               const struct es_cuda_gate *op,
                                               struct es_error *error);

/* es_cuda_attention for more items (rows times query heads of a kv head) than one block of the
 * split kernel takes. */
ES_MUST_CHECK enum es_status es_cuda_attention_many(const struct es_cuda_ops *ops,
                                                    const struct es_cuda_attention *op,
                                                    struct es_error *error);

/* What ops->split, ops->products and ops->many_row_count_max have to be for encoder runs of up to
 * positions_max positions and the longest prompt. */
void es_cuda_many_scratch(const struct es_model *model, uint32_t positions_max, size_t *split_bytes,
                          size_t *products_bytes, uint32_t *row_count_max);

/* Asks cuBLASLt for an algorithm for every shape that such runs have, and runs each once on what
 * lies in the scratch, so that the libraries have loaded what they need. `weights` are on the
 * device. Boot only: both libraries allocate. */
ES_MUST_CHECK enum es_status es_cuda_many_prepare(const struct es_cuda_ops *ops,
                                                  const struct es_model *model,
                                                  const struct es_weights *weights,
                                                  uint32_t positions_max, struct es_error *error);

#ifdef __cplusplus
}
#endif
