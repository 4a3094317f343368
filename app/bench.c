#include "app/bench.h"

#include "platform/assert.h"
#include "platform/clock.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES_MIN ((size_t)256 << 20)
#define READ_BYTES_MAX ((size_t)2 << 30)
#define READ_CACHES                                                                                \
    4u /* times the last-level cache: what is left of a pass in it is under a quarter */
#define READ_PASS_COUNT 9u
#define READ_TASK_BYTES ((size_t)1 << 20)
#define READ_LINE_COUNT 8u
#define DEFAULT_DELAY_POSITIONS 6u

/* 64 bytes at once: whatever the compiler makes of it is wide enough for DRAM. */
typedef uint64_t lane_t __attribute__((vector_size(64)));

/* The wrapped seam has no context of its own. */
static struct es_bench *timed;
static struct es_backend_ops timed_ops;

static double seconds_of(uint64_t ns) {
    return (double)ns * 1e-9;
}

void es_bench_layout(struct es_bench *bench, struct es_boot *boot, uint32_t seconds) {
    memset(bench, 0, sizeof *bench);
    bench->boot = boot;
    bench->seconds = seconds;
    long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    bench->cache_bytes = cache_bytes > 0 ? (size_t)cache_bytes : 0;
    bench->read_bytes = READ_CACHES * bench->cache_bytes;
    bench->read_bytes = bench->read_bytes > READ_BYTES_MIN ? bench->read_bytes : READ_BYTES_MIN;
    bench->read_bytes = bench->read_bytes < READ_BYTES_MAX ? bench->read_bytes : READ_BYTES_MAX;
    bench->read_bytes -= bench->read_bytes % READ_TASK_BYTES;
    bench->time_count_max = seconds * 1000u / ES_POSITION_MS + ES_PROMPT_POSITIONS_MAX;
    bench->read_region =
        es_plan_add(&boot->plan, ES_MEM_HOST, "bench read buffer", bench->read_bytes);
    bench->times_region = es_plan_add(&boot->plan, ES_MEM_HOST, "bench times",
                                      2u * (size_t)bench->time_count_max * sizeof(uint64_t));
}

/* Shell sort: qsort may allocate. */
static void sort(uint64_t *times, uint32_t count) {
    for (uint32_t gap = count / 2u; gap > 0; gap /= 2u) {
        for (uint32_t i = gap; i < count; i++) {
            uint64_t time = times[i];
            uint32_t place = i;
            for (; place >= gap && times[place - gap] > time; place -= gap) {
                times[place] = times[place - gap];
            }
            times[place] = time;
        }
    }
}

uint64_t es_bench_percentile(const uint64_t *times, uint32_t count, double share) {
    if (count == 0) {
        return 0;
    }
    /* The smallest value that at least this share of all values do not exceed. */
    double rank = ceil(share * (double)count);
    return times[rank < 1.0 ? 0 : (uint32_t)rank - 1u];
}

/* -- the machine ------------------------------------------------------------------------------ */

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

void es_bench_measure_read(struct es_bench *bench) {
    uint64_t *buffer = es_arena_region(&bench->boot->arena, bench->read_region);
    for (size_t i = 0; i < bench->read_bytes / sizeof *buffer; i++) {
        buffer[i] = 1;
    }
    uint64_t passes[READ_PASS_COUNT];
    for (uint32_t pass = 0; pass < READ_PASS_COUNT; pass++) {
        uint64_t start_ns = es_clock_ns();
        es_pool_run(bench->boot->pool, read_task, buffer,
                    (uint32_t)(bench->read_bytes / READ_TASK_BYTES));
        passes[pass] = es_clock_ns() - start_ns;
    }
    sort(passes, READ_PASS_COUNT);
    bench->read_bytes_per_s = (double)bench->read_bytes / seconds_of(passes[0]);
    bench->read_median_bytes_per_s =
        (double)bench->read_bytes / seconds_of(passes[READ_PASS_COUNT / 2u]);
}

/* -- the engine, timed at its seam ------------------------------------------------------------ */

static int timed_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                        struct es_error *error) {
    es_profile_set(timed->is_live ? NULL : &timed->profile);
    uint64_t start_ns = es_clock_ns();
    int waiting_count = timed->boot->ops->encode(backend, mel, position_count, error);
    uint64_t ns = es_clock_ns() - start_ns;
    es_profile_set(NULL);
    if (!timed->is_live) {
        timed->chunk_encode_ns += ns;
        timed->chunk_encode_positions += position_count;
    } else if (position_count == 1 && timed->encode_count < timed->time_count_max) {
        timed->encode_ns[timed->encode_count++] = ns;
    }
    return waiting_count;
}

static enum es_status timed_prefill(struct es_backend *backend, const int32_t *ids,
                                    uint32_t id_count, float streaming_pad_bias,
                                    struct es_choice *choice, struct es_error *error) {
    uint64_t start_ns = es_clock_ns();
    enum es_status status =
        timed->boot->ops->prefill(backend, ids, id_count, streaming_pad_bias, choice, error);
    timed->prefill_ns = es_clock_ns() - start_ns;
    timed->prefill_positions = id_count;
    timed->step_count = id_count;
    return status;
}

static enum es_status timed_decode(struct es_backend *backend, const struct es_step *step,
                                   struct es_choice *choice, struct es_error *error) {
    uint64_t start_ns = es_clock_ns();
    enum es_status status = timed->boot->ops->decode(backend, step, choice, error);
    uint64_t ns = es_clock_ns() - start_ns;
    timed->step_count++;
    if (timed->is_live && timed->decode_count < timed->time_count_max) {
        timed->decode_ns[timed->decode_count++] = ns;
        const struct es_stack *stack = &timed->boot->model.decoder;
        uint64_t keys = timed->step_count < stack->window ? timed->step_count : stack->window;
        timed->kv_bytes += 2.0 * (double)keys * stack->layer_count * stack->kv_head_count *
                           stack->head_dim * sizeof(float);
    }
    return status;
}

/* Weights that one decoder step reads: every matrix once. The norms are too small to count, the
 * conditioning is computed once per stream. */
static double step_weight_bytes(const struct es_boot *boot) {
    const struct es_stack *stack = &boot->model.decoder;
    double q = (double)stack->head_count * stack->head_dim;
    double kv = (double)stack->kv_head_count * stack->head_dim;
    double layer = stack->dim * (2.0 * q + 2.0 * kv + 3.0 * stack->hidden_dim);
    double head = (double)boot->model.vocab_size * stack->dim;
    return (layer * stack->layer_count + head) * (double)es_dtype_bytes(boot->dtype);
}

static void ignore_token(void *context, const struct es_token *token) {
    (void)context;
    (void)token;
}

/* A second of tone, a second of quiet, over noise: something to encode in every band. */
static void synthesize(float *pcm, uint32_t count, uint64_t first_sample) {
    const double turn = 6.283185307179586;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sample = first_sample + i;
        uint64_t noise = (sample + 1u) * 6364136223846793005u;
        noise ^= noise >> 33;
        noise *= 0xff51afd7ed558ccdu;
        float value = ((float)(noise >> 40) / 16777216.0f - 0.5f) * 0.02f;
        if (sample / ES_SAMPLE_RATE % 2u == 0) {
            value += 0.2f *
                     (float)sin(turn * 440.0 * (double)(sample % ES_SAMPLE_RATE) / ES_SAMPLE_RATE);
        }
        pcm[i] = value;
    }
}

/* Feeds blocks until the audio or the time is used up; the synthesis is not counted. */
static enum es_status run_pass(struct es_bench *bench, uint32_t block_samples, double *audio_s,
                               double *wall_s, struct es_error *error) {
    struct es_pipeline *pipeline = &bench->boot->pipeline;
    struct es_pipeline_options options = {
        .stream = {.delay_positions = DEFAULT_DELAY_POSITIONS, .on_token = ignore_token}};
    timed = bench;
    timed_ops = *bench->boot->ops;
    timed_ops.encode = timed_encode;
    timed_ops.prefill = timed_prefill;
    timed_ops.decode = timed_decode;
    pipeline->stream.ops = &timed_ops;
    uint64_t sample_count = (uint64_t)bench->seconds * ES_SAMPLE_RATE;
    uint64_t start_ns = es_clock_ns();
    enum es_status status = es_pipeline_start(pipeline, &options, error);
    uint64_t wall_ns = es_clock_ns() - start_ns;
    for (uint64_t done = 0;
         status == ES_OK && done < sample_count && wall_ns < ES_BENCH_PASS_NS_MAX;) {
        uint64_t left = sample_count - done;
        uint32_t count = left < block_samples ? (uint32_t)left : block_samples;
        synthesize(pipeline->pcm, count, done);
        start_ns = es_clock_ns();
        status = es_pipeline_push(pipeline, pipeline->pcm, count, error);
        wall_ns += es_clock_ns() - start_ns;
        done += count;
    }
    pipeline->stream.ops = bench->boot->ops;
    *audio_s = (double)pipeline->sample_count / ES_SAMPLE_RATE;
    *wall_s = seconds_of(wall_ns);
    return status;
}

enum es_status es_bench_measure_live(struct es_bench *bench, struct es_error *error) {
    bench->decode_ns = es_arena_region(&bench->boot->arena, bench->times_region);
    bench->encode_ns = bench->decode_ns + bench->time_count_max;
    bench->is_live = true;
    enum es_status status =
        run_pass(bench, ES_POSITION_SAMPLES, &bench->live_audio_s, &bench->live_wall_s, error);
    if (status != ES_OK) {
        return status;
    }
    sort(bench->decode_ns, bench->decode_count);
    sort(bench->encode_ns, bench->encode_count);
    double steps = bench->decode_count > 0 ? (double)bench->decode_count : 1.0;
    bench->step_bytes = step_weight_bytes(bench->boot) + bench->kv_bytes / steps;
    return ES_OK;
}

enum es_status es_bench_measure_file(struct es_bench *bench, struct es_error *error) {
    bench->is_live = false;
    return run_pass(bench, bench->boot->pipeline.block_samples, &bench->file_audio_s,
                    &bench->file_wall_s, error);
}

void es_bench_measure_mel(struct es_bench *bench) {
    struct es_pipeline *pipeline = &bench->boot->pipeline;
    uint64_t wall_ns = 0;
    es_mel_reset(pipeline->mel);
    for (uint32_t second = 0; second < bench->seconds && wall_ns < ES_BENCH_PASS_NS_MAX; second++) {
        for (uint32_t done = 0; done < ES_SAMPLE_RATE; done += ES_POSITION_SAMPLES) {
            uint32_t left = ES_SAMPLE_RATE - done;
            uint32_t count = left < ES_POSITION_SAMPLES ? left : ES_POSITION_SAMPLES;
            synthesize(pipeline->pcm, count, (uint64_t)second * ES_SAMPLE_RATE + done);
            uint64_t start_ns = es_clock_ns();
            (void)es_mel_push(pipeline->mel, pipeline->pcm, count, pipeline->frames);
            wall_ns += es_clock_ns() - start_ns;
        }
    }
    bench->mel_s_per_audio_s = seconds_of(wall_ns) / bench->seconds;
}
