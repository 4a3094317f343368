#include "app/bench.h"

#include "app/bench_gpu.h"
#include "app/bench_machine.h"
#include "engine/tokenizer.h"
#include "platform/assert.h"
#include "platform/clock.h"
#include "platform/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_DELAY_POSITIONS 6u
#define PROMPT_POSITIONS (1u + ES_LEFT_PAD_POSITIONS + DEFAULT_DELAY_POSITIONS)
#define PREFILL_COUNT 7u
#define PARTS_POSITIONS 800u /* a minute of steps behind the prompt */
#define FULL_POSITIONS 200u
#define FILE_SECONDS_MAX 60u /* hours bring a file nothing new */
#define POSITIONS_PER_10_MIN 7500u

/* The wrapped seam has no context of its own. */
static struct es_bench *timed;
static struct es_backend_ops timed_ops;

static double seconds_of(uint64_t ns) {
    return (double)ns * 1e-9;
}

void es_bench_layout(struct es_bench *bench, struct es_boot *boot,
                     const struct es_bench_options *options) {
    memset(bench, 0, sizeof *bench);
    bench->boot = boot;
    bench->options = *options;
    es_bench_machine_layout(bench);
    /* Four lists, and scratch to sort one. */
    uint32_t frame_count_max = options->seconds * 1000u / ES_POSITION_MS + ES_PROMPT_POSITIONS_MAX;
    bench->frames.count_max = frame_count_max;
    bench->decode.count_max = bench->encode.count_max =
        es_bench_has_gpu(bench) ? PARTS_POSITIONS : frame_count_max;
    bench->full_decode.count_max = bench->full_encode.count_max = FULL_POSITIONS;
    size_t count = 2u * (size_t)frame_count_max + 2u * (size_t)bench->decode.count_max +
                   2u * (size_t)FULL_POSITIONS;
    bench->times_region =
        es_plan_add(&boot->plan, ES_MEM_HOST, "bench times", count * sizeof(uint64_t));
}

static uint64_t *bind(struct es_bench_times *times, uint64_t *next) {
    times->ns = next;
    times->count = 0;
    return next + times->count_max;
}

static void bind_times(struct es_bench *bench) {
    uint64_t *next = es_arena_region(&bench->boot->arena, bench->times_region);
    next += bench->frames.count_max; /* scratch */
    next = bind(&bench->frames, next);
    next = bind(&bench->decode, next);
    next = bind(&bench->encode, next);
    next = bind(&bench->full_decode, next);
    (void)bind(&bench->full_encode, next);
}

static void keep(struct es_bench_times *times, uint64_t ns) {
    if (times->count < times->count_max) {
        times->ns[times->count++] = ns;
    }
}

/* Shell sort: qsort may allocate. */
void es_bench_sort(uint64_t *times, uint32_t count) {
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

uint64_t es_bench_percentile(const struct es_bench *bench, const struct es_bench_times *times,
                             uint32_t first, uint32_t count, double share) {
    if (first >= times->count) {
        return 0;
    }
    uint32_t left = times->count - first;
    count = count < left ? count : left;
    uint64_t *sorted = es_arena_region(&bench->boot->arena, bench->times_region);
    memcpy(sorted, times->ns + first, count * sizeof *sorted);
    es_bench_sort(sorted, count);
    double rank = ceil(share * (double)count);
    return sorted[rank < 1.0 ? 0 : (uint32_t)rank - 1u];
}

double es_bench_drift(const struct es_bench *bench) {
    uint32_t filled = bench->boot->model.decoder.window;
    if (bench->frames.count < filled + 2u * POSITIONS_PER_10_MIN) {
        return 0;
    }
    uint64_t early = es_bench_percentile(bench, &bench->frames, filled, POSITIONS_PER_10_MIN, 0.5);
    uint64_t late =
        es_bench_percentile(bench, &bench->frames, bench->frames.count - POSITIONS_PER_10_MIN,
                            POSITIONS_PER_10_MIN, 0.5);
    return (double)late / (double)early;
}

enum es_status es_bench_write_times(const struct es_bench *bench, const char *path,
                                    struct es_error *error) {
    FILE *file = fopen(path, "w");
    bool is_written = file != NULL;
    for (uint32_t i = 0; is_written && i < bench->frames.count; i++) {
        is_written = fprintf(file, "%.4f\n", (double)bench->frames.ns[i] * 1e-6) > 0;
    }
    is_written = file != NULL && fclose(file) == 0 && is_written;
    return is_written ? ES_OK
                      : es_fail(error, ES_ERR_OUTPUT,
                                "%s: the times could not be written: %s; give another path", path,
                                strerror(errno));
}

/* -- the engine, timed at its seam ------------------------------------------------------------ */

/* Encoder and decoder one by one, each to its end. */
static bool is_apart(void) {
    return timed->phase != ES_BENCH_FRAMES;
}

static int timed_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                        struct es_error *error) {
    bool is_file = timed->phase == ES_BENCH_FILE;
    es_profile_set(is_file ? &timed->profile : NULL);
    uint64_t start_ns = es_clock_ns();
    int waiting_count = timed->boot->ops->encode(backend, mel, position_count, error);
    if (waiting_count >= 0 && is_apart()) {
        enum es_status status = timed->boot->ops->wait(backend, error);
        waiting_count = status == ES_OK ? waiting_count : (int)status;
    }
    uint64_t ns = es_clock_ns() - start_ns;
    es_profile_set(NULL);
    timed->frame_start_ns = start_ns;
    timed->frame_parts_ns = ns;
    switch (timed->phase) {
    case ES_BENCH_FILE:
        timed->chunk_encode_ns += ns;
        timed->chunk_encode_positions += position_count;
        break;
    case ES_BENCH_PARTS:
        keep(&timed->encode, ns);
        break;
    case ES_BENCH_FULL:
        keep(&timed->full_encode, ns);
        break;
    case ES_BENCH_FRAMES:
        break;
    }
    return waiting_count;
}

/* What reading the window's keys and values moves at this step. */
static double cache_bytes_of_step(const struct es_boot *boot, uint64_t step_count) {
    const struct es_stack *stack = &boot->model.decoder;
    uint64_t keys = step_count < stack->window ? step_count : stack->window;
    return 2.0 * (double)keys * stack->layer_count * stack->kv_head_count * stack->head_dim *
           boot->ops->cache_value_bytes;
}

static enum es_status timed_prefill(struct es_backend *backend, const int32_t *ids,
                                    uint32_t id_count, float streaming_pad_bias,
                                    struct es_choice *choice, struct es_error *error) {
    enum es_status status =
        timed->boot->ops->prefill(backend, ids, id_count, streaming_pad_bias, choice, error);
    timed->step_count += id_count;
    return status;
}

static enum es_status timed_decode(struct es_backend *backend, const struct es_step *step,
                                   struct es_choice *choice, struct es_error *error) {
    uint64_t start_ns = es_clock_ns();
    enum es_status status = timed->boot->ops->decode(backend, step, choice, error);
    uint64_t end_ns = es_clock_ns();
    timed->step_count++;
    switch (timed->phase) {
    case ES_BENCH_FILE:
        break;
    case ES_BENCH_PARTS:
        if (timed->decode.count < timed->decode.count_max) {
            timed->kv_bytes += cache_bytes_of_step(timed->boot, timed->step_count);
        }
        keep(&timed->decode, end_ns - start_ns);
        if (!es_bench_has_gpu(timed)) {
            keep(&timed->frames, timed->frame_parts_ns + (end_ns - start_ns));
        }
        break;
    case ES_BENCH_FRAMES:
        keep(&timed->frames, end_ns - timed->frame_start_ns);
        break;
    case ES_BENCH_FULL:
        keep(&timed->full_decode, end_ns - start_ns);
        break;
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

static void count_token(void *context, const struct es_token *token) {
    struct es_bench *bench = context;
    bench->id_checksum = (bench->id_checksum ^ (uint32_t)token->id) * 0x100000001b3ull;
}

/* A second of tone, a second of quiet, over noise: something to encode in every band. */
static float synthetic_sample(uint64_t sample) {
    const double turn = 6.283185307179586;
    uint64_t noise = (sample + 1u) * 6364136223846793005u;
    noise ^= noise >> 33;
    noise *= 0xff51afd7ed558ccdu;
    float value = ((float)(noise >> 40) / 16777216.0f - 0.5f) * 0.02f;
    if (sample / ES_SAMPLE_RATE % 2u == 0) {
        value +=
            0.2f * (float)sin(turn * 440.0 * (double)(sample % ES_SAMPLE_RATE) / ES_SAMPLE_RATE);
    }
    return value;
}

static void make_audio(const struct es_bench *bench, float *pcm, uint32_t count,
                       uint64_t first_sample) {
    const struct es_bench_options *options = &bench->options;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sample = first_sample + i;
        pcm[i] = options->samples != NULL ? options->samples[sample % options->sample_count]
                                          : synthetic_sample(sample);
    }
}

/* What comes next in a live pass on a GPU: parts for a minute, frames, and parts again at the end,
 * where the window is full by then. On a CPU the parts are the frames. */
static void choose_phase(struct es_bench *bench, uint64_t done, uint64_t sample_count) {
    uint64_t position = done / ES_POSITION_SAMPLES;
    uint64_t position_count = sample_count / ES_POSITION_SAMPLES;
    if (!es_bench_has_gpu(bench) || position < PARTS_POSITIONS) {
        bench->phase = ES_BENCH_PARTS;
    } else if (position + FULL_POSITIONS < position_count ||
               bench->step_count < bench->boot->model.decoder.window) {
        bench->phase = ES_BENCH_FRAMES;
    } else {
        bench->phase = ES_BENCH_FULL;
    }
}

/* Feeds blocks until the audio or the time is used up; making the audio is not counted. */
static enum es_status run_pass(struct es_bench *bench, bool is_live, double *audio_s,
                               double *wall_s, struct es_error *error) {
    struct es_pipeline *pipeline = &bench->boot->pipeline;
    struct es_pipeline_options options = {.stream = {.delay_positions = DEFAULT_DELAY_POSITIONS,
                                                     .cadence_positions = is_live ? 1u : 0u,
                                                     .on_token = count_token,
                                                     .context = bench}};
    timed = bench;
    timed_ops = *bench->boot->ops;
    timed_ops.encode = timed_encode;
    timed_ops.prefill = timed_prefill;
    timed_ops.decode = timed_decode;
    pipeline->stream.ops = &timed_ops;
    bench->step_count = 0;
    bench->phase = is_live ? ES_BENCH_PARTS : ES_BENCH_FILE;
    uint32_t block_samples = is_live ? ES_POSITION_SAMPLES : pipeline->block_samples;
    uint32_t seconds = bench->options.seconds;
    if (!is_live && seconds > FILE_SECONDS_MAX) {
        seconds = FILE_SECONDS_MAX;
    }
    uint64_t sample_count = (uint64_t)seconds * ES_SAMPLE_RATE;
    uint64_t limit_ns = ES_BENCH_PASS_NS_MAX(seconds);
    uint64_t start_ns = es_clock_ns();
    uint64_t next_ns = start_ns;
    enum es_status status = es_pipeline_start(pipeline, &options, error);
    uint64_t wall_ns = es_clock_ns() - start_ns;
    for (uint64_t done = 0; status == ES_OK && done < sample_count && wall_ns < limit_ns;) {
        uint64_t left = sample_count - done;
        uint32_t count = left < block_samples ? (uint32_t)left : block_samples;
        make_audio(bench, pipeline->pcm, count, done);
        if (is_live) {
            choose_phase(bench, done, sample_count);
            next_ns += (uint64_t)ES_POSITION_MS * 1000000u;
            if (bench->options.is_paced) {
                es_clock_sleep_until(next_ns);
            }
        }
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
    bind_times(bench);
    bench->id_checksum = 0xcbf29ce484222325ull;
    size_t before_bytes = 0;
    size_t after_bytes = 0;
    size_t resident_before = es_memory_resident_bytes();
    bool has_gpu = es_bench_has_gpu(bench);
    enum es_status status = has_gpu ? es_bench_gpu_memory(bench, error) : ES_OK;
    if (status == ES_OK && has_gpu) {
        status = es_bench_gpu_available(bench, &before_bytes, error);
    }
    if (status == ES_OK) {
        status = run_pass(bench, true, &bench->live_audio_s, &bench->live_wall_s, error);
    }
    if (status == ES_OK && has_gpu) {
        status = es_bench_gpu_available(bench, &after_bytes, error);
    }
    if (status != ES_OK) {
        return status;
    }
    bench->device_growth_bytes = (int64_t)before_bytes - (int64_t)after_bytes;
    bench->resident_growth_bytes = (int64_t)es_memory_resident_bytes() - (int64_t)resident_before;
    double steps = bench->decode.count > 0 ? (double)bench->decode.count : 1.0;
    double weight_bytes = step_weight_bytes(bench->boot);
    bench->step_bytes = weight_bytes + bench->kv_bytes / steps;
    bench->full_step_bytes = weight_bytes + cache_bytes_of_step(bench->boot, UINT64_MAX);
    return ES_OK;
}

enum es_status es_bench_measure_file(struct es_bench *bench, struct es_error *error) {
    return run_pass(bench, false, &bench->file_audio_s, &bench->file_wall_s, error);
}

enum es_status es_bench_measure_prefill(struct es_bench *bench, struct es_error *error) {
    const struct es_backend_ops *ops = bench->boot->ops;
    struct es_backend *backend = bench->boot->backend;
    int32_t ids[PROMPT_POSITIONS];
    ids[0] = ES_ID_BOS;
    for (uint32_t i = 1; i < PROMPT_POSITIONS; i++) {
        ids[i] = ES_ID_STREAMING_PAD;
    }
    uint64_t times[PREFILL_COUNT];
    for (uint32_t i = 0; i < PREFILL_COUNT; i++) {
        enum es_status status = ops->reset(backend, DEFAULT_DELAY_POSITIONS, NULL, error);
        if (status != ES_OK) {
            return status;
        }
        for (uint32_t done = 0; done < PROMPT_POSITIONS;) {
            uint32_t left = PROMPT_POSITIONS - done;
            uint32_t max = bench->boot->options.encode_positions_max;
            uint32_t count = left < max ? left : max;
            /* The stream's own frames, whatever they hold: the time does not depend on it. */
            int waiting = ops->encode(backend, bench->boot->pipeline.stream.mel, count, error);
            if (waiting < 0) {
                return (enum es_status)waiting;
            }
            done += count;
        }
        status = ops->wait(backend, error);
        if (status != ES_OK) {
            return status;
        }
        struct es_choice choice;
        uint64_t start_ns = es_clock_ns();
        status = ops->prefill(backend, ids, PROMPT_POSITIONS, 0.0f, &choice, error);
        times[i] = es_clock_ns() - start_ns;
        if (status != ES_OK) {
            return status;
        }
    }
    es_bench_sort(times, PREFILL_COUNT);
    bench->prefill_ns = times[PREFILL_COUNT / 2u];
    bench->prefill_positions = PROMPT_POSITIONS;
    return ES_OK;
}

void es_bench_measure_mel(struct es_bench *bench) {
    struct es_pipeline *pipeline = &bench->boot->pipeline;
    uint64_t wall_ns = 0;
    uint32_t seconds = bench->options.seconds < 60u ? bench->options.seconds : 60u;
    es_mel_reset(pipeline->mel);
    for (uint32_t second = 0; second < seconds; second++) {
        for (uint32_t done = 0; done < ES_SAMPLE_RATE; done += ES_POSITION_SAMPLES) {
            uint32_t left = ES_SAMPLE_RATE - done;
            uint32_t count = left < ES_POSITION_SAMPLES ? left : ES_POSITION_SAMPLES;
            make_audio(bench, pipeline->pcm, count, (uint64_t)second * ES_SAMPLE_RATE + done);
            uint64_t start_ns = es_clock_ns();
            (void)es_mel_push(pipeline->mel, pipeline->pcm, count, pipeline->frames);
            wall_ns += es_clock_ns() - start_ns;
        }
    }
    bench->mel_s_per_audio_s = seconds_of(wall_ns) / seconds;
}
