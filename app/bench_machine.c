#include "app/bench_machine.h"

#include "app/bench_gpu.h"
#include "platform/assert.h"
#include "platform/clock.h"

#include <string.h>
#include <unistd.h>

#define READ_BYTES_MIN ((size_t)256 << 20)
#define READ_BYTES_MAX ((size_t)2 << 30)
#define READ_CACHES                                                                                \
    4u /* times the last-level cache: what is left of a pass in it is under a quarter */
#define READ_PASS_COUNT 9u
#define READ_TASK_BYTES ((size_t)1 << 20)
#define READ_LINE_COUNT 8u

/* 64 bytes at once: whatever the compiler makes of it is wide enough for DRAM. */
typedef uint64_t lane_t __attribute__((vector_size(64)));

void es_bench_machine_layout(struct es_bench *bench) {
    if (es_bench_has_gpu(bench)) {
        return; /* a GPU reads the weights themselves */
    }
    long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    bench->cache_bytes = cache_bytes > 0 ? (size_t)cache_bytes : 0;
    bench->read_bytes = READ_CACHES * bench->cache_bytes;
    bench->read_bytes = bench->read_bytes > READ_BYTES_MIN ? bench->read_bytes : READ_BYTES_MIN;
    bench->read_bytes = bench->read_bytes < READ_BYTES_MAX ? bench->read_bytes : READ_BYTES_MAX;
    bench->read_bytes -= bench->read_bytes % READ_TASK_BYTES;
    bench->read_region =
        es_plan_add(&bench->boot->plan, ES_MEM_HOST, "bench read buffer", bench->read_bytes);
}

/* Along several lines at once, as the kernels read: a ceiling must not be a straw man. */
static void read_task(void *context, uint32_t task_index, uint32_t worker_index) {
    (void)worker_index;
    const lane_t *lanes =
        (const lane_t *)((const char *)context + (size_t)task_index * READ_TASK_BYTES);
    const size_t line_lanes = READ_TASK_BYTES / READ_LINE_COUNT / sizeof(lane_t);
    lane_t sums[READ_LINE_COUNT] = {{0}};
    for (size_t i = 0; i < line_lanes; i++) {
        for (size_t line = 0; line < READ_LINE_COUNT; line++) {
            sums[line] += lanes[line * line_lanes + i];
        }
    }
    lane_t sum = sums[0];
    for (size_t line = 1; line < READ_LINE_COUNT; line++) {
        sum += sums[line];
    }
    /* The buffer holds ones; a use of the sum keeps the reads. */
    ES_ASSERT(sum[0] == READ_TASK_BYTES / sizeof(lane_t));
}

static void take_passes(struct es_bench *bench, const double *pass_s) {
    uint64_t pass_ns[READ_PASS_COUNT];
    for (uint32_t i = 0; i < READ_PASS_COUNT; i++) {
        pass_ns[i] = (uint64_t)(pass_s[i] * 1e9 + 0.5);
    }
    es_bench_sort(pass_ns, READ_PASS_COUNT);
    const uint64_t median_ns = pass_ns[READ_PASS_COUNT / 2u];
    const double bytes = (double)bench->read_bytes;
    bench->read_bytes_per_s = bytes / (double)pass_ns[0] * 1e9;
    bench->read_median_bytes_per_s = bytes / (double)median_ns * 1e9;
}

static void read_on_cpu(struct es_bench *bench, double *pass_s) {
    uint64_t *buffer = es_arena_region(&bench->boot->arena, bench->read_region);
    for (size_t i = 0; i < bench->read_bytes / sizeof *buffer; i++) {
        buffer[i] = 1;
    }
    for (uint32_t pass = 0; pass < READ_PASS_COUNT; pass++) {
        uint64_t start_ns = es_clock_ns();
        es_pool_run(bench->boot->pool, read_task, buffer,
                    (uint32_t)(bench->read_bytes / READ_TASK_BYTES));
        pass_s[pass] = (double)(es_clock_ns() - start_ns) * 1e-9;
    }
}

enum es_status es_bench_measure_read(struct es_bench *bench, struct es_error *error) {
    double pass_s[READ_PASS_COUNT];
    enum es_status status = ES_OK;
    if (es_bench_has_gpu(bench)) {
        status = es_bench_gpu_read(bench, pass_s, READ_PASS_COUNT, error);
    } else {
        read_on_cpu(bench, pass_s);
    }
    if (status == ES_OK) {
        take_passes(bench, pass_s);
    }
    return status;
}
