#include "app/bench_gpu.h"

#include "platform/assert.h"

bool es_bench_has_gpu(const struct es_bench *bench) {
    (void)bench;
    return false;
}

enum es_status es_bench_gpu_read(struct es_bench *bench, double *pass_s, uint32_t pass_count,
                                 struct es_error *error) {
    (void)pass_s;
    (void)pass_count;
    (void)error;
    ES_ASSERT(es_bench_has_gpu(bench));
    return ES_OK;
}

enum es_status es_bench_gpu_available(const struct es_bench *bench, size_t *bytes,
                                      struct es_error *error) {
    (void)bytes;
    (void)error;
    ES_ASSERT(es_bench_has_gpu(bench));
    return ES_OK;
}

enum es_status es_bench_gpu_memory(struct es_bench *bench, struct es_error *error) {
    (void)error;
    ES_ASSERT(es_bench_has_gpu(bench));
    return ES_OK;
}

const char *es_bench_gpu_name(const struct es_bench *bench) {
    ES_ASSERT(es_bench_has_gpu(bench));
    return "";
}

enum es_status es_bench_gpu_kernels(struct es_bench *bench, struct es_error *error) {
    (void)error;
    ES_ASSERT(es_bench_has_gpu(bench));
    return ES_OK;
}
