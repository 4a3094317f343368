#include "engine/cuda/many.h"
#include "tests/engine_cuda/many_rig.h"

struct timing {
    struct es_cuda_ops ops;
    struct es_matrix wq, wk, wv, wo, w1, w3, w2;
    struct es_cuda_qkv qkv;
    struct es_cuda_project out, down;
    struct es_cuda_gate gate;
};

static void run_qkv_op(void *context, uint32_t index) {
    (void)index;
    struct timing *timing = context;
    struct es_error error;
    device_rig_ok(es_cuda_qkv_many(&timing->ops, &timing->qkv, &error), &error);
}

static void run_out_op(void *context, uint32_t index) {
    (void)index;
    struct timing *timing = context;
    struct es_error error;
    device_rig_ok(es_cuda_project_many(&timing->ops, &timing->out, &error), &error);
}

static void run_gate_op(void *context, uint32_t index) {
    (void)index;
    struct timing *timing = context;
    struct es_error error;
    device_rig_ok(es_cuda_gate_many(&timing->ops, &timing->gate, &error), &error);
}

static void run_down_op(void *context, uint32_t index) {
    (void)index;
    struct timing *timing = context;
    struct es_error error;
    device_rig_ok(es_cuda_project_many(&timing->ops, &timing->down, &error), &error);
}

/* Rows of a matrix that is `row_count` rows behind the start of `block`. */
static struct es_matrix timing_matrix(const uint16_t *block, uint32_t first_row, uint32_t out_dim,
                                      uint32_t in_dim) {
    return (struct es_matrix){block + (size_t)first_row * in_dim, out_dim, in_dim, ES_DTYPE_BF16,
                              in_dim};
}

static uint16_t *timing_block(uint32_t row_count, uint32_t in_dim) {
    size_t count = (size_t)row_count * in_dim;
    uint16_t *data = malloc(count * sizeof *data);
    double value;
    for (size_t i = 0; i < count; i++) {
        data[i] = device_rig_bf16(&value);
    }
    uint16_t *device = device_rig_put(data, count * sizeof *data);
    free(data);
    return device;
}

static float *timing_rows(uint32_t row_count, uint32_t dim) {
    float *rows = device_rig_numbers((size_t)row_count * dim, 0.01f);
    float *device = device_rig_put(rows, (size_t)row_count * dim * sizeof *rows);
    free(rows);
    return device;
}

/* As in memory: biases keep an encoder's queries apart, all else lies together. */
static void make_matrices(struct timing *timing, const struct es_stack *shape, uint32_t rows) {
    const uint32_t q_dim = shape->head_count * shape->head_dim;
    const uint32_t kv_dim = shape->kv_head_count * shape->head_dim;
    uint32_t apart = shape->head_count == shape->kv_head_count ? 1 : 0;
    uint16_t *qkv = timing_block(q_dim + apart + 2u * kv_dim, shape->dim);
    uint16_t *gate = timing_block(2u * shape->hidden_dim, shape->dim);
    timing->wq = timing_matrix(qkv, 0, q_dim, shape->dim);
    timing->wk = timing_matrix(qkv, q_dim + apart, kv_dim, shape->dim);
    timing->wv = timing_matrix(qkv, q_dim + apart + kv_dim, kv_dim, shape->dim);
    timing->wo = timing_matrix(timing_block(shape->dim, q_dim), 0, shape->dim, q_dim);
    timing->w1 = timing_matrix(gate, 0, shape->hidden_dim, shape->dim);
    timing->w3 = timing_matrix(gate, shape->hidden_dim, shape->hidden_dim, shape->dim);
    timing->w2 = timing_matrix(timing_block(shape->dim, shape->hidden_dim), 0, shape->dim,
                               shape->hidden_dim);
    many_rig_prepare(&timing->ops,
                     (const struct es_matrix *[]){&timing->wq, &timing->wk, &timing->wv}, 3, rows);
    many_rig_prepare(&timing->ops, (const struct es_matrix *[]){&timing->w1, &timing->w3}, 2, rows);
    many_rig_prepare(&timing->ops, (const struct es_matrix *[]){&timing->wo}, 1, rows);
    many_rig_prepare(&timing->ops, (const struct es_matrix *[]){&timing->w2}, 1, rows);
}

static void note_layer(const char *what, const struct es_stack *shape, uint32_t rows) {
    const uint32_t q_dim = shape->head_count * shape->head_dim;
    const uint32_t kv_dim = shape->kv_head_count * shape->head_dim;
    const uint64_t position = 1000;
    uint64_t turns[64] = {1};
    struct timing timing = {
        .ops = many_rig_open(rows, shape->hidden_dim,
                             many_rig_floats(shape->hidden_dim, shape->hidden_dim, 0))};
    make_matrices(&timing, shape, rows);
    float *x = timing_rows(rows, shape->dim);
    float *norm = timing_rows(1, shape->dim);
    uint16_t *ring = device_rig_zeros((size_t)shape->kv_head_count * 2048u * shape->head_dim * 2u);
    timing.qkv = (struct es_cuda_qkv){.x = x,
                                      .norm = norm,
                                      .norm_eps = 1e-5f,
                                      .row_count = rows,
                                      .wq = &timing.wq,
                                      .wk = &timing.wk,
                                      .wv = &timing.wv,
                                      .turns = device_rig_put(turns, sizeof turns),
                                      .position = device_rig_put(&position, sizeof position),
                                      .head_count = shape->head_count,
                                      .kv_head_count = shape->kv_head_count,
                                      .head_dim = shape->head_dim,
                                      .q = device_rig_take((size_t)rows * q_dim * sizeof(float)),
                                      .keys = ring,
                                      .values = ring,
                                      .head_stride = shape->head_dim,
                                      .slot_count = 2048};
    timing.out = (struct es_cuda_project){.x = timing_rows(rows, q_dim),
                                          .x_row_floats = q_dim,
                                          .row_count = rows,
                                          .w = &timing.wo,
                                          .y = timing_rows(rows, shape->dim)};
    timing.gate = (struct es_cuda_gate){
        .x = x,
        .norm = norm,
        .norm_eps = 1e-5f,
        .row_count = rows,
        .w1 = &timing.w1,
        .w3 = &timing.w3,
        .out = device_rig_take((size_t)rows * shape->hidden_dim * sizeof(float))};
    timing.down = (struct es_cuda_project){.x = timing_rows(rows, shape->hidden_dim),
                                           .x_row_floats = shape->hidden_dim,
                                           .row_count = rows,
                                           .w = &timing.w2,
                                           .y = timing_rows(rows, shape->dim)};
    const struct {
        const char *name;
        void (*run)(void *context, uint32_t index);
        double weights;
    } parts[] = {{"qkv", run_qkv_op, (double)(q_dim + 2u * kv_dim) * shape->dim},
                 {"out", run_out_op, (double)q_dim * shape->dim},
                 {"gate", run_gate_op, 2.0 * shape->hidden_dim * shape->dim},
                 {"down", run_down_op, (double)shape->hidden_dim * shape->dim}};
    double sum = 0.0;
    for (uint32_t i = 0; i < 4; i++) {
        double us = device_rig_time_us(parts[i].run, &timing, 100);
        sum += us;
        es_test_note("%s, %u rows, %s: %.1f us, %.0f TFLOP/s with all parts, %.0f GB/s of weights",
                     what, rows, parts[i].name, us,
                     2.0 * parts[i].weights * rows * ES_CUDA_SPLIT_PART_COUNT / us * 1e-6,
                     parts[i].weights * 2.0 / us * 1e-3);
    }
    es_test_note("%s, %u rows: %.1f us a layer without attention, %.2f ms for all %u", what, rows,
                 sum, sum * shape->layer_count * 1e-3, shape->layer_count);
    many_rig_close(&timing.ops);
}

ES_TEST("figures: a layer of many rows at the 4B model's sizes") {
    static const struct es_stack encoder = {.dim = 1280,
                                            .layer_count = 32,
                                            .head_dim = 64,
                                            .hidden_dim = 5120,
                                            .head_count = 32,
                                            .kv_head_count = 32};
    static const struct es_stack decoder = {.dim = 3072,
                                            .layer_count = 26,
                                            .head_dim = 128,
                                            .hidden_dim = 9216,
                                            .head_count = 32,
                                            .kv_head_count = 8};
    gpu_expect_real();
    device_rig_open();
    note_layer("encoder", &encoder, 32);
    note_layer("encoder", &encoder, 256);
    note_layer("decoder", &decoder, 39);
    note_layer("decoder", &decoder, 63);
}
