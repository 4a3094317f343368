/* The CPU engine against the double-precision reference, and its promises: no result depends on
 * grouping, threads, age or on what the rings held before. */
#include "engine/cpu/backend_cpu.h"
#include "tests/support/engine_rig.h"
#include "tests/support/random_weights.h"
#include "tests/support/reference_model.h"
#include "tests/support/test.h"
#include "tools/random_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* f32 sums of a few hundred terms through a dozen layers leave about 1e-6. */
#define RELATIVE_ERROR_MAX 2e-5

/* Windows beyond the prompt, no biases, another downsample factor. */
static const struct es_model wide_windows = {
    .encoder = {24, 2, 8, 70, 5, 5, 150, 1e6, 1e-6f},
    .decoder = {50, 3, 10, 33, 4, 4, 90, 1e6, 1e-5f},
    .encoder_biases = false,
    .mel_bin_count = 17,
    .downsample = 2,
    .frames_per_position = 4,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 67,
};

/* Every row sees itself alone. */
static const struct es_model no_past = {
    .encoder = {16, 1, 4, 20, 2, 1, 1, 1e6, 1e-5f},
    .decoder = {18, 1, 6, 22, 2, 1, 1, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 8,
    .downsample = 1,
    .frames_per_position = 2,
    .log_mel_max = 1.5f,
    .ada_dim = 4,
    .vocab_size = 50,
};

static float *new_mel(const struct es_model *model, uint32_t position_count, uint64_t seed) {
    uint32_t frame_count = position_count * model->frames_per_position;
    float *mel = malloc((size_t)frame_count * model->mel_bin_count * sizeof *mel);
    ES_EXPECT(mel != NULL);
    es_random_mel(model, frame_count, seed, mel);
    return mel;
}

/* Largest relative L2 error of any row of a stage. */
static double worst_row(const struct es_rig *rig, const struct es_reference *reference,
                        enum es_stage stage, uint32_t layer) {
    const struct es_rig_track *track = es_rig_track(rig, stage, layer);
    const struct es_reference_stage *truth = es_reference_rows(reference, stage, layer);
    uint64_t skip =
        track->first_row - es_rig_first_row(rig->model, stage, rig->setup.start_position);
    ES_EXPECT_EQ(track->dim, truth->dim);
    ES_EXPECT_EQ(track->row_count + skip, truth->row_count);
    double worst = 0.0;
    for (size_t r = 0; r < track->row_count; r++) {
        const float *ours = track->rows + r * track->dim;
        const double *theirs = truth->rows + (r + skip) * truth->dim;
        double difference = 0.0;
        double size = 0.0;
        for (uint32_t i = 0; i < truth->dim; i++) {
            difference += ((double)ours[i] - theirs[i]) * ((double)ours[i] - theirs[i]);
            size += theirs[i] * theirs[i];
        }
        double error = sqrt(difference / size);
        worst = error > worst || isnan(error) ? error : worst;
    }
    return worst;
}

/* The worst stage of all; with `is_strict` each must be within tolerance. */
static double compare_stages(const struct es_rig *rig, const struct es_reference *reference,
                             bool is_strict) {
    double worst = 0.0;
    for (enum es_stage stage = ES_STAGE_CONV0; stage < ES_STAGE_COUNT; stage++) {
        for (uint32_t i = 0; i < es_rig_layer_count(rig->model, stage); i++) {
            double error = worst_row(rig, reference, stage, i);
            if (is_strict && !(error <= RELATIVE_ERROR_MAX)) {
                es_test_fail(__FILE__, __LINE__, "%s %u is off by %.3g, allowed %.3g",
                             es_stage_name(stage), i, error, RELATIVE_ERROR_MAX);
            }
            worst = error > worst ? error : worst;
        }
    }
    return worst;
}

static uint32_t distinct_count(const struct es_rig *rig) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->decision_count; i++) {
        uint32_t k = 0;
        while (rig->ids[k] != rig->ids[i]) {
            k++;
        }
        count += k == i ? 1 : 0;
    }
    return count;
}

static void compare_model(const struct es_model *model, enum es_dtype dtype,
                          uint32_t position_count, uint32_t delay_positions) {
    struct es_rig rig;
    const struct es_rig_setup setup = {dtype, 11, 2, 5, 0, false, NULL};
    float *mel = new_mel(model, position_count, 3);
    es_rig_open(&rig, es_backend_cpu(), model, &setup);
    const struct es_rig_input input = {mel,   position_count, delay_positions, 0.0f, NULL,
                                       false, false};
    es_rig_run(&rig, &input, 3);
    struct es_reference reference;
    es_reference_run(&reference, model, rig.weights, mel, position_count, delay_positions,
                     rig.fed_ids, ES_MISTAKE_NONE);
    double worst = compare_stages(&rig, &reference, true);
    es_test_note("%s, delay %u: %u positions, %u distinct ids, worst row off by %.2g (allowed "
                 "%.2g)",
                 es_dtype_name(dtype), delay_positions, position_count, distinct_count(&rig), worst,
                 RELATIVE_ERROR_MAX);
    ES_EXPECT(distinct_count(&rig) >= 10);
    es_reference_free(&reference);
    es_rig_close(&rig);
    free(mel);
}

ES_TEST("a stream 50 times longer than its windows equals the reference without rings") {
    compare_model(&es_rig_small_windows, ES_DTYPE_BF16, 300, 6);
}

ES_TEST("matrices of each type give what the reference gives") {
    compare_model(&es_rig_small_windows, ES_DTYPE_F32, 100, 1);
    compare_model(&es_rig_small_windows, ES_DTYPE_F16, 100, 15);
}

ES_TEST("windows wider than the prompt, the longest delay and no biases equal the reference") {
    compare_model(&wide_windows, ES_DTYPE_BF16, 300, 30);
}

ES_TEST("a window of one row equals the reference") {
    compare_model(&no_past, ES_DTYPE_F32, 120, 2);
}

ES_TEST("the comparison with the reference notices every planted mistake") {
    struct es_rig rig;
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    float *mel = new_mel(&es_rig_small_windows, 60, 3);
    es_rig_open(&rig, es_backend_cpu(), &es_rig_small_windows, &setup);
    const struct es_rig_input input = {mel, 60, 6, 0.0f, NULL, false, false};
    es_rig_run(&rig, &input, 8);
    double weakest = INFINITY;
    for (int mistake = ES_MISTAKE_NONE + 1; mistake < ES_MISTAKE_COUNT; mistake++) {
        struct es_reference reference;
        es_reference_run(&reference, &es_rig_small_windows, rig.weights, mel, 60, 6, rig.fed_ids,
                         (enum es_mistake)mistake);
        double worst = compare_stages(&rig, &reference, false);
        if (!(worst > 10.0 * RELATIVE_ERROR_MAX)) {
            es_test_fail(__FILE__, __LINE__, "mistake %d shows only as %.3g", mistake, worst);
        }
        weakest = worst < weakest ? worst : weakest;
        es_reference_free(&reference);
    }
    es_test_note("the least visible mistake is off by %.2g (allowed %.2g)", weakest,
                 RELATIVE_ERROR_MAX);
    es_rig_close(&rig);
    free(mel);
}

/* Every row of every stage and every choice, bit for bit. */
static void expect_same_bits(const struct es_rig *a, const struct es_rig *b) {
    for (enum es_stage stage = ES_STAGE_CONV0; stage < ES_STAGE_COUNT; stage++) {
        for (uint32_t i = 0; i < es_rig_layer_count(a->model, stage); i++) {
            const struct es_rig_track *one = es_rig_track(a, stage, i);
            const struct es_rig_track *two = es_rig_track(b, stage, i);
            ES_EXPECT_EQ(one->row_count, two->row_count);
            size_t bytes = one->row_count * one->dim * sizeof(float);
            if (memcmp(one->rows, two->rows, bytes) != 0) {
                es_test_fail(__FILE__, __LINE__, "%s %u has other bits", es_stage_name(stage), i);
            }
        }
    }
    ES_EXPECT_EQ(a->decision_count, b->decision_count);
    ES_EXPECT(memcmp(a->ids, b->ids, a->decision_count * sizeof *a->ids) == 0);
    ES_EXPECT(memcmp(a->margins, b->margins, a->decision_count * sizeof *a->margins) == 0);
}

static void compare_setups(const struct es_model *model, const struct es_rig_setup *one_setup,
                           uint32_t one_group, const struct es_rig_setup *two_setup,
                           uint32_t two_group) {
    struct es_rig one;
    struct es_rig two;
    float *mel = new_mel(model, 130, 3);
    const struct es_rig_input input = {mel, 130, 6, 0.0f, NULL, false, false};
    es_rig_open(&one, es_backend_cpu(), model, one_setup);
    es_rig_open(&two, es_backend_cpu(), model, two_setup);
    es_rig_run(&one, &input, one_group);
    es_rig_run(&two, &input, two_group);
    expect_same_bits(&one, &two);
    es_rig_close(&one);
    es_rig_close(&two);
    free(mel);
}

ES_TEST("no bit depends on how positions are grouped into encode calls") {
    const uint32_t groups[] = {2, 3, 7, 64};
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 64, 0, false, NULL};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        compare_setups(&es_rig_small_windows, &setup, 1, &setup, groups[i]);
        compare_setups(&wide_windows, &setup, 1, &setup, groups[i]);
    }
}

ES_TEST("no bit depends on the largest encode call that was planned for") {
    const struct es_rig_setup narrow = {ES_DTYPE_BF16, 11, 1, 1, 0, false, NULL};
    const struct es_rig_setup wide = {ES_DTYPE_BF16, 11, 1, 64, 0, false, NULL};
    compare_setups(&es_rig_small_windows, &narrow, 1, &wide, 1);
    compare_setups(&wide_windows, &narrow, 1, &wide, 64);
}

ES_TEST("no bit depends on the number of threads") {
    for (uint32_t thread_count = 2; thread_count <= 5; thread_count++) {
        const struct es_rig_setup one = {ES_DTYPE_BF16, 11, 1, 16, 0, false, NULL};
        const struct es_rig_setup many = {ES_DTYPE_BF16, 11, thread_count, 16, 0, false, NULL};
        compare_setups(&es_rig_small_windows, &one, 16, &many, 16);
        compare_setups(&wide_windows, &one, 16, &many, 16);
    }
}

ES_TEST("a stream that starts at position 2^31 says what one that starts at 0 says") {
    struct es_rig young;
    struct es_rig old;
    const struct es_rig_setup young_setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    const struct es_rig_setup old_setup = {ES_DTYPE_BF16, 11, 1, 8, 1ull << 31, false, NULL};
    float *mel = new_mel(&wide_windows, 200, 3);
    struct es_rig_input input = {mel, 200, 6, 0.0f, NULL, false, false};
    es_rig_open(&young, es_backend_cpu(), &wide_windows, &young_setup);
    es_rig_open(&old, es_backend_cpu(), &wide_windows, &old_setup);
    es_rig_run(&young, &input, 8);
    input.forced_ids = young.ids;
    es_rig_run(&old, &input, 8);

    uint32_t clear_count = 0;
    for (uint32_t i = 0; i < young.decision_count; i++) {
        if (young.margins[i] >= 0.01f) {
            ES_EXPECT_EQ(old.ids[i], young.ids[i]);
            clear_count++;
        }
    }
    ES_EXPECT(clear_count * 10 >= young.decision_count * 9);
    struct es_reference reference;
    es_reference_run(&reference, &wide_windows, old.weights, mel, 200, 6, old.fed_ids,
                     ES_MISTAKE_NONE);
    es_test_note("%u of %u choices clear, worst row off by %.2g", clear_count, young.decision_count,
                 compare_stages(&old, &reference, true));
    es_reference_free(&reference);
    es_rig_close(&young);
    es_rig_close(&old);
    free(mel);
}

ES_TEST("nothing of an older stream leaks through a reset") {
    static const char *const regions[] = {"conv stem",       "encoder kv ring",
                                          "embedding queue", "decoder kv ring",
                                          "logits",          "attention scratch"};
    struct es_rig fresh;
    struct es_rig used;
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    float *mel = new_mel(&wide_windows, 130, 3);
    const struct es_rig_input input = {mel, 130, 6, 0.0f, NULL, false, false};
    const struct es_rig_input other = {mel, 77, 12, 0.0f, NULL, false, false};
    es_rig_open(&fresh, es_backend_cpu(), &wide_windows, &setup);
    es_rig_open(&used, es_backend_cpu(), &wide_windows, &setup);
    es_rig_run(&fresh, &input, 8);
    es_rig_run(&used, &other, 5);
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        ES_EXPECT(es_rig_poison(&used, regions[i]));
    }
    es_rig_run(&used, &input, 8);
    expect_same_bits(&fresh, &used);
    es_rig_close(&fresh);
    es_rig_close(&used);
    free(mel);
}

ES_TEST("the delay changes what is said") {
    struct es_rig rig;
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    float *mel = new_mel(&wide_windows, 130, 3);
    struct es_rig_input input = {mel, 130, 6, 0.0f, NULL, false, false};
    es_rig_open(&rig, es_backend_cpu(), &wide_windows, &setup);
    es_rig_run(&rig, &input, 8);
    int32_t at_480_ms = rig.ids[0];
    float margin = rig.margins[0];
    input.delay_positions = 7;
    es_rig_run(&rig, &input, 8);
    ES_EXPECT(rig.ids[0] != at_480_ms || rig.margins[0] != margin);
    es_rig_close(&rig);
    free(mel);
}

ES_TEST("a bias moves the choice of id 32 and leaves the logits alone") {
    struct es_rig rig;
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    float *mel = new_mel(&wide_windows, 60, 3);
    struct es_rig_input input = {mel, 60, 6, 1000.0f, NULL, false, false};
    es_rig_open(&rig, es_backend_cpu(), &wide_windows, &setup);
    es_rig_run(&rig, &input, 8);
    for (uint32_t i = 0; i < rig.decision_count; i++) {
        ES_EXPECT_EQ(rig.ids[i], 32);
    }
    struct es_reference reference;
    es_reference_run(&reference, &wide_windows, rig.weights, mel, 60, 6, rig.fed_ids,
                     ES_MISTAKE_NONE);
    compare_stages(&rig, &reference, true);
    es_reference_free(&reference);
    input.streaming_pad_bias = -1000.0f;
    es_rig_run(&rig, &input, 8);
    for (uint32_t i = 0; i < rig.decision_count; i++) {
        ES_EXPECT(rig.ids[i] != 32);
    }
    es_rig_close(&rig);
    free(mel);
}

ES_TEST("an id outside the vocabulary is refused by name and consumes nothing") {
    struct es_rig rig;
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    float *mel = new_mel(&no_past, 40, 3);
    const struct es_rig_input input = {mel, 40, 6, 0.0f, NULL, false, false};
    es_rig_open(&rig, es_backend_cpu(), &no_past, &setup);
    es_rig_run(&rig, &input, 8);
    struct es_error error;
    struct es_choice choice;
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 1, &error), 1);
    const struct es_step bad = {50, 0.0f};
    ES_EXPECT_EQ(rig.ops->decode(rig.backend, &bad, &choice, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "id 50 at position 40");
    ES_EXPECT_CONTAINS(error.text, "0..49");
    const struct es_step good = {ES_STEP_LAST, 0.0f};
    ES_EXPECT_EQ(rig.ops->decode(rig.backend, &good, &choice, &error), ES_OK);
    es_rig_close(&rig);
    free(mel);
}

ES_TEST("a result that is not finite ends the stream with its position, until reset") {
    struct es_rig rig;
    const struct es_rig_setup setup = {ES_DTYPE_BF16, 11, 1, 8, 0, false, NULL};
    float *mel = new_mel(&wide_windows, 60, 3);
    const struct es_rig_input input = {mel, 60, 6, 0.0f, NULL, false, false};
    es_rig_open(&rig, es_backend_cpu(), &wide_windows, &setup);
    es_rig_run(&rig, &input, 8);
    struct es_error error;
    struct es_choice choice;
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 1, &error), 1);
    float *norm = (float *)(uintptr_t)rig.weights->decoder_norm;
    float kept = norm[3];
    norm[3] = NAN;
    const struct es_step step = {ES_STEP_LAST, 0.0f};
    ES_EXPECT_EQ(rig.ops->decode(rig.backend, &step, &choice, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "decoder position 60");
    norm[3] = kept;
    float sound = mel[5];
    mel[5] = NAN;
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 1, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "position 61");
    mel[5] = sound;
    es_rig_run(&rig, &input, 8);
    es_rig_close(&rig);
    free(mel);
}

static size_t region_bytes(const struct es_plan *plan, const char *name) {
    for (uint32_t i = 0; i < plan->region_count; i++) {
        if (strcmp(plan->regions[i].name, name) == 0) {
            return plan->regions[i].bytes;
        }
    }
    es_test_fail(__FILE__, __LINE__, "no region \"%s\"", name);
}

ES_TEST("the rings of the 4B model are as large as its windows need") {
    const struct es_backend_config config = {.encode_positions_max = 64, .thread_count = 4};
    struct es_plan plan;
    struct es_backend_layout layout;
    es_plan_init(&plan);
    es_backend_cpu()->layout(&es_model_4b, &config, &plan, &layout);
    ES_EXPECT_EQ(region_bytes(&plan, "encoder kv ring"), 32ull * 2 * (749 + 256) * 2048 * 4);
    ES_EXPECT_EQ(region_bytes(&plan, "decoder kv ring"), 26ull * 2 * 8192 * 1024 * 4);
    es_test_note("%.1f MiB beside the weights",
                 (double)es_plan_total_bytes(&plan, ES_MEM_HOST) / 1048576.0);
}
