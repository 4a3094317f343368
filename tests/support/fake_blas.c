#include "tests/support/fake_blas.h"

static uint32_t call_count;
static uint32_t fail_index;
static uint32_t open_count;

static cublasStatus_t answer(void) {
    call_count++;
    return call_count == fail_index ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t create(cublasLtHandle_t *handle) {
    static char place;
    cublasStatus_t result = answer();
    if (result == CUBLAS_STATUS_SUCCESS) {
        *handle = (cublasLtHandle_t)(void *)&place;
        open_count++;
    }
    return result;
}

static cublasStatus_t destroy(cublasLtHandle_t handle) {
    (void)handle;
    open_count--;
    return answer();
}

static cublasStatus_t describe(cublasLtMatmulDesc_t description, size_t bytes,
                               cublasComputeType_t compute, cudaDataType_t scale) {
    (void)description;
    (void)bytes;
    (void)compute;
    (void)scale;
    return answer();
}

static cublasStatus_t set_description(cublasLtMatmulDesc_t description,
                                      cublasLtMatmulDescAttributes_t attribute, const void *value,
                                      size_t bytes) {
    (void)description;
    (void)attribute;
    (void)value;
    (void)bytes;
    return answer();
}

static cublasStatus_t lay_out(cublasLtMatrixLayout_t layout, size_t bytes, cudaDataType type,
                              uint64_t rows, uint64_t columns, int64_t leading_dimension) {
    (void)layout;
    (void)bytes;
    (void)type;
    (void)rows;
    (void)columns;
    (void)leading_dimension;
    return answer();
}

static cublasStatus_t prefer(cublasLtMatmulPreference_t preference, size_t bytes) {
    (void)preference;
    (void)bytes;
    return answer();
}

static cublasStatus_t set_preference(cublasLtMatmulPreference_t preference,
                                     cublasLtMatmulPreferenceAttributes_t attribute,
                                     const void *value, size_t bytes) {
    (void)preference;
    (void)attribute;
    (void)value;
    (void)bytes;
    return answer();
}

static cublasStatus_t suggest(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
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
    cublasStatus_t result = answer();
    if (result == CUBLAS_STATUS_SUCCESS && wanted_count > 0) {
        results[0] = (cublasLtMatmulHeuristicResult_t){.state = CUBLAS_STATUS_SUCCESS};
        *found_count = 1;
    }
    return result;
}

static cublasStatus_t multiply(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                               const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                               const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                               const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                               cublasLtMatrixLayout_t d_layout,
                               const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                               size_t workspace_bytes, cudaStream_t stream) {
    (void)handle;
    (void)description;
    (void)alpha;
    (void)a;
    (void)a_layout;
    (void)b;
    (void)b_layout;
    (void)beta;
    (void)c;
    (void)c_layout;
    (void)d;
    (void)d_layout;
    (void)algorithm;
    (void)workspace;
    (void)workspace_bytes;
    (void)stream;
    return answer();
}

const struct es_blas_calls *fake_blas_start(void) {
    static const struct es_blas_calls calls = {
        .create = create,
        .destroy = destroy,
        .matmul_desc_init = describe,
        .matmul_desc_set_attribute = set_description,
        .matrix_layout_init = lay_out,
        .preference_init = prefer,
        .preference_set_attribute = set_preference,
        .get_heuristic = suggest,
        .matmul = multiply,
    };
    call_count = 0;
    fail_index = 0;
    open_count = 0;
    return &calls;
}

void fake_blas_fail(uint32_t index) {
    fail_index = index == 0 ? 0 : call_count + index;
}

uint32_t fake_blas_call_count(void) {
    return call_count;
}

uint32_t fake_blas_open_count(void) {
    return open_count;
}
