#include "engine/cuda/gemm.h"

#include "engine/cuda/gemm_calls.h"
#include "platform/assert.h"

#include <string.h>

/* A 4B model has 70 shapes, as many as that again where rows are cut otherwise. A power of two. */
#define PLAN_COUNT_MAX 512u
#define ALIGN_BYTES 64u

struct plan {
    uint32_t out_dim, stride, row_count; /* row_count 0: free */
    cublasLtMatmulAlgo_t algorithm;
};

struct plans {
    const struct es_blas_calls *calls;
    uint32_t count;
    struct plan slots[PLAN_COUNT_MAX]; /* by hash, the next free one where that is taken */
};

/* What cuBLASLt wants to know of one product: it sees columns where C sees rows. Nothing of it is
 * allocated. */
struct product {
    cublasLtMatmulDescOpaque_t description;
    cublasLtMatrixLayoutOpaque_t weights, split, products;
};

const struct es_blas_calls *es_blas_runtime(void) {
    static const struct es_blas_calls calls = {
        .create = cublasLtCreate,
        .destroy = cublasLtDestroy,
        .matmul_desc_init = cublasLtMatmulDescInit_internal,
        .matmul_desc_set_attribute = cublasLtMatmulDescSetAttribute,
        .matrix_layout_init = cublasLtMatrixLayoutInit_internal,
        .preference_init = cublasLtMatmulPreferenceInit_internal,
        .preference_set_attribute = cublasLtMatmulPreferenceSetAttribute,
        .get_heuristic = cublasLtMatmulAlgoGetHeuristic,
        .matmul = cublasLtMatmul,
    };
    return &calls;
}

size_t es_cuda_gemm_bytes(void) {
    return sizeof(struct plans);
}

uint32_t es_cuda_gemm_row_count(uint32_t row_count) {
    uint32_t stacked = ES_CUDA_SPLIT_PART_COUNT * row_count;
    return (stacked + ES_CUDA_GEMM_ROW_MULTIPLE - 1u) / ES_CUDA_GEMM_ROW_MULTIPLE *
           ES_CUDA_GEMM_ROW_MULTIPLE;
}

uint32_t es_cuda_gemm_stride(uint32_t out_dim) {
    const uint32_t floats = ALIGN_BYTES / (uint32_t)sizeof(float);
    return (out_dim + floats - 1u) / floats * floats;
}

uint32_t es_cuda_gemm_join(const struct es_matrix *const *matrices, uint32_t count,
                           struct es_matrix *joined) {
    uint32_t joined_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct es_matrix *last = joined_count > 0 ? &joined[joined_count - 1u] : NULL;
        if (last != NULL && last->stride == matrices[i]->stride &&
            (const uint16_t *)last->data + (size_t)last->out_dim * last->stride ==
                matrices[i]->data) {
            last->out_dim += matrices[i]->out_dim;
        } else {
            joined[joined_count++] = *matrices[i];
        }
    }
    return joined_count;
}

static const char *blas_words(cublasStatus_t result) {
    switch (result) {
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "out of memory";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "invalid value";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "not for this GPU";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "the GPU failed";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "not supported";
    default:
        return "internal error";
    }
}

static enum es_status check(cublasStatus_t result, const char *operation, const struct es_matrix *w,
                            uint32_t row_count, struct es_error *error) {
    if (result == CUBLAS_STATUS_SUCCESS) {
        return ES_OK;
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "cuBLASLt: %s, %u rows times [%u, %u]: %s (%d); free some memory of the GPU, "
                   "and update the CUDA libraries if it comes back",
                   operation, row_count, w->out_dim, w->stride, blas_words(result), (int)result);
}

enum es_status es_cuda_gemm_open(struct es_cuda_ops *ops, const struct es_blas_calls *calls,
                                 void *memory, struct es_error *error) {
    const struct es_matrix none = {0};
    struct plans *plans = memory;
    ES_ASSERT((uintptr_t)memory % ALIGN_BYTES == 0);
    ES_ASSERT((uintptr_t)ops->blas_workspace % ALIGN_BYTES == 0);
    memset(plans, 0, sizeof *plans);
    plans->calls = calls;
    ops->plans = plans;
    cublasLtHandle_t handle = NULL;
    enum es_status status = check(calls->create(&handle), "opening", &none, 0, error);
    ops->blas = status == ES_OK ? handle : NULL;
    return status;
}

void es_cuda_gemm_close(struct es_cuda_ops *ops) {
    if (ops->blas != NULL) {
        const struct plans *plans = ops->plans;
        /* Nobody could do anything about a failure. */
        (void)plans->calls->destroy(ops->blas);
    }
    ops->blas = NULL;
    ops->plans = NULL;
}

static enum es_status describe(const struct es_blas_calls *calls, const struct es_matrix *w,
                               uint32_t row_count, struct product *product,
                               struct es_error *error) {
    const cublasOperation_t transposed = CUBLAS_OP_T;
    cublasStatus_t result = calls->matmul_desc_init(
        &product->description, sizeof product->description, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (result == CUBLAS_STATUS_SUCCESS) {
        result = calls->matmul_desc_set_attribute(
            &product->description, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    }
    if (result == CUBLAS_STATUS_SUCCESS) {
        result = calls->matrix_layout_init(&product->weights, sizeof product->weights, CUDA_R_16BF,
                                           w->stride, w->out_dim, w->stride);
    }
    if (result == CUBLAS_STATUS_SUCCESS) {
        result = calls->matrix_layout_init(&product->split, sizeof product->split, CUDA_R_16BF,
                                           w->stride, row_count, w->stride);
    }
    if (result == CUBLAS_STATUS_SUCCESS) {
        result = calls->matrix_layout_init(&product->products, sizeof product->products, CUDA_R_32F,
                                           w->out_dim, row_count, es_cuda_gemm_stride(w->out_dim));
    }
    return check(result, "describing a product", w, row_count, error);
}

/* The slot of this shape, or the free one where it belongs; NULL: not there, and no room for it. */
static struct plan *find(struct plans *plans, const struct es_matrix *w, uint32_t row_count) {
    uint32_t hash = (w->out_dim * 31u + w->stride) * 31u + row_count;
    hash = (hash ^ hash >> 15) * 2654435769u >> 16;
    for (uint32_t i = 0; i < PLAN_COUNT_MAX; i++) {
        struct plan *plan = &plans->slots[(hash + i) % PLAN_COUNT_MAX];
        if (plan->row_count == 0 || (plan->row_count == row_count && plan->stride == w->stride &&
                                     plan->out_dim == w->out_dim)) {
            return plan;
        }
    }
    return NULL;
}

static enum es_status prefer(const struct es_blas_calls *calls, const struct es_cuda_ops *ops,
                             const struct es_matrix *w, uint32_t row_count,
                             cublasLtMatmulPreferenceOpaque_t *preference, struct es_error *error) {
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const uint32_t align_bytes = ALIGN_BYTES;
    cublasStatus_t result = calls->preference_init(preference, sizeof *preference);
    if (result == CUBLAS_STATUS_SUCCESS) {
        result = calls->preference_set_attribute(
            preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &ops->blas_workspace_bytes,
            sizeof ops->blas_workspace_bytes);
    }
    for (uint32_t i = 0; i < 4 && result == CUBLAS_STATUS_SUCCESS; i++) {
        result = calls->preference_set_attribute(preference, alignments[i], &align_bytes,
                                                 sizeof align_bytes);
    }
    return check(result, "stating preferences", w, row_count, error);
}

enum es_status es_cuda_gemm_prepare(const struct es_cuda_ops *ops, const struct es_matrix *w,
                                    uint32_t row_count, struct es_error *error) {
    struct plans *plans = ops->plans;
    const uint32_t stacked = es_cuda_gemm_row_count(row_count);
    struct plan *plan = find(plans, w, stacked);
    ES_ASSERT(row_count > 0);
    if (plan == NULL || (plan->row_count == 0 && plans->count == PLAN_COUNT_MAX - 1u)) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuBLASLt: this model has more than %u shapes of products; use "
                       "--backend cpu",
                       PLAN_COUNT_MAX - 1u);
    }
    if (plan->row_count != 0) {
        return ES_OK;
    }
    struct product product;
    cublasLtMatmulPreferenceOpaque_t preference;
    enum es_status status = describe(plans->calls, w, stacked, &product, error);
    if (status == ES_OK) {
        status = prefer(plans->calls, ops, w, stacked, &preference, error);
    }
    if (status != ES_OK) {
        return status;
    }
    cublasLtMatmulHeuristicResult_t found;
    int found_count = 0;
    status = check(plans->calls->get_heuristic(ops->blas, &product.description, &product.weights,
                                               &product.split, &product.products, &product.products,
                                               &preference, 1, &found, &found_count),
                   "choosing an algorithm", w, stacked, error);
    if (status == ES_OK && found_count < 1) {
        status = check(CUBLAS_STATUS_NOT_SUPPORTED, "choosing an algorithm", w, stacked, error);
    }
    if (status != ES_OK) {
        return status;
    }
    *plan = (struct plan){w->out_dim, w->stride, stacked, found.algo};
    plans->count++;
    return ES_OK;
}

bool es_cuda_gemm_is_prepared(const struct es_cuda_ops *ops, const struct es_matrix *w,
                              uint32_t row_count) {
    const struct plan *plan = find(ops->plans, w, es_cuda_gemm_row_count(row_count));
    return plan != NULL && plan->row_count != 0;
}

enum es_status es_cuda_gemm(const struct es_cuda_ops *ops, const struct es_matrix *w,
                            uint32_t row_count, const uint16_t *split, float *products,
                            struct es_error *error) {
    struct plans *plans = ops->plans;
    ES_ASSERT(plans != NULL);
    ES_ASSERT(w->dtype == ES_DTYPE_BF16);
    const uint32_t stacked = es_cuda_gemm_row_count(row_count);
    const struct plan *plan = find(plans, w, stacked);
    ES_ASSERT(plan != NULL && plan->row_count == stacked);
    struct product product;
    enum es_status status = describe(plans->calls, w, stacked, &product, error);
    if (status != ES_OK) {
        return status;
    }
    if (ops->cuda->watch != NULL && ops->cuda->watch->is_choosing) {
        return ES_OK; /* a benchmark wants one kernel alone */
    }
    if (ops->cuda->is_lost) {
        return check(CUBLAS_STATUS_EXECUTION_FAILED, "multiplying after the GPU was lost", w,
                     stacked, error);
    }
    const float one = 1.0f;
    const float zero = 0.0f;
    return check(plans->calls->matmul(ops->blas, &product.description, &one, w->data,
                                      &product.weights, split, &product.split, &zero, products,
                                      &product.products, products, &product.products,
                                      &plan->algorithm, ops->blas_workspace,
                                      ops->blas_workspace_bytes, ops->cuda->stream),
                 "multiplying", w, stacked, error);
}
