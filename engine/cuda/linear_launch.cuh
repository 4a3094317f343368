/* linear_launch.cuh - which variant of a streaming kernel, on how many blocks, in how many passes.
 *
 *   static const struct es_linear_kernels kernels = ES_LINEAR_KERNELS(project_rows, "project");
 *   for (row = 0; row < op->row_count; row += pass) {
 *       params.job = ...; es_linear_launch(ops, &kernels, &params.job, &params, error); } */
#pragma once

#include "engine/cuda/linear_inner.cuh"
#include "platform/assert.h"

/* One kernel template <uint32_t LOAD_COUNT, bool IS_RAGGED>: 6, 5 or 4 loads a lane where they divide
 * the columns that each warp has (1536, 1280 and 1024 columns a step), and 4 for any width. */
struct es_linear_kernels {
    struct es_cuda_kernel six, five, four, any;
};
#define ES_LINEAR_KERNELS(kernel, name)                                                            \
    {                                                                                              \
        ES_KERNEL(name "_6", kernel<6, false>), ES_KERNEL(name "_5", kernel<5, false>),            \
            ES_KERNEL(name "_4", kernel<4, false>), ES_KERNEL(name "_any", kernel<4, true>)        \
    }

#define ES_LINEAR_STATIC_BYTES 1024u /* at least what such a kernel has of static shared memory */

static inline bool es_linear_is_matrix(const struct es_matrix *w) {
    return w->dtype == ES_DTYPE_BF16 && w->stride % ES_LINEAR_CHUNK == 0 &&
           w->stride >= w->in_dim && w->stride - w->in_dim < ES_LINEAR_CHUNK;
}

/* How many of row_count rows one launch takes: as many as fit into shared memory, 8 at most; 0: not
 * one does. job->row_count is set to it. */
static inline uint32_t es_linear_take_rows(const struct es_cuda_ops *ops, struct es_linear_job *job,
                                           uint32_t row_count) {
    job->row_count = row_count < ES_LINEAR_ROW_COUNT_MAX ? row_count : ES_LINEAR_ROW_COUNT_MAX;
    while (job->row_count > 0 && es_linear_shared_bytes(job) + ES_LINEAR_STATIC_BYTES >
                                     ops->cuda->shared_block_bytes_max) {
        job->row_count--;
    }
    return job->row_count;
}

static inline enum es_status es_linear_too_wide(const struct es_cuda_ops *ops, const char *name,
                                                uint32_t in_dim, struct es_error *error) {
    return es_fail(error, ES_ERR_HARDWARE,
                   "CUDA: %s: a row of %u numbers does not fit into the %u bytes of shared memory "
                   "that %s gives a block; use --backend cpu",
                   name, in_dim, ops->cuda->shared_block_bytes_max, ops->cuda->name);
}

/* One block per SM: two kernels that follow each other fit onto it together. `params` is the
 * kernel's one argument and holds *job. */
static inline enum es_status es_linear_launch(const struct es_cuda_ops *ops,
                                              const struct es_linear_kernels *kernels,
                                              struct es_linear_job *job, uint32_t block_count_max,
                                              void *params, uint64_t moved_bytes,
                                              struct es_error *error) {
    const uint32_t warps = ES_LINEAR_GROUP_WARPS;
    const struct es_cuda_kernel *kernel = &kernels->any;
    if (job->chunk_count % (6 * warps) == 0) {
        kernel = &kernels->six;
    } else if (job->chunk_count % (5 * warps) == 0) {
        kernel = &kernels->five;
    } else if (job->chunk_count % (4 * warps) == 0) {
        kernel = &kernels->four;
    }
    struct es_cuda_grid grid = {};
    grid.block_count = ops->cuda->sm_count;
    if (grid.block_count > block_count_max) {
        grid.block_count = block_count_max;
    }
    grid.thread_count = ES_LINEAR_THREADS;
    grid.shared_bytes = es_linear_shared_bytes(job);
    grid.is_dependent = true;
    grid.moved_bytes = moved_bytes;
    /* As much as there is, so that a later call cannot take away what a recorded one needs. */
    enum es_status status = es_cuda_kernel_allow(
        ops->cuda, kernel, ops->cuda->shared_block_bytes_max - ES_LINEAR_STATIC_BYTES, error);
    if (status != ES_OK) {
        return status;
    }
    void *args[] = {params};
    return es_cuda_launch(ops->cuda, kernel, &grid, args, error);
}
