#include "engine/cuda/gemm.h"
#include "engine/cuda/many.h"
#include "tests/support/fake_blas.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static uint32_t call_count; /* of the last run_fake, without closing */

/* Opens, prepares and multiplies with call `failing_call` failing; the first status that is not
 * ES_OK. */
static enum es_status run_fake(uint32_t failing_call, struct es_error *error) {
    struct es_cuda cuda = {0};
    struct es_cuda_ops ops = {.cuda = &cuda};
    const struct es_matrix w = {NULL, 48, 30, ES_DTYPE_BF16, 32};
    void *plans = NULL;
    ES_EXPECT(posix_memalign(&plans, 64, es_cuda_gemm_bytes()) == 0);
    const struct es_blas_calls *calls = fake_blas_start();
    fake_blas_fail(failing_call);
    enum es_status status = es_cuda_gemm_open(&ops, calls, plans, error);
    if (status == ES_OK) {
        status = es_cuda_gemm_prepare(&ops, &w, 20, error);
    }
    if (status == ES_OK) {
        status = es_cuda_gemm(&ops, &w, 20, NULL, NULL, error);
    }
    call_count = fake_blas_call_count();
    es_cuda_gemm_close(&ops);
    es_cuda_gemm_close(&ops);
    ES_EXPECT_EQ(fake_blas_open_count(), 0);
    free(plans);
    return status;
}

ES_TEST("every call of cuBLASLt that fails becomes a status with operation and shape") {
    struct es_error error;
    ES_EXPECT_EQ(run_fake(0, &error), ES_OK);
    const uint32_t all = call_count;
    ES_EXPECT(all >= 10);
    for (uint32_t i = 1; i <= all; i++) {
        error.text[0] = '\0';
        ES_EXPECT_EQ(run_fake(i, &error), ES_ERR_HARDWARE);
        ES_EXPECT_CONTAINS(error.text, "cuBLASLt: ");
        ES_EXPECT_CONTAINS(error.text, "internal error");
        ES_EXPECT(i == 1 || strstr(error.text, "64 rows times [48, 32]") != NULL);
    }
    es_test_note("%u calls, the last one: %s", all, error.text);
}

static cublasStatus_t suggest_nothing(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                      cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                      cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                      cublasLtMatmulPreference_t preference, int wanted_count,
                                      cublasLtMatmulHeuristicResult_t results[], int *found_count) {
    (void)handle, (void)description, (void)a, (void)b, (void)c, (void)d, (void)preference;
    (void)wanted_count, (void)results;
    *found_count = 0;
    return CUBLAS_STATUS_SUCCESS;
}

ES_TEST("a product that cuBLASLt has no algorithm for is told") {
    struct es_error error;
    struct es_cuda cuda = {0};
    struct es_cuda_ops ops = {.cuda = &cuda};
    const struct es_matrix w = {NULL, 48, 30, ES_DTYPE_BF16, 32};
    struct es_blas_calls calls = *fake_blas_start();
    calls.get_heuristic = suggest_nothing;
    void *plans = NULL;
    ES_EXPECT(posix_memalign(&plans, 64, es_cuda_gemm_bytes()) == 0);
    ES_EXPECT_EQ(es_cuda_gemm_open(&ops, &calls, plans, &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_gemm_prepare(&ops, &w, 20, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "choosing an algorithm");
    ES_EXPECT_CONTAINS(error.text, "not supported");
    es_cuda_gemm_close(&ops);
    free(plans);
}

ES_TEST("matrices that lie one behind the other are multiplied as one") {
    static const uint16_t rows[24 * 64];
    const struct es_matrix first = {rows, 4, 60, ES_DTYPE_BF16, 64};
    const struct es_matrix second = {rows + 4 * 64, 8, 60, ES_DTYPE_BF16, 64};
    const struct es_matrix third = {rows + 12 * 64, 2, 60, ES_DTYPE_BF16, 64};
    const struct es_matrix apart = {rows + 15 * 64, 2, 60, ES_DTYPE_BF16, 64};
    const struct es_matrix narrow = {rows + 12 * 64, 2, 32, ES_DTYPE_BF16, 32};
    const struct es_matrix *all[] = {&first, &second, &third};
    const struct es_matrix *gap[] = {&first, &second, &apart};
    const struct es_matrix *mixed[] = {&first, &second, &narrow};
    struct es_matrix joined[3];
    ES_EXPECT_EQ(es_cuda_gemm_join(all, 3, joined), 1);
    ES_EXPECT_EQ(joined[0].out_dim, 14);
    ES_EXPECT(joined[0].data == rows);
    ES_EXPECT_EQ(es_cuda_gemm_join(gap, 3, joined), 2);
    ES_EXPECT_EQ(joined[0].out_dim, 12);
    ES_EXPECT(joined[1].data == apart.data);
    ES_EXPECT_EQ(es_cuda_gemm_join(mixed, 3, joined), 2);
}

ES_TEST("more shapes than the table holds are told, and those in it are found again") {
    struct es_error error;
    struct es_cuda cuda = {0};
    struct es_cuda_ops ops = {.cuda = &cuda};
    void *plans = NULL;
    ES_EXPECT(posix_memalign(&plans, 64, es_cuda_gemm_bytes()) == 0);
    ES_EXPECT_EQ(es_cuda_gemm_open(&ops, fake_blas_start(), plans, &error), ES_OK);
    uint32_t shape_count = 0;
    for (;; shape_count++) {
        const struct es_matrix w = {NULL, 1u + shape_count % 37u, 32, ES_DTYPE_BF16, 32};
        enum es_status status =
            es_cuda_gemm_prepare(&ops, &w, 32u * (1u + shape_count / 37u), &error);
        if (status != ES_OK) {
            break;
        }
    }
    ES_EXPECT_EQ(shape_count, 511);
    ES_EXPECT_CONTAINS(error.text, "more than 511 shapes");
    for (uint32_t i = 0; i < shape_count; i++) {
        const struct es_matrix w = {NULL, 1u + i % 37u, 32, ES_DTYPE_BF16, 32};
        ES_EXPECT_EQ(es_cuda_gemm(&ops, &w, 32u * (1u + i / 37u), NULL, NULL, &error), ES_OK);
    }
    es_cuda_gemm_close(&ops);
    free(plans);
}

ES_TEST("the scratch of the 4B model") {
    const struct es_model model = {.encoder = {.dim = 1280,
                                               .head_dim = 64,
                                               .hidden_dim = 5120,
                                               .head_count = 32,
                                               .kv_head_count = 32},
                                   .decoder = {.dim = 3072,
                                               .head_dim = 128,
                                               .hidden_dim = 9216,
                                               .head_count = 32,
                                               .kv_head_count = 8},
                                   .mel_bin_count = 128,
                                   .downsample = 4,
                                   .frames_per_position = 8};
    size_t split_bytes = 0;
    size_t products_bytes = 0;
    uint32_t row_count_max = 0;
    es_cuda_many_scratch(&model, 64, &split_bytes, &products_bytes, &row_count_max);
    es_test_note("64 positions: %zu bytes split, %zu bytes of products", split_bytes,
                 products_bytes);
    ES_EXPECT_EQ(row_count_max, 512);
    ES_EXPECT_EQ(split_bytes, 512u * 5120u * 2u);
    ES_EXPECT_EQ(products_bytes, 512u * 2u * 5120u * 4u);
    es_cuda_many_scratch(&model, 1, &split_bytes, &products_bytes, &row_count_max);
    ES_EXPECT_EQ(row_count_max, 63);
    ES_EXPECT_EQ(split_bytes, 128u * 9216u * 2u);
    ES_EXPECT_EQ(products_bytes, 128u * 2u * 9216u * 4u);
}
