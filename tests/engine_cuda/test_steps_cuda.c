#include "engine/rope.h"
#include "tests/engine_cuda/linear_rig.h"

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* -- q, k and v -------------------------------------------------------------------------------- */

struct qkv_case {
    uint32_t dim, head_count, kv_head_count, head_dim, head_stride, slot_count;
    bool has_biases;
    uint64_t position;
};

struct qkv_rig {
    struct es_cuda_ops ops;
    struct linear_rig_map q, k, v;
    float *x, *norm, *q_bias, *v_bias;
    uint64_t turns[64];
    struct es_cuda_qkv op;
};

static struct qkv_rig qkv_open(const struct qkv_case *shape, uint32_t row_count) {
    struct qkv_rig rig = {.ops = linear_rig_ops()};
    uint32_t q_dim = shape->head_count * shape->head_dim;
    uint32_t kv_dim = shape->kv_head_count * shape->head_dim;
    size_t ring_bytes =
        (size_t)shape->kv_head_count * shape->slot_count * shape->head_stride * sizeof(uint16_t);
    rig.q = linear_rig_map(q_dim, shape->dim);
    rig.k = linear_rig_map(kv_dim, shape->dim);
    rig.v = linear_rig_map(kv_dim, shape->dim);
    rig.x = device_rig_numbers((size_t)row_count * shape->dim, 3.0f);
    rig.norm = device_rig_numbers(shape->dim, 0.2f);
    rig.q_bias = device_rig_numbers(q_dim, 1.0f);
    rig.v_bias = device_rig_numbers(kv_dim, 1.0f);
    struct es_rope rope; /* borrows the turns, so it ends here: the rig moves to the caller */
    es_rope_init(&rope, shape->head_dim, 1e6, rig.turns);
    struct es_cuda_stream_state state = {.decoder_position = shape->position};
    device_rig_write(rig.ops.state, &state, sizeof state);
    rig.op = (struct es_cuda_qkv){
        .x = device_rig_put(rig.x, (size_t)row_count * shape->dim * sizeof(float)),
        .norm = device_rig_put(rig.norm, shape->dim * sizeof(float)),
        .norm_eps = 1e-5f,
        .row_count = row_count,
        .turns = device_rig_put(rig.turns, shape->head_dim / 2u * sizeof(uint64_t)),
        .position = &rig.ops.state->decoder_position,
        .head_count = shape->head_count,
        .kv_head_count = shape->kv_head_count,
        .head_dim = shape->head_dim,
        .q = device_rig_take((size_t)row_count * q_dim * sizeof(float)),
        .keys = device_rig_zeros(ring_bytes),
        .values = device_rig_zeros(ring_bytes),
        .head_stride = shape->head_stride,
        .slot_count = shape->slot_count,
    };
    if (shape->has_biases) {
        rig.op.wq_bias = device_rig_put(rig.q_bias, q_dim * sizeof(float));
        rig.op.wv_bias = device_rig_put(rig.v_bias, kv_dim * sizeof(float));
    }
    return rig;
}

static void qkv_close(struct qkv_rig *rig) {
    free(rig->q.values);
    free(rig->k.values);
    free(rig->v.values);
    free(rig->x);
    free(rig->norm);
    free(rig->q_bias);
    free(rig->v_bias);
    linear_rig_close(&rig->ops);
}

static void rotate(const struct es_rope *rope, uint64_t position, double *head) {
    for (uint32_t i = 0; i < rope->pair_count; i++) {
        double phase = es_rope_phase(rope, i, position);
        double first = head[2 * i];
        head[2 * i] = first * cos(phase) - head[2 * i + 1] * sin(phase);
        head[2 * i + 1] = first * sin(phase) + head[2 * i + 1] * cos(phase);
    }
}

/* Worst row of q; keys and values by number, in steps of f16. */
static double check_qkv(const struct qkv_case *shape, uint32_t row_count, double *worst_half) {
    struct es_error error;
    struct qkv_rig rig = qkv_open(shape, row_count);
    uint32_t q_dim = shape->head_count * shape->head_dim;
    uint32_t kv_dim = shape->kv_head_count * shape->head_dim;
    size_t ring = (size_t)shape->kv_head_count * shape->slot_count * shape->head_stride;
    float *q = malloc((size_t)row_count * q_dim * sizeof *q);
    uint16_t *halves = malloc(2u * ring * sizeof *halves);
    double *sums = malloc((q_dim + kv_dim) * sizeof *sums);
    const struct es_rope rope = {.pair_count = shape->head_dim / 2u, .turns = rig.turns};
    double worst = 0.0;
    rig.op.wq = &rig.q.matrix;
    rig.op.wk = &rig.k.matrix;
    rig.op.wv = &rig.v.matrix;
    device_rig_ok(es_cuda_qkv(&rig.ops, &rig.op, &error), &error);
    device_rig_get(q, rig.op.q, (size_t)row_count * q_dim * sizeof *q);
    device_rig_get(halves, rig.op.keys, ring * sizeof *halves);
    device_rig_get(halves + ring, rig.op.values, ring * sizeof *halves);
    for (uint32_t r = 0; r < row_count; r++) {
        const float *x = rig.x + (size_t)r * shape->dim;
        uint64_t position = shape->position + r;
        linear_rig_row(&rig.q, x, rig.norm, NULL, 1e-5, sums);
        for (uint32_t i = 0; i < q_dim; i++) {
            sums[i] += shape->has_biases ? (double)rig.q_bias[i] : 0.0;
        }
        for (uint32_t h = 0; h < shape->head_count; h++) {
            rotate(&rope, position, sums + (size_t)h * shape->head_dim);
        }
        worst = larger(worst, device_rig_error(q + (size_t)r * q_dim, sums, q_dim));
        for (uint32_t part = 0; part < 2; part++) {
            linear_rig_row(part == 0 ? &rig.k : &rig.v, x, rig.norm, NULL, 1e-5, sums);
            for (uint32_t i = 0; i < kv_dim; i++) {
                sums[i] += part == 1 && shape->has_biases ? (double)rig.v_bias[i] : 0.0;
            }
            for (uint32_t h = 0; h < shape->kv_head_count; h++) {
                if (part == 0) {
                    rotate(&rope, position, sums + (size_t)h * shape->head_dim);
                }
                const uint16_t *slot =
                    halves + part * ring +
                    (h * (size_t)shape->slot_count + position % shape->slot_count) *
                        shape->head_stride;
                for (uint32_t i = 0; i < shape->head_stride; i++) {
                    double expected = i < shape->head_dim ? sums[h * shape->head_dim + i] : 0.0;
                    double off = fabs(device_rig_f16_value(slot[i]) - expected);
                    *worst_half = larger(*worst_half, off / (fabs(expected) * 0x1p-11 + 1e-4));
                }
            }
        }
    }
    free(q);
    free(halves);
    free(sums);
    qkv_close(&rig);
    return worst;
}

ES_TEST("q, k and v are normed, rotated and stored as in double precision, at any age") {
    static const struct qkv_case cases[] = {
        {36, 4, 2, 18, 32, 40, false, 0},
        {44, 2, 2, 44, 64, 33, true, 1ull << 33},
        {1280, 4, 4, 64, 64, 757, true, 756},
        {3072, 8, 2, 128, 128, 8192, false, (1ull << 40) + 8190},
    };
    static const uint32_t rows[] = {1, 4, 8, 9, 16};
    double worst = 0.0;
    double worst_half = 0.0;
    (void)device_rig_open();
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint32_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            if (!device_rig_skips(i + r, 2) || i < 2) {
                worst = larger(worst, check_qkv(&cases[i], rows[r], &worst_half));
            }
        }
    }
    es_test_note("worst row of q %.2e of %.0e, worst key or value %.2f f16 roundings", worst,
                 LINEAR_RIG_TOLERANCE, worst_half);
    ES_EXPECT(worst <= LINEAR_RIG_TOLERANCE);
    ES_EXPECT(worst_half <= 1.05);
}

ES_TEST("a value beyond f16 is kept at the largest, and told") {
    static const struct qkv_case shape = {32, 1, 1, 32, 32, 4, true, 2};
    struct es_error error;
    struct qkv_rig rig = qkv_open(&shape, 1);
    uint16_t values[4 * 32];
    rig.op.wq = &rig.q.matrix;
    rig.op.wk = &rig.k.matrix;
    rig.op.wv = &rig.v.matrix;
    device_rig_ok(es_cuda_qkv(&rig.ops, &rig.op, &error), &error);
    ES_EXPECT_EQ(linear_rig_flags(&rig.ops), 0);
    rig.v_bias[5] = -1e6f;
    device_rig_write((void *)(uintptr_t)rig.op.wv_bias, rig.v_bias, 32u * sizeof(float));
    device_rig_ok(es_cuda_qkv(&rig.ops, &rig.op, &error), &error);
    device_rig_get(values, rig.op.values, sizeof values);
    ES_EXPECT_EQ(linear_rig_flags(&rig.ops), ES_CUDA_FLAG_KV_OUT_OF_RANGE);
    ES_EXPECT_NEAR(device_rig_f16_value(values[2 * 32 + 5]), -65504.0, 0.0);
    qkv_close(&rig);
}

/* -- choice ------------------------------------------------------------------------------------ */

struct choose_rig {
    struct es_cuda_ops ops;
    struct linear_rig_map head;
    struct es_cuda_embedding embedding;
    float *x, *norm;
    struct es_cuda_step_input *input; /* shared */
    struct es_cuda_step_output *output;
    struct es_cuda_choose op;
};

static struct choose_rig choose_open(uint32_t vocab_size, uint32_t dim, uint32_t rows_per_block) {
    struct es_error error;
    struct choose_rig rig = {.ops = linear_rig_ops()};
    void *shared = NULL;
    device_rig_ok(es_cuda_memory_take(rig.ops.cuda, ES_MEM_SHARED, 4096, &shared, &error), &error);
    memset(shared, 0, 4096);
    rig.input = shared;
    rig.output = (struct es_cuda_step_output *)((char *)shared + 2048);
    rig.head = linear_rig_map(vocab_size, dim);
    rig.embedding = (struct es_cuda_embedding){.rows_per_block = rows_per_block,
                                               .vocab_size = vocab_size,
                                               .dim = dim,
                                               .stride = rig.head.matrix.stride};
    for (uint32_t b = 0; b * rows_per_block < vocab_size; b++) {
        rig.embedding.blocks[b] = (const uint16_t *)rig.head.matrix.data +
                                  (size_t)b * rows_per_block * rig.head.matrix.stride;
    }
    rig.x = device_rig_numbers(dim, 3.0f);
    rig.norm = device_rig_numbers(dim, 0.2f);
    struct es_cuda_stream_state state = {.decoder_position = 41, .last_id = 7};
    device_rig_write(rig.ops.state, &state, sizeof state);
    rig.op = (struct es_cuda_choose){.x = device_rig_put(rig.x, dim * sizeof(float)),
                                     .norm = device_rig_put(rig.norm, dim * sizeof(float)),
                                     .norm_eps = 1e-5f,
                                     .input = rig.input,
                                     .output = rig.output,
                                     .logits = device_rig_take(vocab_size * sizeof(float)),
                                     .advance_count = 3};
    return rig;
}

static void choose_close(struct choose_rig *rig) {
    es_cuda_memory_give_back(rig->ops.cuda, ES_MEM_SHARED, rig->input);
    free(rig->head.values);
    free(rig->x);
    free(rig->norm);
    linear_rig_close(&rig->ops);
}

static void choose_run(struct choose_rig *rig) {
    struct es_error error;
    rig->op.embedding = &rig->embedding;
    device_rig_ok(es_cuda_choose(&rig->ops, &rig->op, &error), &error);
    device_rig_ok(es_cuda_wait(rig->ops.cuda, &error), &error);
}

/* What the logits of this run say, biased. */
static void expect_choice(const struct choose_rig *rig, const float *logits, uint32_t count) {
    int32_t best = -1;
    float first = -INFINITY;
    float second = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        float logit = logits[i] + (i == 32 ? rig->input->streaming_pad_bias : 0.0f);
        if (logit > first) {
            second = first;
            first = logit;
            best = (int32_t)i;
        } else if (logit > second) {
            second = logit;
        }
    }
    ES_EXPECT_EQ(rig->output->id, best);
    ES_EXPECT_NEAR(rig->output->margin, first - second, 0.0);
}

ES_TEST("the choice is the best logit of blocks of rows, with its margin, and moves the state on") {
    static const uint32_t sizes[][3] = {{34, 32, 34}, {1301, 36, 400}, {4096, 3072, 1024}};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t count = sizes[i][0];
        struct choose_rig rig = choose_open(count, sizes[i][1], sizes[i][2]);
        float *logits = malloc(count * sizeof *logits);
        double *expected = malloc(count * sizeof *expected);
        linear_rig_row(&rig.head, rig.x, rig.norm, NULL, 1e-5, expected);
        for (uint32_t run = 0; run < 3; run++) {
            rig.input->streaming_pad_bias = run == 0 ? 0.0f : run == 1 ? 1e4f : -1e4f;
            choose_run(&rig);
            device_rig_get(logits, rig.op.logits, count * sizeof *logits);
            expect_choice(&rig, logits, count);
            ES_EXPECT_EQ(rig.output->flags, 0);
            ES_EXPECT_EQ(rig.output->position, 43u + 3u * run);
        }
        double off = device_rig_error(logits, expected, count);
        es_test_note("%u x %u: logits %.2e", count, sizes[i][1], off);
        ES_EXPECT(off <= LINEAR_RIG_TOLERANCE);
        struct es_cuda_stream_state state;
        device_rig_get(&state, rig.ops.state, sizeof state);
        ES_EXPECT_EQ(state.decoder_position, 50);
        ES_EXPECT_EQ(state.last_id, rig.output->id);
        free(logits);
        free(expected);
        choose_close(&rig);
    }
}

ES_TEST("ties go to the lowest id on any grid, and a NaN is told") {
    static const uint32_t sm_counts[] = {1, 3, 16, 132};
    struct choose_rig rig = choose_open(2000, 64, 512);
    uint32_t sm_count = rig.ops.cuda->sm_count;
    uint16_t *rows = malloc((size_t)2000 * 64 * sizeof *rows);
    device_rig_get(rows, rig.head.matrix.data, (size_t)2000 * 64 * sizeof *rows);
    uint16_t kinds[3 * 64]; /* of rows; the best stand at 700 and 1999 */
    memcpy(kinds, rows, sizeof kinds);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t kind = i == 700 || i == 1999 ? 2u : i % 2u;
        memcpy(rows + (size_t)i * 64u, kinds + (size_t)kind * 64u, 64u * sizeof *rows);
    }
    float norm[64];
    for (uint32_t k = 0; k < 64; k++) { /* x * norm points where they do */
        uint32_t bits = (uint32_t)rows[700 * 64 + k] << 16;
        memcpy(&norm[k], &bits, sizeof bits);
        norm[k] = rig.x[k] > 0.0f ? norm[k] : -norm[k];
    }
    device_rig_write((void *)(uintptr_t)rig.op.norm, norm, sizeof norm);
    device_rig_write((void *)(uintptr_t)rig.head.matrix.data, rows, (size_t)2000 * 64 * 2);
    for (uint32_t i = 0; i < 4; i++) {
        rig.ops.cuda->sm_count = sm_counts[i];
        choose_run(&rig);
        rig.ops.cuda->sm_count = sm_count;
        ES_EXPECT_EQ(rig.output->id, 700);
        ES_EXPECT_NEAR(rig.output->margin, 0.0, 0.0);
        ES_EXPECT_EQ(rig.output->flags, 0);
    }
    rows[900 * 64] = 0x7fc0; /* NaN */
    device_rig_write((void *)(uintptr_t)rig.head.matrix.data, rows, (size_t)2000 * 64 * 2);
    choose_run(&rig);
    ES_EXPECT_EQ(rig.output->id, 700);
    ES_EXPECT_EQ(rig.output->flags, ES_CUDA_FLAG_LOGIT_NOT_FINITE);
    free(rows);
    choose_close(&rig);
}
