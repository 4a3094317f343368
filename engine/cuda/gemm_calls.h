/* gemm_calls.h - the functions of cuBLASLt that are used, as a table.
 *
 *   const struct es_blas_calls *calls = es_blas_runtime();      the library's own
 *
 * Each has the signature that cublasLt.h gives it. Only gemm.c calls through it, and looks at every
 * result; tests put a table of theirs behind it and let each call fail. */
#pragma once

#include <cublasLt.h>

#ifdef __cplusplus
extern "C" {
#endif

struct es_blas_calls {
    cublasStatus_t (*create)(cublasLtHandle_t *handle);
    cublasStatus_t (*destroy)(cublasLtHandle_t handle);
    cublasStatus_t (*matmul_desc_init)(cublasLtMatmulDesc_t description, size_t bytes,
                                       cublasComputeType_t compute, cudaDataType_t scale);
    cublasStatus_t (*matmul_desc_set_attribute)(cublasLtMatmulDesc_t description,
                                                cublasLtMatmulDescAttributes_t attribute,
                                                const void *value, size_t bytes);
    cublasStatus_t (*matrix_layout_init)(cublasLtMatrixLayout_t layout, size_t bytes,
                                         cudaDataType type, uint64_t rows, uint64_t columns,
                                         int64_t leading_dimension);
    cublasStatus_t (*preference_init)(cublasLtMatmulPreference_t preference, size_t bytes);
    cublasStatus_t (*preference_set_attribute)(cublasLtMatmulPreference_t preference,
                                               cublasLtMatmulPreferenceAttributes_t attribute,
                                               const void *value, size_t bytes);
    cublasStatus_t (*get_heuristic)(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                    cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                    cublasLtMatmulPreference_t preference, int wanted_count,
                                    cublasLtMatmulHeuristicResult_t results[], int *found_count);
    cublasStatus_t (*matmul)(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                             const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                             const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                             const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                             cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algorithm,
                             void *workspace, size_t workspace_bytes, cudaStream_t stream);
};

#ifdef __cplusplus
}
#endif
