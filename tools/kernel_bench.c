/* kernel_bench - what the kernels of engine/cpu reach on this machine.
 *
 *   kernel_bench                  the best instruction set
 *   kernel_bench avx2             another one (portable, avx2, avx512, neon)
 *
 * Prints GFLOP/s on one core for linear maps of many shapes (beside OpenBLAS on f32 weights, where
 * it was found: OPENBLAS_CORETYPE=Haswell for a fair match with avx2) and for attention, then GB/s
 * of a one-row map on all cores beside plain reading. One-core figures are processor time, so that
 * a busy machine spoils less; every figure is the best of several tries. */
#include "engine/cpu/kernels.h"
#include "platform/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef ES_BENCH_OPENBLAS
#include <cblas.h>
#endif

#define TRIES 7u
#define ROWS_MAX 256u
#define OUTPUTS 1280u
#define STREAM_PARTS 16u
#define STREAM_OUTPUTS 9216u
#define STREAM_INPUTS 3072u
#define READ_TASKS 64u

struct product {
    struct es_pool *pool;
    struct es_matrix w;
    const float *wide; /* the same weights as f32 */
    const float *x;
    float *y;
    uint32_t row_count;
};

static double core_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *allocate(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63u) / 64u * 64u);
    if (memory == NULL) {
        fprintf(stderr, "kernel_bench: no memory for %zu bytes\n", bytes);
        exit(4);
    }
    return memory;
}

static float *random_floats(size_t count) {
    float *numbers = allocate(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (float)(rand() % 2001 - 1000) / 1000.0f;
    }
    return numbers;
}

static void run_linear(const void *context) {
    const struct product *p = context;
    es_linear(p->pool, &p->w, p->x, p->row_count, NULL, NULL, p->y);
}

#ifdef ES_BENCH_OPENBLAS
static void run_openblas(const void *context) {
    const struct product *p = context;
    const int k = (int)p->w.in_dim;
    const int n = (int)p->w.out_dim;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->row_count, n, k, 1.0f, p->x, k,
                p->wide, k, 0.0f, p->y, n);
}
#endif

static double gflops(void (*run)(const void *), const void *context, double operations) {
    double best = 1e30;
    const uint32_t repeats = 1u + (uint32_t)(2e8 / operations);
    for (uint32_t t = 0; t < TRIES; t++) {
        double start = core_seconds();
        for (uint32_t i = 0; i < repeats; i++) {
            run(context);
        }
        double each = (core_seconds() - start) / repeats;
        best = each < best ? each : best;
    }
    return operations / best * 1e-9;
}

static void bench_linear(struct es_pool *pool) {
    static const uint32_t inputs[] = {256, 1280, 2048, 5120};
    static const uint32_t rows[] = {1, 4, 16, 64, 256};
    printf("GFLOP/s on one core, %u outputs, BF16 weights (in brackets: OpenBLAS, f32 weights)\n",
           OUTPUTS);
    for (uint32_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        const size_t count = (size_t)inputs[i] * OUTPUTS;
        uint16_t *halves = allocate(count * sizeof *halves);
        float *wide = random_floats(count);
        for (size_t j = 0; j < count; j++) {
            uint32_t bits;
            memcpy(&bits, &wide[j], sizeof bits);
            halves[j] = (uint16_t)(bits >> 16);
        }
        float *x = random_floats((size_t)ROWS_MAX * inputs[i]);
        float *y = random_floats((size_t)ROWS_MAX * OUTPUTS);
        printf("%5u inputs:", inputs[i]);
        for (uint32_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            struct product p = {
                pool, {halves, OUTPUTS, inputs[i], ES_DTYPE_BF16, inputs[i]}, wide, x, y, rows[r]};
            const double operations = 2.0 * (double)count * rows[r];
            printf("  %u rows %.0f", rows[r], gflops(run_linear, &p, operations));
#ifdef ES_BENCH_OPENBLAS
            printf(" (%.0f)", gflops(run_openblas, &p, operations));
#endif
            fflush(stdout);
        }
        printf("\n");
        free(halves);
        free(wide);
        free(x);
        free(y);
    }
}

struct attention {
    struct es_pool *pool;
    struct es_attention_job job;
    void *scratch;
};

static void run_attention(const void *context) {
    const struct attention *a = context;
    es_attention(a->pool, &a->job, a->scratch);
}

static void bench_attention(struct es_pool *pool) {
    static const uint32_t shapes[][5] = {/* rows, heads, kv heads, head_dim, window */
                                         {4, 32, 32, 64, 750},
                                         {256, 32, 32, 64, 750},
                                         {1, 32, 8, 128, 8192},
                                         {39, 32, 8, 128, 1024}};
    for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const uint32_t *s = shapes[i];
        const uint32_t slots = s[4] + s[0];
        const size_t q_count = (size_t)s[0] * s[1] * s[3];
        const size_t ring_count = (size_t)s[2] * slots * s[3];
        float *q = random_floats(q_count);
        float *out = random_floats(q_count);
        float *keys = random_floats(ring_count);
        float *values = random_floats(ring_count);
        struct attention a = {pool,
                              {q, keys, values, out, s[0], s[1], s[2], s[3], s[4], slots, s[4], 0},
                              allocate(es_attention_scratch_bytes(s[4], 1))};
        const double operations = 4.0 * s[0] * s[1] * s[3] * s[4];
        printf("attention, %u rows, %u/%u heads of %u, window %u: %.0f GFLOP/s on one core\n", s[0],
               s[1], s[2], s[3], s[4], gflops(run_attention, &a, operations));
        free(q);
        free(out);
        free(keys);
        free(values);
        free(a.scratch);
    }
}

struct reading {
    const uint64_t *words;
    size_t task_words;
    uint64_t sums[READ_TASKS];
};

/* Eight streams at once, as the one-row map reads them: one alone does not fill the memory's queue.
 */
static void read_part(void *context, uint32_t task_index, uint32_t worker_index) {
    (void)worker_index;
    struct reading *reading = context;
    const uint64_t *words = reading->words + task_index * reading->task_words;
    const size_t stream_words = reading->task_words / 8u;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < stream_words; i += 8u) {
        for (uint32_t stream = 0; stream < 8u; stream++) {
            for (uint32_t lane = 0; lane < 8u; lane++) {
                sums[lane] += words[stream * stream_words + i + lane];
            }
        }
    }
    for (uint32_t lane = 0; lane < 8u; lane++) {
        reading->sums[task_index] += sums[lane];
    }
}

/* Every try takes another part of the weights, too large for the caches and short enough to fall
 * between the turns of other processes. */
static void bench_stream(void) {
    struct es_error error;
    struct es_pool *pool;
    if (es_pool_start(&pool, 0, &error) != ES_OK) {
        fprintf(stderr, "kernel_bench: %s\n", error.text);
        exit(4);
    }
    const size_t part_count = (size_t)STREAM_OUTPUTS * STREAM_INPUTS;
    uint16_t *weights = allocate(STREAM_PARTS * part_count * sizeof *weights);
    for (size_t i = 0; i < STREAM_PARTS * part_count; i++) {
        weights[i] = (uint16_t)(0x3C00u + i % 512u);
    }
    /* A decoder step, and a live position of the encoder. */
    static const uint32_t rows[] = {1, 4};
    float *x = random_floats((size_t)4 * STREAM_INPUTS);
    float *y = random_floats((size_t)4 * STREAM_OUTPUTS);
    uint64_t best_read = UINT64_MAX;
    uint64_t best_map[] = {UINT64_MAX, UINT64_MAX};
    uint64_t check = 0;
    for (uint32_t t = 0; t < 12u * STREAM_PARTS; t++) {
        const uint16_t *part = weights + t % STREAM_PARTS * part_count;
        struct reading reading = {
            (const uint64_t *)(const void *)part, part_count / 4u / READ_TASKS, {0}};
        uint64_t start = es_clock_ns();
        es_pool_run(pool, read_part, &reading, READ_TASKS);
        uint64_t took = es_clock_ns() - start;
        best_read = took < best_read ? took : best_read;
        check += reading.sums[0];
        for (uint32_t r = 0; r < 2; r++) {
            const size_t other = (t + (r + 1u) * STREAM_PARTS / 3u) % STREAM_PARTS;
            const struct es_matrix w = {weights + other * part_count, STREAM_OUTPUTS, STREAM_INPUTS,
                                        ES_DTYPE_BF16, STREAM_INPUTS};
            start = es_clock_ns();
            es_linear(pool, &w, x, rows[r], NULL, NULL, y);
            took = es_clock_ns() - start;
            best_map[r] = took < best_map[r] ? took : best_map[r];
        }
    }
    const double bytes = (double)part_count * sizeof *weights;
    printf("%.0f MB of BF16 weights, %u threads: by one row %.1f GB/s, by four %.1f; plain reading "
           "%.1f GB/s (sum %llx)\n",
           bytes * 1e-6, es_pool_thread_count(pool), bytes / (double)best_map[0],
           bytes / (double)best_map[1], bytes / (double)best_read, (unsigned long long)check);
    free(weights);
    free(x);
    free(y);
    es_pool_stop(pool);
}

int main(int argc, char **argv) {
    for (int isa = 0; argc > 1 && isa <= ES_ISA_NEON; isa++) {
        if (strcmp(argv[1], es_isa_name((enum es_isa)isa)) == 0 &&
            es_isa_available((enum es_isa)isa)) {
            es_isa_force((enum es_isa)isa);
        }
    }
    if (argc > 1 && strcmp(argv[1], es_isa_name(es_isa_current())) != 0) {
        fprintf(stderr,
                "kernel_bench: %s: not an instruction set of this machine; give one of "
                "portable, avx2, avx512, neon\n",
                argv[1]);
        return 2;
    }
    printf("instruction set: %s\n", es_isa_name(es_isa_current()));
    struct es_error error;
    struct es_pool *pool;
    if (es_pool_start(&pool, 1, &error) != ES_OK) {
        fprintf(stderr, "kernel_bench: %s\n", error.text);
        return 4;
    }
    bench_linear(pool);
    bench_attention(pool);
    es_pool_stop(pool);
    bench_stream();
    return 0;
}
