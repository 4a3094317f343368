/* bench_gpu.h - what only a GPU can say to the benchmark; bench_gpu_cuda.c, or bench_gpu_none.c in
 * a build without one.
 *
 *   if (es_bench_has_gpu(&bench)) { status = es_bench_gpu_read(&bench, pass_s, 9, &error); } */
#pragma once

#include "app/bench.h"

/* The backend that was booted works on a GPU. The rest is called only then. */
bool es_bench_has_gpu(const struct es_bench *bench);

/* Reads all of the model's device memory pass_count times: seconds of each pass; sets read_bytes
 * and cache_bytes. */
ES_MUST_CHECK enum es_status es_bench_gpu_read(struct es_bench *bench, double *pass_s,
                                               uint32_t pass_count, struct es_error *error);

/* Memory of the GPU that nobody has. */
ES_MUST_CHECK enum es_status es_bench_gpu_available(const struct es_bench *bench, size_t *bytes,
                                                    struct es_error *error);

/* What the GPU's memory went to, after warm-up: sets reservation, cuda_context_bytes and
 * cuda_later_bytes. */
ES_MUST_CHECK enum es_status es_bench_gpu_memory(struct es_bench *bench, struct es_error *error);

/* "NVIDIA H200, 132 SMs". Static storage. */
const char *es_bench_gpu_name(const struct es_bench *bench);

/* Fills bench->kernels. Last: it leaves the backend's stream anywhere. */
ES_MUST_CHECK enum es_status es_bench_gpu_kernels(struct es_bench *bench, struct es_error *error);
