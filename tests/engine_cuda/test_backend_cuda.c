/* The GPU engine against the CPU engine on random models, stage by stage, and its promises: no bit
 * depends on what the memory held before, on where keys and values lie, on dependent launch or on
 * the number of multiprocessors; a stream behind the kept silence is the stream that heard it. */
#include "engine/cpu/backend_cpu.h"
#include "engine/cuda/backend_cuda.h"
#include "tests/engine_cuda/gpu.h"
#include "tests/support/cuda_rig.h"
#include "tests/support/random_weights.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef SEPARATES_LAYERS
#define SEPARATES_LAYERS false
#endif

/* Relative L2 error of the worst row. Up to the first attention nothing is rounded but activations,
 * to 16 bits of mantissa; from there on keys and values are f16 (2^-11 each), and the residual
 * stream gathers what every layer adds. */
#define STEM_ERROR_MAX 1e-4
#define STAGE_ERROR_MAX 5e-3
#define LOGITS_ERROR_MAX 1e-2
/* Without a tap: below this margin a choice may fall the other way. */
#define CLEAR_MARGIN 0.05f
#define REPLAY_COUNT (gpu_is_simulated() ? 1u : 1000u)

/* Windows beyond the prompt, no biases, another downsample factor. */
static const struct es_model wide_windows = {
    .encoder = {24, 2, 8, 70, 5, 5, 150, 1e6, 1e-6f},
    .decoder = {50, 3, 10, 34, 4, 4, 90, 1e6, 1e-5f},
    .encoder_biases = false,
    .mel_bin_count = 17,
    .downsample = 2,
    .frames_per_position = 4,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 67,
};

/* The 4B model's heads and ratios, in small. */
static const struct es_model like_the_real = {
    .encoder = {320, 2, 64, 640, 8, 8, 60, 1e6, 1e-5f},
    .decoder = {384, 2, 128, 768, 8, 2, 200, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 128,
    .downsample = 4,
    .frames_per_position = 8,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 1408,
};

/* Heads that fill their stride, in smaller. */
static const struct es_model whole_heads = {
    .encoder = {64, 2, 32, 96, 2, 2, 60, 1e6, 1e-5f},
    .decoder = {96, 2, 32, 128, 4, 2, 90, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 32,
    .downsample = 4,
    .frames_per_position = 8,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 201,
};

/* -- the bench --------------------------------------------------------------------------------- */

static struct es_cuda cuda;
static struct es_rig_device device;

static void describe_device(enum es_mem_kind kv_kind) {
    es_cuda_rig_device(&device, &cuda, kv_kind);
    device.separates_layers = SEPARATES_LAYERS;
}

static void open_gpu(uint32_t sm_count) {
    struct es_error error;
    if (gpu_open(&cuda, sm_count, &error) != ES_OK) {
        es_test_skip("no GPU to run on: %s", error.text);
    }
    describe_device(ES_MEM_DEVICE);
}

/* The first 31 positions are silence, as the pipeline makes it. */
static float *new_mel(const struct es_model *model, uint32_t position_count) {
    uint32_t frame_count = position_count * model->frames_per_position;
    float *mel = malloc((size_t)frame_count * model->mel_bin_count * sizeof *mel);
    ES_EXPECT(mel != NULL);
    es_random_mel(model, frame_count, 3, mel);
    size_t silent = (size_t)ES_SILENT_POSITIONS * model->frames_per_position * model->mel_bin_count;
    for (size_t i = 0; i < silent; i++) {
        mel[i] = -0.625f;
    }
    return mel;
}

static void open_rig(struct es_rig *rig, const struct es_model *model, uint64_t start_position,
                     bool has_tap) {
    const struct es_rig_setup setup = {.dtype = ES_DTYPE_BF16,
                                       .seed = 11,
                                       .thread_count = 1,
                                       .encode_positions_max = 24,
                                       .start_position = start_position,
                                       .has_no_tap = !has_tap,
                                       .device = &device};
    es_rig_open(rig, es_backend_cuda(), model, &setup);
}

static void open_cpu_rig(struct es_rig *rig, const struct es_model *model,
                         uint64_t start_position) {
    const struct es_rig_setup setup = {.dtype = ES_DTYPE_BF16,
                                       .seed = 11,
                                       .thread_count = 1,
                                       .encode_positions_max = 24,
                                       .start_position = start_position};
    es_rig_open(rig, es_backend_cpu(), model, &setup);
}

static double error_max(enum es_stage stage) {
    return stage == ES_STAGE_CONV0 || stage == ES_STAGE_CONV1 ? STEM_ERROR_MAX
           : stage == ES_STAGE_LOGITS                         ? LOGITS_ERROR_MAX
                                                              : STAGE_ERROR_MAX;
}

static double row_error(const float *ours, const float *theirs, uint32_t dim) {
    double difference = 0.0;
    double size = 0.0;
    for (uint32_t i = 0; i < dim; i++) {
        double off = (double)ours[i] - (double)theirs[i];
        difference += off * off;
        size += (double)theirs[i] * (double)theirs[i];
    }
    return sqrt(difference / size);
}

/* Every row of every stage; notes the worst of each stage. */
static void compare_stages(const struct es_rig *gpu, const struct es_rig *cpu) {
    for (enum es_stage stage = ES_STAGE_CONV0; stage < ES_STAGE_COUNT; stage++) {
        double worst = 0.0;
        for (uint32_t layer = 0; layer < es_rig_layer_count(gpu->model, stage); layer++) {
            const struct es_rig_track *ours = es_rig_track(gpu, stage, layer);
            const struct es_rig_track *theirs = es_rig_track(cpu, stage, layer);
            ES_EXPECT_EQ(ours->dim, theirs->dim);
            ES_EXPECT_EQ(ours->row_count, theirs->row_count);
            ES_EXPECT_EQ(ours->first_row, theirs->first_row);
            for (size_t r = 0; r < ours->row_count; r++) {
                double error =
                    row_error(ours->rows + r * ours->dim, theirs->rows + r * ours->dim, ours->dim);
                if (!(error <= error_max(stage))) {
                    es_test_fail(__FILE__, __LINE__, "%s %u, row %zu: off by %.3g, allowed %.3g",
                                 es_stage_name(stage), layer, r, error, error_max(stage));
                }
                worst = error > worst ? error : worst;
            }
        }
        es_test_note("%-14s worst row off by %.2g (allowed %.2g)", es_stage_name(stage), worst,
                     error_max(stage));
    }
}

/* With the same ids fed, choices agree where the margin is above what the logits differ by. */
static void compare_choices(const struct es_rig *gpu, const struct es_rig *cpu) {
    const struct es_rig_track *ours = es_rig_track(gpu, ES_STAGE_LOGITS, 0);
    const struct es_rig_track *theirs = es_rig_track(cpu, ES_STAGE_LOGITS, 0);
    uint32_t clear_count = 0;
    ES_EXPECT_EQ(gpu->decision_count, cpu->decision_count);
    for (uint32_t i = 0; i < cpu->decision_count; i++) {
        float off = 0.0f;
        for (uint32_t k = 0; k < ours->dim; k++) {
            off = fmaxf(off,
                        fabsf(ours->rows[i * ours->dim + k] - theirs->rows[i * theirs->dim + k]));
        }
        bool is_clear = cpu->margins[i] > 2.0f * off;
        ES_EXPECT(!is_clear || gpu->ids[i] == cpu->ids[i]);
        clear_count += is_clear ? 1u : 0u;
    }
    es_test_note("%u of %u choices clear", clear_count, cpu->decision_count);
    ES_EXPECT(clear_count * 10u >= cpu->decision_count * 8u);
}

/* A simulated GPU runs what is left of it; the prompt is 32 + delay. */
static uint32_t shortened(uint32_t position_count, uint32_t delay_positions) {
    uint32_t few = 32u + delay_positions + 8u;
    return gpu_is_simulated() && few < position_count ? few : position_count;
}

static void compare_model(const struct es_model *model, uint32_t wanted_count,
                          uint32_t delay_positions, uint64_t start_position, uint32_t group) {
    const uint32_t position_count = shortened(wanted_count, delay_positions);
    struct es_rig gpu;
    struct es_rig cpu;
    float *mel = new_mel(model, position_count);
    struct es_rig_input input = {
        .mel = mel, .position_count = position_count, .delay_positions = delay_positions};
    open_cpu_rig(&cpu, model, start_position);
    es_rig_run(&cpu, &input, 8);
    open_rig(&gpu, model, start_position, true);
    input.forced_ids = cpu.ids;
    es_rig_run(&gpu, &input, group);
    es_test_note("%u positions, delay %u, in groups of %u", position_count, delay_positions, group);
    compare_stages(&gpu, &cpu);
    compare_choices(&gpu, &cpu);
    es_rig_close(&gpu);
    es_rig_close(&cpu);
    free(mel);
}

/* -- against the CPU --------------------------------------------------------------------------- */

ES_TEST("odd dimensions, windows below the prompt, rings that wrapped often") {
    open_gpu(0);
    compare_model(&es_rig_small_windows, 160, 6, 0, 5);
    es_cuda_close(&cuda);
}

ES_TEST("windows beyond the prompt, no biases, rings that wrapped once") {
    open_gpu(0);
    compare_model(&wide_windows, 200, 2, 0, 8);
    es_cuda_close(&cuda);
}

ES_TEST("the heads and ratios of the 4B model") {
    open_gpu(0);
    compare_model(&like_the_real, 240, 6, 0, 8);
    es_cuda_close(&cuda);
}

ES_TEST("any grouping: a position at a time, in twos and fours, as a file") {
    static const uint32_t groups[] = {1, 2, 3, 4, 7, 16, 24};
    open_gpu(0);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (gpu_is_simulated() && groups[i] % 3u != 1u) { /* 1, 4, 7 and 16 */
            continue;
        }
        compare_model(gpu_is_simulated() ? &wide_windows : &like_the_real, 60, 6, 0, groups[i]);
    }
    es_cuda_close(&cuda);
}

ES_TEST("a stream that began long ago: phases are exact at position 2^31") {
    open_gpu(0);
    compare_model(gpu_is_simulated() ? &wide_windows : &like_the_real, 60, 6, 1ull << 31, 8);
    compare_model(&es_rig_small_windows, 60, 6, (1ull << 31) + 5, 8);
    es_cuda_close(&cuda);
}

ES_TEST("a window that was made smaller is that of a model that has it") {
    struct es_model narrow = gpu_is_simulated() ? wide_windows : like_the_real;
    narrow.decoder.window = gpu_is_simulated() ? 20 : 128;
    open_gpu(0);
    compare_model(&narrow, 220, 6, 0, 8);
    es_cuda_close(&cuda);
}

ES_TEST("every delay's conditioning") {
    static const uint32_t delays[] = {1, 15, 30};
    open_gpu(0);
    for (size_t i = 0; i < 3; i++) {
        compare_model(&wide_windows, 80, delays[i], 0, 8);
    }
    es_cuda_close(&cuda);
}

/* -- bits -------------------------------------------------------------------------------------- */

/* Heads of 128 take long on a simulated GPU. */
static const struct es_model *bits_model(void) {
    return gpu_is_simulated() ? &whole_heads : &like_the_real;
}

static void expect_same_bits(const struct es_rig *one, const struct es_rig *two) {
    ES_EXPECT_EQ(one->decision_count, two->decision_count);
    ES_EXPECT(memcmp(one->ids, two->ids, one->decision_count * sizeof *one->ids) == 0);
    ES_EXPECT(memcmp(one->margins, two->margins, one->decision_count * sizeof *one->margins) == 0);
}

/* One stream of a fresh rig on what `device` says now; the caller closes it. */
static void run_fresh(struct es_rig *rig, const struct es_model *model,
                      const struct es_rig_input *input, uint32_t group) {
    open_rig(rig, model, 0, false);
    es_rig_run(rig, input, group);
}

ES_TEST("nothing of an older stream leaks through a reset") {
    static const char *const regions[] = {
        "encoder kv ring",    "decoder kv ring",   "conv stem and embedding queue",
        "attention partials", "split activations", "products"};
    struct es_rig fresh;
    struct es_rig used;
    open_gpu(0);
    float *mel = new_mel(bits_model(), 90);
    const struct es_rig_input input = {
        .mel = mel, .position_count = shortened(90, 6), .delay_positions = 6};
    const struct es_rig_input other = {
        .mel = mel, .position_count = shortened(70, 12), .delay_positions = 12};
    run_fresh(&fresh, bits_model(), &input, 8);
    run_fresh(&used, bits_model(), &other, 5);
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        ES_EXPECT(es_rig_poison(&used, regions[i]));
    }
    es_rig_run(&used, &input, 8);
    expect_same_bits(&fresh, &used);
    es_rig_close(&fresh);
    es_rig_close(&used);
    free(mel);
    es_cuda_close(&cuda);
}

ES_TEST("a stream behind the kept silence has the bits of the one that heard it") {
    struct es_rig rig;
    struct es_rig first;
    open_gpu(0);
    float *mel = new_mel(bits_model(), 90);
    struct es_rig_input input = {.mel = mel,
                                 .position_count = shortened(90, 12),
                                 .delay_positions = 6,
                                 .begins_with_silence = true};
    for (uint32_t has_steps = 0; has_steps < (gpu_is_simulated() ? 1u : 2u); has_steps++) {
        input.has_prompt_steps = has_steps > 0;
        run_fresh(&first, bits_model(), &input, 1); /* hears it */
        run_fresh(&rig, bits_model(), &input, 1);
        es_rig_run(&rig, &input, 1); /* restores it */
        expect_same_bits(&first, &rig);
        input.delay_positions = 12; /* another delay is another silence, and back again */
        es_rig_run(&rig, &input, 1);
        input.delay_positions = 6;
        es_rig_run(&rig, &input, 1);
        expect_same_bits(&first, &rig);
        es_rig_close(&rig);
        es_rig_close(&first);
    }
    free(mel);
    es_cuda_close(&cuda);
}

/* With the CPU's ids fed: where its margin is clear the choice is the same. */
static void expect_same_choices(const struct es_rig *gpu, const struct es_rig *cpu) {
    uint32_t clear_count = 0;
    ES_EXPECT_EQ(gpu->decision_count, cpu->decision_count);
    for (uint32_t i = 0; i < cpu->decision_count; i++) {
        if (cpu->margins[i] > CLEAR_MARGIN) {
            ES_EXPECT_EQ(gpu->ids[i], cpu->ids[i]);
            clear_count++;
        }
    }
    ES_EXPECT(clear_count * 2u >= cpu->decision_count);
}

ES_TEST("behind the kept silence, by prefill and by forced steps, come the CPU's choices") {
    struct es_rig gpu;
    struct es_rig cpu;
    open_gpu(0);
    float *mel = new_mel(bits_model(), 90);
    struct es_rig_input input = {
        .mel = mel, .position_count = shortened(90, 6), .delay_positions = 6};
    open_cpu_rig(&cpu, bits_model(), 0);
    es_rig_run(&cpu, &input, 8);
    input.forced_ids = cpu.ids;
    input.begins_with_silence = true;
    open_rig(&gpu, bits_model(), 0, false);
    for (uint32_t group = gpu_is_simulated() ? 8 : 1; group <= 24; group *= 2u) {
        input.has_prompt_steps = group <= 8u;
        es_rig_run(&gpu, &input, group);
        expect_same_choices(&gpu, &cpu);
    }
    es_rig_close(&gpu);
    es_rig_close(&cpu);
    free(mel);
    es_cuda_close(&cuda);
}

ES_TEST("a thousand replays have the same bits, with dependent launch and without") {
    struct es_rig first;
    struct es_rig rig;
    open_gpu(0);
    float *mel = new_mel(bits_model(), 46);
    const struct es_rig_input input = {.mel = mel,
                                       .position_count = 46,
                                       .delay_positions = 6,
                                       .begins_with_silence = true,
                                       .has_prompt_steps = true};
    bool has_dependent_launch = cuda.has_dependent_launch;
    run_fresh(&first, bits_model(), &input, 1);
    for (uint32_t is_on = 0; is_on < 2; is_on++) {
        cuda.has_dependent_launch = has_dependent_launch && is_on > 0;
        open_rig(&rig, bits_model(), 0, false);
        for (uint32_t i = 0; i < REPLAY_COUNT; i++) {
            es_rig_run(&rig, &input, 1);
            expect_same_bits(&first, &rig);
        }
        es_rig_close(&rig);
    }
    es_test_note("dependent launch is %s here", has_dependent_launch ? "available" : "not there");
    es_rig_close(&first);
    free(mel);
    es_cuda_close(&cuda);
}

ES_TEST("keys and values give the same bits in device, unified and shared memory") {
    static const enum es_mem_kind kinds[] = {ES_MEM_UNIFIED, ES_MEM_SHARED};
    struct es_rig first;
    struct es_rig rig;
    open_gpu(0);
    float *mel = new_mel(bits_model(), 60);
    const struct es_rig_input input = {.mel = mel,
                                       .position_count = shortened(60, 6),
                                       .delay_positions = 6,
                                       .begins_with_silence = true,
                                       .has_prompt_steps = true};
    run_fresh(&first, bits_model(), &input, 1);
    for (size_t i = 0; i < 2; i++) {
        describe_device(kinds[i]);
        run_fresh(&rig, bits_model(), &input, 1);
        expect_same_bits(&first, &rig);
        es_rig_close(&rig);
    }
    es_rig_close(&first);
    free(mel);
    es_cuda_close(&cuda);
}

/* One position at a time, the prompt included: nothing goes through cuBLASLt. */
ES_TEST("on 8 and on 16 multiprocessors, or in any order, come the bits of the whole GPU") {
    static const uint32_t real[] = {8, 16};
    static const uint32_t simulated[] = {5, 3};
    const uint32_t *counts = gpu_is_simulated() ? simulated : real;
    struct es_rig whole;
    struct es_rig part;
    open_gpu(0);
    float *mel = new_mel(&es_rig_small_windows, 60);
    const struct es_rig_input input = {.mel = mel,
                                       .position_count = shortened(60, 6),
                                       .delay_positions = 6,
                                       .has_prompt_steps = true};
    uint32_t decision_count = input.position_count - 38u;
    run_fresh(&whole, &es_rig_small_windows, &input, 1);
    int32_t *ids = malloc(decision_count * sizeof *ids);
    float *margins = malloc(decision_count * sizeof *margins);
    ES_EXPECT(ids != NULL && margins != NULL);
    memcpy(ids, whole.ids, decision_count * sizeof *ids);
    memcpy(margins, whole.margins, decision_count * sizeof *margins);
    es_rig_close(&whole);
    es_cuda_close(&cuda);
    for (size_t i = 0; i < 2; i++) {
        if (i == 1) {
            gpu_reverse();
        }
        open_gpu(counts[i]);
        es_test_note("%u multiprocessors", cuda.sm_count);
        run_fresh(&part, &es_rig_small_windows, &input, 1);
        ES_EXPECT(memcmp(ids, part.ids, decision_count * sizeof *ids) == 0);
        ES_EXPECT(memcmp(margins, part.margins, decision_count * sizeof *margins) == 0);
        es_rig_close(&part);
        es_cuda_close(&cuda);
    }
    free(ids);
    free(margins);
    free(mel);
}

/* -- bad weather ------------------------------------------------------------------------------- */

ES_TEST("features that are not finite end the stream with a position, until reset") {
    struct es_rig rig;
    struct es_error error;
    struct es_choice choice;
    open_gpu(0);
    float *mel = new_mel(&wide_windows, 60);
    const struct es_rig_input input = {.mel = mel, .position_count = 60, .delay_positions = 6};
    run_fresh(&rig, &wide_windows, &input, 8);
    float sound = mel[5];
    mel[5] = NAN;
    const struct es_step step = {.id = ES_STEP_LAST};
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 1, &error), 1); /* it only begins */
    ES_EXPECT_EQ(rig.ops->decode(rig.backend, &step, &choice, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "position 60");
    mel[5] = sound;
    es_rig_run(&rig, &input, 8);
    es_rig_close(&rig);
    free(mel);
    es_cuda_close(&cuda);
}

ES_TEST("a bias moves the choice of id 32 and leaves the logits alone") {
    struct es_rig gpu;
    struct es_rig cpu;
    open_gpu(0);
    float *mel = new_mel(&wide_windows, 60);
    struct es_rig_input input = {
        .mel = mel, .position_count = 60, .delay_positions = 6, .streaming_pad_bias = 1000.0f};
    open_cpu_rig(&cpu, &wide_windows, 0);
    es_rig_run(&cpu, &input, 8);
    open_rig(&gpu, &wide_windows, 0, true);
    es_rig_run(&gpu, &input, 8);
    for (uint32_t i = 0; i < gpu.decision_count; i++) {
        ES_EXPECT_EQ(gpu.ids[i], 32);
    }
    compare_stages(&gpu, &cpu);
    input.streaming_pad_bias = -1000.0f;
    es_rig_run(&gpu, &input, 8);
    for (uint32_t i = 0; i < gpu.decision_count; i++) {
        ES_EXPECT(gpu.ids[i] != 32);
    }
    es_rig_close(&gpu);
    es_rig_close(&cpu);
    free(mel);
    es_cuda_close(&cuda);
}
