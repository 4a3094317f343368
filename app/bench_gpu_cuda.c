#include "app/bench_gpu.h"

#include "engine/cuda/backend_cuda.h"
#include "engine/cuda/measure.h"

#include <stdio.h>

_Static_assert(ES_CUDA_MEASURE_COUNT_MAX == ES_BENCH_KERNEL_COUNT_MAX, "one list fits the other");

bool es_bench_has_gpu(const struct es_bench *bench) {
    return bench->boot->backend_config.cuda != NULL;
}

enum es_status es_bench_gpu_read(struct es_bench *bench, double *pass_s, uint32_t pass_count,
                                 struct es_error *error) {
    struct es_cuda *cuda = bench->boot->backend_config.cuda;
    bench->cache_bytes = cuda->l2_bytes;
    return es_cuda_measure_read(cuda, &bench->boot->arena, pass_s, pass_count, &bench->read_bytes,
                                error);
}

enum es_status es_bench_gpu_available(const struct es_bench *bench, size_t *bytes,
                                      struct es_error *error) {
    return es_cuda_memory_available(bench->boot->backend_config.cuda, bytes, error);
}

enum es_status es_bench_gpu_memory(struct es_bench *bench, struct es_error *error) {
    struct es_cuda_overhead overhead;
    es_arena_report(&bench->boot->arena, &bench->reservation);
    enum es_status status = es_cuda_measure_overhead(bench->boot->backend_config.cuda,
                                                     &bench->boot->arena, &overhead, error);
    if (status == ES_OK) {
        bench->cuda_context_bytes = overhead.context_bytes;
        bench->cuda_later_bytes = overhead.later_bytes;
    }
    return status;
}

const char *es_bench_gpu_name(const struct es_bench *bench) {
    static char name[288];
    const struct es_cuda *cuda = bench->boot->backend_config.cuda;
    snprintf(name, sizeof name, "%s, %u SMs", cuda->name, cuda->sm_count);
    return name;
}

enum es_status es_bench_gpu_kernels(struct es_bench *bench, struct es_error *error) {
    struct es_cuda_measured measured[ES_CUDA_MEASURE_COUNT_MAX];
    enum es_status status =
        es_backend_cuda_measure(bench->boot->backend, measured, &bench->kernel_count, error);
    for (uint32_t i = 0; i < bench->kernel_count; i++) {
        bench->kernels[i] = (struct es_bench_kernel){.stage = measured[i].stage,
                                                     .name = measured[i].name,
                                                     .per_frame = measured[i].per_frame,
                                                     .bytes = measured[i].bytes,
                                                     .seconds = measured[i].seconds};
    }
    return status;
}
