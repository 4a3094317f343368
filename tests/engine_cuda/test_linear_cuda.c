#include "engine/rope.h"
#include "tests/engine_cuda/linear_rig.h"

/* Rows that tests look at; the kernels take 8 at once, so 9 and 16 are two passes. */
static const uint32_t row_counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 16};
#define ROW_KINDS 9u
#define ROW_COUNT_MAX 16u

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* -- project ----------------------------------------------------------------------------------- */

struct project_case {
    uint32_t out_dim, in_dim;
    bool has_bias, is_added, has_gelu;
    uint32_t x_row_floats; /* 0: in_dim */
};

static double project_reference(const struct project_case *shape, double sum, double bias,
                                double before) {
    double value = sum + bias;
    if (shape->has_gelu) {
        value = 0.5 * value * (1.0 + erf(value / sqrt(2.0)));
    }
    return value + before;
}

/* The worst row of all row counts; every run with fewer rows has the bits of the run with most. */
static double check_project(const struct project_case *shape) {
    struct es_error error;
    struct es_cuda_ops ops = linear_rig_ops();
    uint32_t row_floats = shape->x_row_floats > 0 ? shape->x_row_floats : shape->in_dim;
    size_t x_floats = (size_t)(ROW_COUNT_MAX - 1u) * row_floats + shape->in_dim;
    size_t y_floats = (size_t)ROW_COUNT_MAX * shape->out_dim;
    struct linear_rig_map map = linear_rig_map(shape->out_dim, shape->in_dim);
    float *x = device_rig_numbers(x_floats, 3.0f);
    float *bias = device_rig_numbers(shape->out_dim, 1.0f);
    float *before = device_rig_numbers(y_floats, 1.0f);
    float *all = malloc(y_floats * sizeof *all);
    float *some = malloc(y_floats * sizeof *some);
    double *expected = malloc(shape->out_dim * sizeof *expected);
    double *spreads = malloc(shape->out_dim * sizeof *spreads);
    struct es_cuda_project op = {.x = device_rig_put(x, x_floats * sizeof *x),
                                 .x_row_floats = row_floats,
                                 .w = &map.matrix,
                                 .is_added = shape->is_added,
                                 .has_gelu = shape->has_gelu,
                                 .y = device_rig_take(y_floats * sizeof(float))};
    if (shape->has_bias) {
        op.bias = device_rig_put(bias, shape->out_dim * sizeof *bias);
    }
    double worst = 0.0;
    for (uint32_t kind = ROW_KINDS; kind-- > 0;) {
        op.row_count = row_counts[kind];
        size_t floats = (size_t)op.row_count * shape->out_dim;
        device_rig_write(op.y, before, floats * sizeof *before);
        device_rig_ok(es_cuda_project(&ops, &op, &error), &error);
        device_rig_get(some, op.y, floats * sizeof *some);
        if (kind == ROW_KINDS - 1u) {
            memcpy(all, some, floats * sizeof *all);
        }
        ES_EXPECT(memcmp(all, some, floats * sizeof *all) == 0);
    }
    for (uint32_t r = 0; r < ROW_COUNT_MAX; r++) {
        const float *row = x + (size_t)r * row_floats;
        linear_rig_row(&map, row, NULL, NULL, 0.0, expected);
        linear_rig_spreads(&map, row, NULL, NULL, 0.0, spreads);
        for (uint32_t o = 0; o < shape->out_dim; o++) {
            size_t at = (size_t)r * shape->out_dim + o;
            double with = shape->has_bias ? (double)bias[o] : 0.0;
            double onto = shape->is_added ? (double)before[at] : 0.0;
            expected[o] = project_reference(shape, expected[o], with, onto);
            spreads[o] = sqrt(spreads[o] * spreads[o] + with * with + onto * onto);
        }
        worst = larger(worst, linear_rig_error(all + (size_t)r * shape->out_dim, expected, spreads,
                                               shape->out_dim));
    }
    free(map.values);
    free(x);
    free(bias);
    free(before);
    free(all);
    free(some);
    free(expected);
    free(spreads);
    linear_rig_close(&ops);
    return worst;
}

ES_TEST("a projection equals the sum in double precision at the edges of units, chunks and steps") {
    static const uint32_t widths[] = {1,   8,   31,  32,   33,   36,   44,   255,
                                      256, 257, 992, 1024, 1056, 1280, 1301, 1536};
    static const uint32_t heights[] = {1, 2, 7, 8, 9, 15, 16, 17, 33};
    double worst = 0.0;
    (void)device_rig_open();
    for (uint32_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        for (uint32_t o = 0; o < sizeof heights / sizeof heights[0]; o++) {
            struct project_case shape = {.out_dim = heights[o], .in_dim = widths[i]};
            if (device_rig_skips(i + o, 4)) {
                continue;
            }
            shape.has_bias = (i + o) % 2u == 0;
            shape.is_added = (i + o) % 3u == 0;
            worst = larger(worst, check_project(&shape));
        }
    }
    es_test_note("worst row %.2e of %.0e", worst, LINEAR_RIG_TOLERANCE);
    ES_EXPECT(worst <= LINEAR_RIG_TOLERANCE);
}

ES_TEST("a projection of the 4B model's widths equals the sum in double precision") {
    static const struct project_case cases[] = {
        {300, 384, true, false, true, 128},   {300, 3840, true, false, true, 2560},
        {1280, 2048, true, true, false, 0},   {600, 5120, true, true, false, 0},
        {3072, 3072, false, false, false, 0}, {600, 4096, false, true, false, 0},
        {600, 9216, false, true, false, 0},   {44, 108, true, false, true, 36},
        {1301, 1301, false, true, false, 0},
    };
    (void)device_rig_open();
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (device_rig_skips(i, 3) && cases[i].out_dim > 100) {
            continue;
        }
        double worst = check_project(&cases[i]);
        es_test_note("%u x %u: worst row %.2e", cases[i].out_dim, cases[i].in_dim, worst);
        ES_EXPECT(worst <= LINEAR_RIG_TOLERANCE);
    }
}

ES_TEST("rows for the queue go to the slots behind those written, and a NaN among them is told") {
    struct es_error error;
    struct es_cuda_ops ops = linear_rig_ops();
    struct linear_rig_map map = linear_rig_map(40, 64);
    float *x = device_rig_numbers(3u * 64u, 1.0f);
    float *queue = malloc(5u * 40u * sizeof *queue);
    double expected[40];
    struct es_cuda_stream_state state = {.embeddings_written = (1ull << 40) + 2u};
    device_rig_write(ops.state, &state, sizeof state);
    uint32_t first_slot = (uint32_t)(state.embeddings_written % 5u);
    struct es_cuda_project op = {.x = device_rig_put(x, 3u * 64u * sizeof *x),
                                 .x_row_floats = 64,
                                 .row_count = 3,
                                 .w = &map.matrix,
                                 .y = device_rig_take(5u * 40u * sizeof(float)),
                                 .y_slot_count = 5};
    device_rig_ok(es_cuda_project(&ops, &op, &error), &error);
    device_rig_get(queue, op.y, 5u * 40u * sizeof *queue);
    for (uint32_t r = 0; r < 3; r++) {
        linear_rig_row(&map, x + r * 64u, NULL, NULL, 0.0, expected);
        ES_EXPECT(device_rig_error(queue + (first_slot + r) % 5u * 40u, expected, 40) <=
                  LINEAR_RIG_TOLERANCE);
    }
    for (uint32_t i = 0; i < 2u * 40u; i++) {
        ES_EXPECT(isnan(queue[(first_slot + 3u + i / 40u) % 5u * 40u + i % 40u]));
    }
    ES_EXPECT_EQ(linear_rig_flags(&ops), 0);
    x[70] = INFINITY;
    device_rig_write((void *)(uintptr_t)op.x, x, 3u * 64u * sizeof *x);
    device_rig_ok(es_cuda_project(&ops, &op, &error), &error);
    ES_EXPECT_EQ(linear_rig_flags(&ops), ES_CUDA_FLAG_EMBEDDING_NOT_FINITE);
    free(map.values);
    free(x);
    free(queue);
    linear_rig_close(&ops);
}

/* -- gate -------------------------------------------------------------------------------------- */

static double check_gate(uint32_t dim, uint32_t hidden_dim, bool has_ada) {
    struct es_error error;
    struct es_cuda_ops ops = linear_rig_ops();
    struct linear_rig_map w1 = linear_rig_map(hidden_dim, dim);
    struct linear_rig_map w3 = linear_rig_map(hidden_dim, dim);
    size_t out_floats = (size_t)ROW_COUNT_MAX * hidden_dim;
    float *x = device_rig_numbers((size_t)ROW_COUNT_MAX * dim, 30.0f);
    float *norm = device_rig_numbers(dim, 0.2f);
    float *ada = device_rig_numbers(dim, 1.0f);
    float *all = malloc(out_floats * sizeof *all);
    float *some = malloc(out_floats * sizeof *some);
    double *gate = malloc(hidden_dim * sizeof *gate);
    double *up = malloc(hidden_dim * sizeof *up);
    double *gate_spreads = malloc(hidden_dim * sizeof *gate_spreads);
    double *spreads = malloc(hidden_dim * sizeof *spreads); /* of up, then of the product */
    struct es_cuda_gate op = {.x = device_rig_put(x, (size_t)ROW_COUNT_MAX * dim * sizeof *x),
                              .norm = device_rig_put(norm, dim * sizeof *norm),
                              .ada = has_ada ? device_rig_put(ada, dim * sizeof *ada) : NULL,
                              .norm_eps = 1e-5f,
                              .w1 = &w1.matrix,
                              .w3 = &w3.matrix,
                              .out = device_rig_take(out_floats * sizeof(float))};
    double worst = 0.0;
    for (uint32_t kind = ROW_KINDS; kind-- > 0;) {
        op.row_count = row_counts[kind];
        size_t floats = (size_t)op.row_count * hidden_dim;
        device_rig_ok(es_cuda_gate(&ops, &op, &error), &error);
        device_rig_get(some, op.out, floats * sizeof *some);
        if (kind == ROW_KINDS - 1u) {
            memcpy(all, some, floats * sizeof *all);
        }
        ES_EXPECT(memcmp(all, some, floats * sizeof *all) == 0);
    }
    for (uint32_t r = 0; r < ROW_COUNT_MAX; r++) {
        const float *row = x + (size_t)r * dim;
        linear_rig_row(&w1, row, norm, has_ada ? ada : NULL, 1e-5, gate);
        linear_rig_row(&w3, row, norm, has_ada ? ada : NULL, 1e-5, up);
        linear_rig_spreads(&w1, row, norm, has_ada ? ada : NULL, 1e-5, gate_spreads);
        linear_rig_spreads(&w3, row, norm, has_ada ? ada : NULL, 1e-5, spreads);
        for (uint32_t i = 0; i < hidden_dim; i++) {
            double open = 1.0 / (1.0 + exp(-gate[i]));
            double slope = open * (1.0 + gate[i] * (1.0 - open)); /* of silu */
            spreads[i] = hypot(slope * up[i] * gate_spreads[i], gate[i] * open * spreads[i]);
            gate[i] *= open * up[i];
        }
        worst = larger(worst,
                       linear_rig_error(all + (size_t)r * hidden_dim, gate, spreads, hidden_dim));
    }
    free(w1.values);
    free(w3.values);
    free(x);
    free(norm);
    free(ada);
    free(all);
    free(some);
    free(gate);
    free(up);
    free(gate_spreads);
    free(spreads);
    linear_rig_close(&ops);
    return worst;
}

ES_TEST("the gate equals silu(w1 h) * (w3 h) in double precision, with and without conditioning") {
    static const uint32_t dims[] = {1, 32, 36, 256, 257, 1280, 3072};
    static const uint32_t hidden_dims[] = {1, 4, 5, 68, 300};
    double worst = 0.0;
    (void)device_rig_open();
    for (uint32_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        for (uint32_t j = 0; j < sizeof hidden_dims / sizeof hidden_dims[0]; j++) {
            if (!device_rig_skips(i + j, 3)) {
                worst = larger(worst, check_gate(dims[i], hidden_dims[j], (i + j) % 2u == 0));
            }
        }
    }
    es_test_note("worst row %.2e of %.0e", worst, 2.0 * LINEAR_RIG_TOLERANCE);
    ES_EXPECT(worst <= 2.0 * LINEAR_RIG_TOLERANCE);
}

/* -- grids ------------------------------------------------------------------------------------- */

ES_TEST("the number of blocks changes no bit") {
    static const uint32_t sm_counts[] = {1, 8, 16, 132, 200};
    const uint32_t height = gpu_is_simulated() ? 200u : 3000u;
    struct es_error error;
    struct es_cuda_ops ops = linear_rig_ops();
    uint32_t sm_count = ops.cuda->sm_count;
    struct linear_rig_map w1 = linear_rig_map(height, 3072);
    struct linear_rig_map w3 = linear_rig_map(height, 3072);
    float *x = device_rig_numbers(8u * 3072u, 3.0f);
    float *norm = device_rig_numbers(3072, 1.0f);
    float *first = malloc(8u * height * sizeof *first);
    float *other = malloc(8u * height * sizeof *other);
    struct es_cuda_gate gate = {.x = device_rig_put(x, 8u * 3072u * sizeof *x),
                                .norm = device_rig_put(norm, 3072u * sizeof *norm),
                                .norm_eps = 1e-5f,
                                .row_count = 8,
                                .w1 = &w1.matrix,
                                .w3 = &w3.matrix,
                                .out = device_rig_take(8u * height * sizeof(float))};
    struct es_cuda_project project = {.x = gate.x,
                                      .x_row_floats = 3072,
                                      .row_count = 8,
                                      .w = &w1.matrix,
                                      .y = device_rig_take(8u * height * sizeof(float))};
    for (uint32_t run = 0; run < 2u * sizeof sm_counts / sizeof sm_counts[0]; run++) {
        ops.cuda->sm_count = sm_counts[run / 2u];
        bool is_gate = run % 2u == 0;
        device_rig_ok(is_gate ? es_cuda_gate(&ops, &gate, &error)
                              : es_cuda_project(&ops, &project, &error),
                      &error);
        device_rig_get(other, is_gate ? gate.out : project.y, 8u * height * sizeof *other);
        ops.cuda->sm_count = sm_count;
        ES_EXPECT(isfinite(other[0]));
        device_rig_ok(is_gate ? es_cuda_gate(&ops, &gate, &error)
                              : es_cuda_project(&ops, &project, &error),
                      &error);
        device_rig_get(first, is_gate ? gate.out : project.y, 8u * height * sizeof *first);
        ES_EXPECT(memcmp(first, other, 8u * height * sizeof *first) == 0);
    }
    free(w1.values);
    free(w3.values);
    free(x);
    free(norm);
    free(first);
    free(other);
    linear_rig_close(&ops);
}
