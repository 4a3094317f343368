/* All of a layer but its attention in one kernel, against the operations that it is made of. */
#include "engine/rope.h"
#include "tests/engine_cuda/linear_rig.h"

#define HEAD_DIM 16u
#define HEAD_STRIDE 32u
#define SLOT_COUNT 24u
#define POSITION 1000003u

struct layer_case {
    uint32_t dim, hidden_dim, head_count, kv_head_count;
    bool has_ada, has_biases, has_next;
};

/* What is written: the residual stream, and q, keys and values of the next layer. */
struct layer_results {
    float *x, *q;
    uint16_t *keys, *values;
};

struct layer_rig {
    struct layer_case shape;
    struct es_cuda_ops ops;
    struct linear_rig_map wo, w1, w3, w2, wq, wk, wv;
    float *x, *attended; /* host */
    /* device */
    float *attended_plain; /* [q_dim] */
    uint16_t *attended_split;
    float *hidden; /* either way */
    uint16_t *normed;
    float *squares;
    float *norm, *next_norm, *ada, *o_bias;
    uint64_t *turns;
    struct layer_results device;
};

static uint32_t q_dim_of(const struct layer_case *shape) {
    return shape->head_count * HEAD_DIM;
}

static size_t ring_bytes_of(const struct layer_case *shape) {
    return (size_t)shape->kv_head_count * SLOT_COUNT * HEAD_STRIDE * sizeof(uint16_t);
}

static float *put_numbers(uint32_t count, float scale) {
    float *numbers = device_rig_numbers(count, scale);
    float *device = device_rig_put(numbers, count * sizeof *numbers);
    free(numbers);
    return device;
}

static uint16_t bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static float of_bf16(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What attention writes for this kernel (split.cuh): [columns / 32, 2 parts, 32]. */
static uint16_t *put_split(const float *numbers, uint32_t columns) {
    const size_t bytes = columns * sizeof(float);
    uint16_t *split = malloc(bytes);
    for (uint32_t column = 0; column < columns; column++) {
        uint16_t *to = split + column / 32u * 64u + column % 32u;
        to[0] = bf16_of(numbers[column]);
        to[32] = bf16_of(numbers[column] - of_bf16(to[0]));
    }
    uint16_t *device = device_rig_put(split, bytes);
    free(split);
    return device;
}

static struct layer_rig open_layer(const struct layer_case *shape) {
    struct layer_rig rig = {.shape = *shape, .ops = linear_rig_ops()};
    const uint32_t q_dim = q_dim_of(shape);
    const uint32_t kv_dim = shape->kv_head_count * HEAD_DIM;
    rig.ops.arrivals = device_rig_zeros(sizeof *rig.ops.arrivals);
    rig.wo = linear_rig_map(shape->dim, q_dim);
    rig.w1 = linear_rig_map(shape->hidden_dim, shape->dim);
    rig.w3 = linear_rig_map(shape->hidden_dim, shape->dim);
    rig.w2 = linear_rig_map(shape->dim, shape->hidden_dim);
    rig.wq = linear_rig_map(q_dim, shape->dim);
    rig.wk = linear_rig_map(kv_dim, shape->dim);
    rig.wv = linear_rig_map(kv_dim, shape->dim);
    rig.x = device_rig_numbers((size_t)shape->dim, 3.0f);
    rig.attended = device_rig_numbers((size_t)q_dim, 1.0f);
    rig.attended_plain = device_rig_put(rig.attended, q_dim * sizeof(float));
    rig.attended_split = put_split(rig.attended, q_dim);
    rig.hidden = device_rig_take(shape->hidden_dim * sizeof(float));
    rig.normed = device_rig_take(shape->dim * sizeof(float));
    rig.squares = device_rig_take((size_t)shape->dim / 8u * sizeof(float));
    rig.norm = put_numbers(shape->dim, 0.5f);
    rig.next_norm = put_numbers(shape->dim, 0.5f);
    rig.ada = put_numbers(shape->dim, 0.5f);
    rig.o_bias = put_numbers(shape->dim, 1.0f);
    uint64_t turns[HEAD_DIM / 2u];
    struct es_rope rope;
    es_rope_init(&rope, HEAD_DIM, 1e6, turns);
    rig.turns = device_rig_put(turns, sizeof turns);
    struct es_cuda_stream_state state = {.decoder_position = POSITION};
    device_rig_write(rig.ops.state, &state, sizeof state);
    rig.device = (struct layer_results){.x = device_rig_take(shape->dim * sizeof(float)),
                                        .q = device_rig_take(q_dim * sizeof(float)),
                                        .keys = device_rig_take(ring_bytes_of(shape)),
                                        .values = device_rig_take(ring_bytes_of(shape))};
    return rig;
}

static void close_layer(struct layer_rig *rig) {
    struct linear_rig_map *maps[] = {&rig->wo, &rig->w1, &rig->w3, &rig->w2,
                                     &rig->wq, &rig->wk, &rig->wv};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        free(maps[i]->values);
    }
    free(rig->x);
    free(rig->attended);
    linear_rig_close(&rig->ops);
}

static struct es_cuda_qkv next_of(const struct layer_rig *rig) {
    const struct layer_case *shape = &rig->shape;
    return (struct es_cuda_qkv){.x = rig->device.x,
                                .norm = rig->next_norm,
                                .norm_eps = 1e-5f,
                                .row_count = 1,
                                .wq = &rig->wq.matrix,
                                .wk = &rig->wk.matrix,
                                .wv = &rig->wv.matrix,
                                .turns = rig->turns,
                                .position = &rig->ops.state->decoder_position,
                                .head_count = shape->head_count,
                                .kv_head_count = shape->kv_head_count,
                                .head_dim = HEAD_DIM,
                                .q = rig->device.q,
                                .keys = rig->device.keys,
                                .values = rig->device.values,
                                .head_stride = HEAD_STRIDE,
                                .slot_count = SLOT_COUNT};
}

static struct es_cuda_layer one_of(const struct layer_rig *rig, const struct es_cuda_qkv *next) {
    const struct layer_case *shape = &rig->shape;
    return (struct es_cuda_layer){.attended = rig->attended_split,
                                  .x = rig->device.x,
                                  .wo = &rig->wo.matrix,
                                  .wo_bias = shape->has_biases ? rig->o_bias : NULL,
                                  .norm = rig->norm,
                                  .ada = shape->has_ada ? rig->ada : NULL,
                                  .norm_eps = 1e-5f,
                                  .w1 = &rig->w1.matrix,
                                  .w3 = &rig->w3.matrix,
                                  .w2 = &rig->w2.matrix,
                                  .w2_bias = shape->has_biases ? rig->o_bias : NULL,
                                  .next = shape->has_next ? next : NULL,
                                  .hidden = (uint16_t *)(void *)rig->hidden,
                                  .normed = rig->normed,
                                  .squares = rig->squares};
}

static enum es_status run_one(const struct layer_rig *rig, struct es_error *error) {
    const struct es_cuda_qkv next = next_of(rig);
    const struct es_cuda_layer op = one_of(rig, &next);
    return es_cuda_layer(&rig->ops, &op, error);
}

static enum es_status run_apart(const struct layer_rig *rig, struct es_error *error) {
    const struct layer_case *shape = &rig->shape;
    const struct es_cuda_qkv next = next_of(rig);
    const float *bias = shape->has_biases ? rig->o_bias : NULL;
    const struct es_cuda_project output = {.x = rig->attended_plain,
                                           .x_row_floats = q_dim_of(shape),
                                           .row_count = 1,
                                           .w = &rig->wo.matrix,
                                           .bias = bias,
                                           .is_added = true,
                                           .y = rig->device.x};
    const struct es_cuda_gate gate = {.x = rig->device.x,
                                      .norm = rig->norm,
                                      .ada = shape->has_ada ? rig->ada : NULL,
                                      .norm_eps = 1e-5f,
                                      .row_count = 1,
                                      .w1 = &rig->w1.matrix,
                                      .w3 = &rig->w3.matrix,
                                      .out = rig->hidden};
    const struct es_cuda_project down = {.x = rig->hidden,
                                         .x_row_floats = shape->hidden_dim,
                                         .row_count = 1,
                                         .w = &rig->w2.matrix,
                                         .bias = bias,
                                         .is_added = true,
                                         .y = rig->device.x};
    enum es_status status = es_cuda_project(&rig->ops, &output, error);
    if (status == ES_OK) {
        status = es_cuda_gate(&rig->ops, &gate, error);
    }
    if (status == ES_OK) {
        status = es_cuda_project(&rig->ops, &down, error);
    }
    return status == ES_OK && shape->has_next ? es_cuda_qkv(&rig->ops, &next, error) : status;
}

/* Runs it, as one kernel or as four, from the same start; the caller frees what comes out. */
static struct layer_results run(struct layer_rig *rig, bool is_one) {
    const struct layer_case *shape = &rig->shape;
    const size_t x_bytes = shape->dim * sizeof(float);
    const size_t q_bytes = q_dim_of(shape) * sizeof(float);
    const size_t ring_bytes = ring_bytes_of(shape);
    struct es_error error;
    device_rig_write(rig->device.x, rig->x, x_bytes);
    device_rig_ok(es_cuda_fill(rig->ops.cuda, rig->device.q, 0, q_bytes, &error), &error);
    device_rig_ok(es_cuda_fill(rig->ops.cuda, rig->device.keys, 0, ring_bytes, &error), &error);
    device_rig_ok(es_cuda_fill(rig->ops.cuda, rig->device.values, 0, ring_bytes, &error), &error);
    device_rig_ok(is_one ? run_one(rig, &error) : run_apart(rig, &error), &error);
    struct layer_results host = {.x = malloc(x_bytes),
                                 .q = malloc(q_bytes),
                                 .keys = malloc(ring_bytes),
                                 .values = malloc(ring_bytes)};
    device_rig_get(host.x, rig->device.x, x_bytes);
    device_rig_get(host.q, rig->device.q, q_bytes);
    device_rig_get(host.keys, rig->device.keys, ring_bytes);
    device_rig_get(host.values, rig->device.values, ring_bytes);
    return host;
}

static void drop(struct layer_results *host) {
    free(host->x);
    free(host->q);
    free(host->keys);
    free(host->values);
}

/* |a - b| / |b| over all numbers. */
static double distance(const float *a, const float *b, size_t count) {
    double off = 0.0;
    double all = 1e-30;
    for (size_t i = 0; i < count; i++) {
        off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    double error = sqrt(off / all);
    return isfinite(error) ? error : INFINITY;
}

static double half_distance(const uint16_t *a, const uint16_t *b, size_t count) {
    double worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        double value = device_rig_f16_value(b[i]);
        worst = fmax(worst, fabs(device_rig_f16_value(a[i]) - value) / fmax(fabs(value), 0.05));
    }
    return worst;
}

static bool is_same(const struct layer_rig *rig, const struct layer_results *a,
                    const struct layer_results *b) {
    const struct layer_case *shape = &rig->shape;
    const size_t x_bytes = shape->dim * sizeof(float);
    const size_t q_bytes = q_dim_of(shape) * sizeof(float);
    return memcmp(a->x, b->x, x_bytes) == 0 && memcmp(a->q, b->q, q_bytes) == 0 &&
           memcmp(a->keys, b->keys, ring_bytes_of(shape)) == 0 &&
           memcmp(a->values, b->values, ring_bytes_of(shape)) == 0;
}

/* Widths of one chunk, of a piece of weights, of whole ones, of more; of 10, as many as there are
 * warps, and of 18. */
static const struct layer_case cases[] = {
    {32, 64, 6, 1, true, false, true},     {64, 32, 4, 4, false, true, true},
    {512, 544, 6, 2, true, false, true},   {640, 1088, 4, 2, true, true, true},
    {288, 1024, 40, 8, true, false, true}, {96, 224, 4, 2, false, true, false},
    {160, 5120, 4, 2, false, true, true},  {640, 9216, 2, 2, true, false, true},
};
#define CASE_COUNT (sizeof cases / sizeof cases[0])

ES_TEST("one kernel computes what four do") {
    double worst = 0.0;
    double worst_half = 0.0;
    for (size_t i = 0; i < CASE_COUNT; i++) {
        struct layer_rig rig = open_layer(&cases[i]);
        const size_t halves = ring_bytes_of(&cases[i]) / sizeof(uint16_t);
        struct layer_results one = run(&rig, true);
        struct layer_results four = run(&rig, false);
        worst = fmax(worst, distance(one.x, four.x, cases[i].dim));
        worst = fmax(worst, distance(one.q, four.q, q_dim_of(&cases[i])));
        worst_half = fmax(worst_half, half_distance(one.keys, four.keys, halves));
        worst_half = fmax(worst_half, half_distance(one.values, four.values, halves));
        drop(&one);
        drop(&four);
        close_layer(&rig);
    }
    es_test_note("relative distance %.1e, of keys and values %.1e", worst, worst_half);
    ES_EXPECT(worst < 3e-5);
    ES_EXPECT(worst_half < 2e-3); /* steps of f16 */
}

ES_TEST("a layer has the same bits each time and for any number of blocks") {
    for (size_t i = 0; i < CASE_COUNT; i++) {
        struct layer_rig rig = open_layer(&cases[i]);
        const uint32_t sm_count = rig.ops.cuda->sm_count;
        struct layer_results first = run(&rig, true);
        for (uint32_t count = sm_count; count > 0; count /= 2u) {
            rig.ops.cuda->sm_count = count;
            /* The meeting place counts whole rounds of as many blocks as there are. */
            device_rig_ok(es_cuda_fill(rig.ops.cuda, rig.ops.arrivals, 0, sizeof(uint64_t),
                                       &(struct es_error){""}),
                          &(struct es_error){""});
            struct layer_results again = run(&rig, true);
            ES_EXPECT(is_same(&rig, &first, &again));
            drop(&again);
        }
        rig.ops.cuda->sm_count = sm_count;
        drop(&first);
        close_layer(&rig);
    }
}

/* With 512 and 2048 columns all units end at the same warp's pieces, which is when the others could
 * be ahead by a whole matrix. */
ES_TEST("a warp that is slow changes no bit") {
    const struct layer_case shapes[] = {{512, 2048, 128, 4, true, false, true},
                                        {640, 1088, 4, 2, true, true, true}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct layer_rig rig = open_layer(&shapes[i]);
        struct layer_results first = run(&rig, true);
        for (uint32_t warp = 0; warp < 14u; warp++) {
            gpu_delay(warp);
            struct layer_results again = run(&rig, true);
            ES_EXPECT(is_same(&rig, &first, &again));
            drop(&again);
        }
        gpu_delay(UINT32_MAX);
        drop(&first);
        close_layer(&rig);
    }
}

ES_TEST("widths that are no multiple of 32, or leave no room, go apart") {
    struct layer_case shape = {640, 1088, 4, 2, false, false, false};
    struct layer_rig rig = open_layer(&shape);
    struct es_cuda_layer op = one_of(&rig, NULL);
    ES_EXPECT(es_cuda_layer_fits(&rig.ops, &op));
    struct es_matrix wide = rig.w2.matrix;
    op.w2 = &wide;
    wide.in_dim = 1090;
    ES_EXPECT(!es_cuda_layer_fits(&rig.ops, &op));
    wide.in_dim = 10272;
    ES_EXPECT(!es_cuda_layer_fits(&rig.ops, &op));
    wide.in_dim = 9216;
    const uint32_t room = rig.ops.cuda->shared_block_bytes_max;
    rig.ops.cuda->shared_block_bytes_max = 227u << 10;
    ES_EXPECT(es_cuda_layer_fits(&rig.ops, &op));
    rig.ops.cuda->shared_block_bytes_max = 163u << 10;
    ES_EXPECT(!es_cuda_layer_fits(&rig.ops, &op));
    rig.ops.cuda->shared_block_bytes_max = room;
    close_layer(&rig);
}
