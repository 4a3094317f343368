/* many_rig.h - the operations' scratch for products of many rows, on a GPU.
 *
 *   struct es_cuda_ops ops = many_rig_open(row_count, stride, out_floats);
 *   many_rig_close(&ops);                              and all of the device's memory */
#pragma once

#include "engine/cuda/gemm.h"
#include "tests/engine_cuda/device_rig.h"

#define MANY_RIG_WORKSPACE_BYTES (gpu_is_simulated() ? 1u << 16 : 32u << 20)

static inline struct es_cuda_ops many_rig_open(uint32_t row_count, uint32_t stride,
                                               uint32_t out_floats) {
    struct es_cuda_ops ops = {.cuda = device_rig_open()};
    struct es_error error;
    size_t rows = es_cuda_gemm_row_count(row_count);
    void *plans = NULL;
    ES_EXPECT(posix_memalign(&plans, 64, es_cuda_gemm_bytes()) == 0);
    ops.state = device_rig_zeros(sizeof *ops.state);
    ops.blas_workspace = device_rig_take(MANY_RIG_WORKSPACE_BYTES);
    ops.blas_workspace_bytes = MANY_RIG_WORKSPACE_BYTES;
    ops.split = device_rig_take(rows * stride * sizeof(uint16_t));
    ops.products = device_rig_take(rows * out_floats * sizeof(float));
    ops.many_row_count_max = row_count;
    device_rig_ok(es_cuda_gemm_open(&ops, es_blas_runtime(), plans, &error), &error);
    return ops;
}

static inline void many_rig_close(struct es_cuda_ops *ops) {
    void *plans = ops->plans;
    es_cuda_gemm_close(ops);
    free(plans);
    device_rig_drop();
}

/* Floats of one row of products of up to three matrices. */
static inline uint32_t many_rig_floats(uint32_t a, uint32_t b, uint32_t c) {
    return es_cuda_gemm_stride(a) + es_cuda_gemm_stride(b) + es_cuda_gemm_stride(c);
}

/* Asks for algorithms as the operations will: matrices that lie together are one. */
static inline void many_rig_prepare(const struct es_cuda_ops *ops,
                                    const struct es_matrix *const *matrices, uint32_t count,
                                    uint32_t row_count) {
    struct es_matrix joined[3];
    struct es_error error;
    uint32_t joined_count = es_cuda_gemm_join(matrices, count, joined);
    for (uint32_t i = 0; i < joined_count; i++) {
        device_rig_ok(es_cuda_gemm_prepare(ops, &joined[i], row_count, &error), &error);
    }
}
