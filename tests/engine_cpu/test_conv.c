#include "engine/cpu/conv.h"
#include "tests/support/random_weights.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POSITION_COUNT 9u
#define POSITIONS_MAX 4u

static const struct es_model model = {
    .encoder = {.dim = 12, .layer_count = 1, .head_dim = 2, .hidden_dim = 4, .head_count = 1},
    .decoder = {.dim = 4},
    .mel_bin_count = 5,
    .downsample = 2,
    .frames_per_position = 4,
};
enum { BINS = 5, DIM = 12, FRAMES = POSITION_COUNT * 4, ROWS = POSITION_COUNT * 2 };

/* The stem alone, with the two weights that it reads. */
struct bench {
    struct es_weights weights;
    float conv0[DIM * BINS * 3], conv0_bias[DIM];
    float conv1[DIM * DIM * 3], conv1_bias[DIM];
    float mel[FRAMES * BINS];
    struct es_plan plan;
    struct es_arena arena;
    struct es_pool *pool;
    struct es_conv conv;
    float conv0_rows[FRAMES * DIM]; /* from the tap */
    struct es_tap tap;
};

static void fill(uint64_t *state, float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        values[i] = es_random_next(state);
    }
}

static void record(void *context, enum es_stage stage, uint32_t layer, uint64_t first_row,
                   const float *rows, uint32_t row_count, uint32_t dim) {
    struct bench *bench = context;
    (void)layer;
    if (stage == ES_STAGE_CONV0) {
        memcpy(bench->conv0_rows + first_row * dim, rows, (size_t)row_count * dim * sizeof(float));
    }
}

static void open_bench(struct bench *bench) {
    uint64_t state = 5;
    struct es_error error;
    fill(&state, bench->conv0, DIM * BINS * 3);
    fill(&state, bench->conv0_bias, DIM);
    fill(&state, bench->conv1, DIM * DIM * 3);
    fill(&state, bench->conv1_bias, DIM);
    fill(&state, bench->mel, FRAMES * BINS);
    bench->weights.conv0 = (struct es_matrix){bench->conv0, DIM, BINS * 3, ES_DTYPE_F32, BINS * 3};
    bench->weights.conv0_bias = bench->conv0_bias;
    bench->weights.conv1 = (struct es_matrix){bench->conv1, DIM, DIM * 3, ES_DTYPE_F32, DIM * 3};
    bench->weights.conv1_bias = bench->conv1_bias;
    bench->tap = (struct es_tap){record, bench};
    ES_EXPECT_EQ(es_pool_start(&bench->pool, 1, &error), ES_OK);
    const struct es_backend_config config = {
        .encode_positions_max = POSITIONS_MAX,
        .thread_count = 1,
        .pool = bench->pool,
        .tap = &bench->tap,
    };
    es_plan_init(&bench->plan);
    uint32_t region = es_conv_layout(&model, &config, &bench->plan);
    ES_EXPECT_EQ(es_arena_reserve(&bench->arena, &bench->plan, &error), ES_OK);
    es_conv_init(&bench->conv, &model, &config, region, &bench->arena, &bench->weights);
}

static void close_bench(struct bench *bench) {
    es_arena_release(&bench->arena);
    es_pool_stop(bench->pool);
}

static void push_all(struct bench *bench, uint32_t group, float *x) {
    es_conv_reset(&bench->conv, 0);
    for (uint32_t done = 0; done < POSITION_COUNT; done += group) {
        uint32_t count = POSITION_COUNT - done < group ? POSITION_COUNT - done : group;
        es_conv_push(&bench->conv, bench->mel + (size_t)done * 4 * BINS, count,
                     x + (size_t)done * 2 * DIM);
    }
}

static double gelu(double x) {
    return x / 2 * (1 + erf(x / sqrt(2)));
}

/* Frame `frame` of a signal that is zero before its start. */
static double at(const double *frames, long frame, uint32_t width, uint32_t channel) {
    return frame < 0 ? 0.0 : frames[(size_t)frame * width + channel];
}

ES_TEST("the stem sees frames j-2..j, then 2j-1..2j+1, and zeros before the start") {
    static struct bench bench;
    static double mel[FRAMES * BINS], conv0[FRAMES * DIM];
    float x[ROWS * DIM];
    open_bench(&bench);
    push_all(&bench, 4, x);
    for (size_t i = 0; i < FRAMES * BINS; i++) {
        mel[i] = (double)bench.mel[i];
    }
    for (long j = 0; j < FRAMES; j++) {
        for (uint32_t o = 0; o < DIM; o++) {
            double sum = (double)bench.conv0_bias[o];
            for (uint32_t c = 0; c < BINS; c++) {
                for (uint32_t tap = 0; tap < 3; tap++) {
                    sum += (double)bench.conv0[(o * BINS + c) * 3 + tap] *
                           at(mel, j - 2 + (long)tap, BINS, c);
                }
            }
            conv0[j * DIM + o] = gelu(sum);
            ES_EXPECT_NEAR(bench.conv0_rows[j * DIM + o], conv0[j * DIM + o], 1e-5);
        }
    }
    for (long j = 0; j < ROWS; j++) {
        for (uint32_t o = 0; o < DIM; o++) {
            double sum = (double)bench.conv1_bias[o];
            for (uint32_t c = 0; c < DIM; c++) {
                for (uint32_t tap = 0; tap < 3; tap++) {
                    sum += (double)bench.conv1[(o * DIM + c) * 3 + tap] *
                           at(conv0, 2 * j - 1 + (long)tap, DIM, c);
                }
            }
            ES_EXPECT_NEAR(x[j * DIM + o], gelu(sum), 1e-5);
        }
    }
    close_bench(&bench);
}

ES_TEST("the stem gives the same bits however positions are grouped, and after a reset") {
    static struct bench bench;
    float one_by_one[ROWS * DIM], grouped[ROWS * DIM];
    open_bench(&bench);
    push_all(&bench, 1, one_by_one);
    for (uint32_t group = 2; group <= POSITIONS_MAX; group++) {
        push_all(&bench, group, grouped);
        for (size_t i = 0; i < ROWS * DIM; i++) {
            ES_EXPECT(grouped[i] == one_by_one[i]);
        }
    }
    close_bench(&bench);
}
