/* cuBLASLt's products, plainly: the one form that engine/cuda/gemm.c asks for. */
#include "tests/support/fake_cuda.h"

#include <cublasLt.h>
#include <string.h>

#define PARTIAL_COUNT 16u

/* What the opaque structures hold here. */
struct layout {
    uint64_t type, rows, columns, leading_dimension;
};
struct description {
    uint64_t is_a_transposed;
};

/* products[column, row] = sum_k weights[row, k] split[column, k] */
struct product {
    const uint16_t *weights, *split;
    float *products;
    struct layout of_weights, of_split, of_products;
};

static float from_bf16(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static float dot(const uint16_t *a, const uint16_t *b, size_t count) {
    float partial[PARTIAL_COUNT] = {0};
    float sum = 0.0f;
    for (size_t k = 0; k < count; k++) {
        partial[k % PARTIAL_COUNT] += from_bf16(a[k]) * from_bf16(b[k]);
    }
    for (uint32_t i = 0; i < PARTIAL_COUNT; i++) {
        sum += partial[i];
    }
    return sum;
}

static void run(void *work, void *next) {
    (void)next;
    const struct product *product = work;
    for (size_t column = 0; column < product->of_split.columns; column++) {
        const uint16_t *split = product->split + column * product->of_split.leading_dimension;
        float *to = product->products + column * product->of_products.leading_dimension;
        for (size_t row = 0; row < product->of_weights.columns; row++) {
            to[row] = dot(product->weights + row * product->of_weights.leading_dimension, split,
                          product->of_split.rows);
        }
    }
}

static struct layout layout_of(const cublasLtMatrixLayoutOpaque_t *opaque) {
    struct layout layout;
    memcpy(&layout, opaque, sizeof layout);
    return layout;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    static char place;
    *handle = (cublasLtHandle_t)(void *)&place;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    (void)handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t description, size_t bytes,
                                               cublasComputeType_t compute, cudaDataType_t scale) {
    memset(description, 0, bytes);
    return compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS
                                                                : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    cublasOperation_t operation = CUBLAS_OP_N;
    if (attribute != CUBLASLT_MATMUL_DESC_TRANSA || bytes != sizeof operation) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    memcpy(&operation, value, sizeof operation);
    const struct description described = {operation == CUBLAS_OP_T};
    memcpy(description, &described, sizeof described);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t bytes,
                                                 cudaDataType type, uint64_t rows, uint64_t columns,
                                                 int64_t leading_dimension) {
    const struct layout described = {(uint64_t)type, rows, columns, (uint64_t)leading_dimension};
    memset(layout, 0, bytes);
    memcpy(layout, &described, sizeof described);
    return leading_dimension >= (int64_t)rows ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     size_t bytes) {
    memset(preference, 0, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    (void)preference;
    (void)attribute;
    (void)value;
    (void)bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                               cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                               cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                               cublasLtMatmulPreference_t preference, int wanted_count,
                               cublasLtMatmulHeuristicResult_t results[], int *found_count) {
    (void)handle;
    (void)description;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    (void)preference;
    *found_count = wanted_count > 0 ? 1 : 0;
    if (wanted_count > 0) {
        results[0] = (cublasLtMatmulHeuristicResult_t){.state = CUBLAS_STATUS_SUCCESS};
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    (void)handle;
    (void)algorithm;
    (void)workspace;
    (void)workspace_bytes;
    (void)stream;
    struct description described;
    float factors[2];
    memcpy(&described, description, sizeof described);
    memcpy(&factors[0], alpha, sizeof factors[0]);
    memcpy(&factors[1], beta, sizeof factors[1]);
    const struct product product = {.weights = a,
                                    .split = b,
                                    .products = d,
                                    .of_weights = layout_of(a_layout),
                                    .of_split = layout_of(b_layout),
                                    .of_products = layout_of(d_layout)};
    if (!described.is_a_transposed || factors[0] != 1.0f || factors[1] != 0.0f || c != d ||
        c_layout != d_layout || product.of_weights.type != CUDA_R_16BF ||
        product.of_split.type != CUDA_R_16BF || product.of_products.type != CUDA_R_32F ||
        product.of_weights.rows != product.of_split.rows ||
        product.of_weights.columns != product.of_products.rows ||
        product.of_split.columns != product.of_products.columns) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    fake_cuda_enqueue(run, &product, sizeof product);
    return CUBLAS_STATUS_SUCCESS;
}
