#include "engine/cuda/ops.h"
#include "tests/engine_cuda/device_rig.h"

/* Attention of one shape, on the device and on the host. */
struct bench {
    struct es_cuda_ops ops;
    struct es_cuda_attention op;
    uint64_t position, oldest;
    float *q;       /* host [row_count, head_count, head_dim] */
    uint16_t *keys; /* host f16, poisoned where no row may look */
    uint16_t *values;
    float *out; /* host, of the last run */
    uint32_t ticket_count;
};

static uint32_t stride_of(uint32_t head_dim) {
    return head_dim <= 32 ? 32 : head_dim <= 64 ? 64 : 128;
}

static size_t out_floats(const struct bench *bench) {
    return (size_t)bench->op.row_count * bench->op.head_count * bench->op.head_dim;
}

static uint64_t first_seen(const struct bench *bench, uint32_t row) {
    uint64_t position = bench->position + row;
    uint64_t first = position + 1u > bench->op.window ? position + 1u - bench->op.window : 0;
    return first > bench->oldest ? first : bench->oldest;
}

/* The bits of a key are a function of head and position: runs of other rows see the same. */
static void fill_rings(struct bench *bench) {
    const struct es_cuda_attention *op = &bench->op;
    size_t count = (size_t)op->kv_head_count * op->slot_count * op->head_stride;
    bench->keys = malloc(count * sizeof(uint16_t));
    bench->values = malloc(count * sizeof(uint16_t));
    memset(bench->keys, 0xff, count * sizeof(uint16_t));
    memset(bench->values, 0xff, count * sizeof(uint16_t));
    for (uint32_t head = 0; head < op->kv_head_count; head++) {
        for (uint64_t p = first_seen(bench, 0); p < bench->position + op->row_count; p++) {
            size_t at = ((size_t)head * op->slot_count + p % op->slot_count) * op->head_stride;
            device_rig.state = p * 977u + head * 31u + 5u;
            for (uint32_t d = 0; d < op->head_stride; d++) {
                bench->keys[at + d] = d < op->head_dim ? device_rig_f16() : 0;
                bench->values[at + d] = d < op->head_dim ? device_rig_f16() : 0;
            }
        }
    }
}

static struct bench make_bench(const struct es_cuda_attention *shape, uint64_t position,
                               uint64_t oldest, float q_scale) {
    struct bench bench = {.op = *shape, .position = position, .oldest = oldest};
    struct es_cuda_attention *op = &bench.op;
    op->head_stride = stride_of(op->head_dim);
    bench.ops.cuda = device_rig_open();
    fill_rings(&bench);
    bench.q = malloc(out_floats(&bench) * sizeof(float));
    for (uint32_t row = 0; row < op->row_count; row++) {
        device_rig.state = position + row + 3u;
        for (uint32_t i = 0; i < op->head_count * op->head_dim; i++) {
            bench.q[(size_t)row * op->head_count * op->head_dim + i] =
                q_scale * device_rig_number();
        }
    }
    size_t ring_bytes =
        (size_t)op->kv_head_count * op->slot_count * op->head_stride * sizeof(uint16_t);
    const struct es_stack stack = {.head_count = op->head_count,
                                   .kv_head_count = op->kv_head_count,
                                   .head_dim = op->head_dim,
                                   .window = op->window};
    size_t scratch_bytes = es_cuda_attention_scratch_bytes(&stack, op->row_count);
    bench.ticket_count = es_cuda_attention_ticket_count(&stack, op->row_count);
    bench.ops.partials = device_rig_take(scratch_bytes + 4u);
    bench.ops.tickets = device_rig_zeros((bench.ticket_count + 1u) * sizeof(uint32_t));
    op->q = device_rig_put(bench.q, out_floats(&bench) * sizeof(float));
    op->keys = device_rig_put(bench.keys, ring_bytes);
    op->values = device_rig_put(bench.values, ring_bytes);
    op->position = device_rig_put(&bench.position, sizeof bench.position);
    op->oldest = device_rig_put(&bench.oldest, sizeof bench.oldest);
    op->out = device_rig_take(out_floats(&bench) * sizeof(float));
    bench.out = malloc(out_floats(&bench) * sizeof(float));
    return bench;
}

static void drop_bench(struct bench *bench) {
    free(bench->q);
    free(bench->keys);
    free(bench->values);
    free(bench->out);
    device_rig_drop();
}

static void run_bench(struct bench *bench) {
    struct es_error error;
    size_t bytes = out_floats(bench) * sizeof(float);
    device_rig_ok(es_cuda_fill(bench->ops.cuda, bench->op.out, 0xff, bytes, &error), &error);
    device_rig_ok(es_cuda_attention(&bench->ops, &bench->op, &error), &error);
    device_rig_get(bench->out, bench->op.out, bytes);
}

/* One head of one row in double precision, from the same f16 keys and values. Returns its spread,
 * which roundings count against (against `out`, what cancels would be off by any factor):
 * the root of the squares of weight * value, each times 1 + the squares of its score's terms. */
static double reference(const struct bench *bench, uint32_t row, uint32_t head, double *out) {
    const struct es_cuda_attention *op = &bench->op;
    const float *q = bench->q + ((size_t)row * op->head_count + head) * op->head_dim;
    const uint32_t kv_head = head / (op->head_count / op->kv_head_count);
    const size_t ring = (size_t)kv_head * op->slot_count;
    uint64_t first = first_seen(bench, row);
    uint32_t count = (uint32_t)(bench->position + row - first) + 1u;
    double *weights = malloc(count * sizeof *weights);
    double *roundings = malloc(count * sizeof *roundings); /* squares */
    double largest = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t *key = bench->keys + (ring + (first + i) % op->slot_count) * op->head_stride;
        weights[i] = 0.0;
        roundings[i] = 1.0;
        for (uint32_t d = 0; d < op->head_dim; d++) {
            double term = (double)q[d] * device_rig_f16_value(key[d]);
            weights[i] += term;
            roundings[i] += term * term / op->head_dim;
        }
        weights[i] /= sqrt((double)op->head_dim);
        largest = fmax(largest, weights[i]);
    }
    double sum = 0.0;
    double squares = 0.0;
    memset(out, 0, op->head_dim * sizeof *out);
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t *value =
            bench->values + (ring + (first + i) % op->slot_count) * op->head_stride;
        double weight = exp(weights[i] - largest);
        sum += weight;
        for (uint32_t d = 0; d < op->head_dim; d++) {
            double term = weight * device_rig_f16_value(value[d]);
            out[d] += term;
            squares += term * term * roundings[i];
        }
    }
    for (uint32_t d = 0; d < op->head_dim; d++) {
        out[d] /= sum;
    }
    free(weights);
    free(roundings);
    return sqrt(squares) / sum;
}

/* The worst error of any head of any row; of some rows where there are many. */
static double worst_error(const struct bench *bench) {
    const struct es_cuda_attention *op = &bench->op;
    double worst = 0.0;
    uint32_t step = op->row_count > 16 && op->window > 64 ? op->row_count / 8u : 1u;
    for (uint32_t row = 0; row < op->row_count; row += row + step < op->row_count ? step : 1u) {
        for (uint32_t head = 0; head < op->head_count; head++) {
            const size_t at = ((size_t)row * op->head_count + head) * op->head_dim;
            double out[128];
            double off = 0.0;
            double spread = reference(bench, row, head, out);
            for (uint32_t d = 0; d < op->head_dim; d++) {
                double difference = (double)bench->out[at + d] - out[d];
                off += difference * difference;
            }
            double error = sqrt(off) / spread;
            worst = fmax(worst, isfinite(error) ? error : INFINITY);
        }
    }
    return worst;
}

static bool is_few(const struct es_cuda_attention *op) {
    return op->row_count * (op->head_count / op->kv_head_count) <= 16;
}

/* Few rows lose only what exp2 and f32 sums lose; many rows round queries and weights to f16, by
 * 2^-12 of them on average: four times that. */
static double tolerance(const struct es_cuda_attention *op) {
    return is_few(op) ? 1e-5 : 1e-3;
}

static double check_shape(const struct es_cuda_attention *shape, uint64_t position, uint64_t oldest,
                          float q_scale) {
    struct bench bench = make_bench(shape, position, oldest, q_scale);
    run_bench(&bench);
    double worst = worst_error(&bench);
    if (!(worst <= tolerance(shape))) {
        es_test_note("%u rows, %u of %u heads of %u, window %u, %u slots, position %llu, oldest "
                     "%llu: off by %.3g",
                     shape->row_count, shape->head_count, shape->kv_head_count, shape->head_dim,
                     shape->window, shape->slot_count, (unsigned long long)position,
                     (unsigned long long)oldest, worst);
    }
    uint32_t *tickets = malloc((bench.ticket_count + 1u) * sizeof *tickets);
    device_rig_get(tickets, bench.ops.tickets, (bench.ticket_count + 1u) * sizeof *tickets);
    for (uint32_t i = 0; i <= bench.ticket_count; i++) {
        ES_EXPECT_EQ(tickets[i], 0);
    }
    free(tickets);
    float *first = bench.out;
    bench.out = malloc(out_floats(&bench) * sizeof(float));
    run_bench(&bench);
    ES_EXPECT(memcmp(first, bench.out, out_floats(&bench) * sizeof(float)) == 0);
    free(first);
    drop_bench(&bench);
    return worst / tolerance(shape);
}

static struct es_cuda_attention shape_of(uint32_t row_count, uint32_t kv_head_count, uint32_t group,
                                         uint32_t head_dim, uint32_t window) {
    return (struct es_cuda_attention){.row_count = row_count,
                                      .head_count = kv_head_count * group,
                                      .kv_head_count = kv_head_count,
                                      .head_dim = head_dim,
                                      .window = window,
                                      .slot_count = window - 1u + row_count};
}

/* All places in a stream where something begins, wraps or is far away. */
static void check_places(uint32_t row_count, uint32_t group, uint32_t head_dim, uint32_t window,
                         uint32_t every, uint32_t *case_count, double *worst, uint32_t *failures) {
    const uint64_t far = 1ull << 40;
    const struct {
        uint64_t position, oldest;
        uint32_t more_slots;
    } places[] = {
        {0, 0, 0},                      /* the first rows of a stream */
        {window - 1u, 0, 3},            /* the window just full */
        {window + 2u, 0, 0},            /* the ring has wrapped */
        {3u * window + 1u, 0, 1},       /* and again */
        {window + 70u, window + 3u, 0}, /* a stream that began late */
        {far + 5u, far - 1u, 2},
        {far + 12345u, 0, 5},
    };
    const uint32_t place_count = sizeof places / sizeof places[0];
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t place = (*case_count)++ % place_count;
        if (device_rig_skips(*case_count, every)) {
            continue;
        }
        struct es_cuda_attention shape = shape_of(row_count, 2, group, head_dim, window);
        shape.slot_count += places[place].more_slots;
        double error = check_shape(&shape, places[place].position, places[place].oldest,
                                   place % 2 == 0   ? 4.0f
                                   : is_few(&shape) ? 20.0f
                                                    : 8.0f);
        *worst = fmax(*worst, error);
        *failures += !(error <= 1.0);
    }
}

static void check_sizes(const uint32_t *rows, uint32_t row_kinds, const uint32_t *windows,
                        uint32_t window_kinds, uint32_t every) {
    static const uint32_t head_dims[] = {16, 20, 24, 32, 64, 128};
    uint32_t case_count = 0;
    uint32_t failures = 0;
    double worst = 0.0;
    device_rig_open();
    for (uint32_t r = 0; r < row_kinds; r++) {
        for (uint32_t w = 0; w < window_kinds; w++) {
            for (uint32_t d = 0; d < 6; d++) {
                for (uint32_t group = 1; group <= 4; group++) {
                    if (windows[w] <= 64 || (d + group + r) % 3 == 0) {
                        check_places(rows[r], group, head_dims[d], windows[w], every, &case_count,
                                     &worst, &failures);
                    }
                }
            }
        }
    }
    es_test_note("%u cases, the worst at %.2g of the tolerance, %u above it", case_count, worst,
                 failures);
    ES_EXPECT_EQ(failures, 0);
}

ES_TEST("few rows over narrow windows are what double precision gives") {
    check_sizes((const uint32_t[]){1, 2, 4, 8, 16}, 5, (const uint32_t[]){1, 5, 7, 63, 64}, 5, 11);
}

ES_TEST("few rows over wide windows are what double precision gives") {
    check_sizes((const uint32_t[]){1, 2, 4, 8, 16}, 5, (const uint32_t[]){65, 750}, 2, 11);
}

ES_TEST("many rows over narrow windows are what double precision gives") {
    check_sizes((const uint32_t[]){17, 39, 63, 255, 256}, 5, (const uint32_t[]){1, 5, 7, 63}, 4,
                37);
}

ES_TEST("many rows over wide windows are what double precision gives") {
    check_sizes((const uint32_t[]){17, 39, 63, 255, 256}, 5, (const uint32_t[]){750}, 1, 17);
}

ES_TEST("the widest window is what double precision gives") {
    static const uint64_t positions[] = {0, 63, 750, 2047, 2048, 4100, 8190, 8191, 8192, 20000};
    double worst = 0.0;
    device_rig_open();
    for (uint32_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        for (uint32_t rows = 1; rows <= 4; rows += 3) {
            if (device_rig_skips(i + rows, 5)) {
                continue;
            }
            struct es_cuda_attention shape = shape_of(rows, 2, 4, 128, 8192);
            worst = fmax(worst, check_shape(&shape, positions[i], 0, 4.0f));
        }
    }
    struct es_cuda_attention prompt = shape_of(39, 2, 4, 128, 8192);
    worst = fmax(worst, check_shape(&prompt, 0, 0, 4.0f));
    if (!gpu_is_simulated()) {
        worst = fmax(worst, check_shape(&prompt, 9000, 0, 4.0f));
    }
    es_test_note("the worst at %.2g of the tolerance", worst);
    ES_EXPECT(worst <= 1.0);
}

/* Rows of one run against runs of some of them: the same bits. */
static void expect_rows_alike(uint32_t row_count, uint32_t part_rows, uint32_t group,
                              uint32_t head_dim, uint32_t window, uint64_t position) {
    struct es_cuda_attention shape = shape_of(row_count, 2, group, head_dim, window);
    struct bench all = make_bench(&shape, position, 0, 8.0f);
    run_bench(&all);
    size_t row_floats = (size_t)shape.head_count * head_dim;
    uint32_t unlike = 0;
    for (uint32_t row = 0; row + part_rows <= row_count; row += part_rows) {
        struct es_cuda_attention part = shape_of(part_rows, 2, group, head_dim, window);
        part.slot_count = shape.slot_count + 7u;
        struct bench bench = make_bench(&part, position + row, 0, 8.0f);
        run_bench(&bench);
        unlike += memcmp(bench.out, all.out + row * row_floats,
                         part_rows * row_floats * sizeof(float)) != 0;
        free(bench.q);
        free(bench.keys);
        free(bench.values);
        free(bench.out);
    }
    es_test_note("%u rows by %u, group %u, head of %u, window %u: %u runs differ", row_count,
                 part_rows, group, head_dim, window, unlike);
    drop_bench(&all);
    ES_EXPECT_EQ(unlike, 0);
}

ES_TEST("the bits of a row do not depend on the rows beside it, few") {
    device_rig_open();
    expect_rows_alike(4, 1, 1, 64, 750, 5000);
    expect_rows_alike(16, 4, 1, 64, 750, 741);
    expect_rows_alike(4, 1, 4, 128, 300, 62);
}

ES_TEST("the bits of a row do not depend on the rows beside it, many") {
    device_rig_open();
    expect_rows_alike(gpu_is_simulated() ? 64 : 256, 32, 1, 64, 750, 5003);
    expect_rows_alike(63, 21, 4, 128, 300, 62);
}

/* -- figures ----------------------------------------------------------------------------------- */

#define LAYER_COUNT 8u /* more rings than a cache holds */

struct timing {
    struct es_cuda_ops ops;
    struct es_cuda_attention ops_of_layers[LAYER_COUNT];
};

static void run_layer(void *context, uint32_t index) {
    struct timing *timing = context;
    struct es_error error;
    device_rig_ok(
        es_cuda_attention(&timing->ops, &timing->ops_of_layers[index % LAYER_COUNT], &error),
        &error);
}

static void note_time(const char *what, uint32_t row_count, uint32_t kv_head_count, uint32_t group,
                      uint32_t head_dim, uint32_t window, uint64_t position) {
    struct timing timing = {.ops = {.cuda = device_rig_open()}};
    struct es_cuda_attention shape = shape_of(row_count, kv_head_count, group, head_dim, window);
    const struct es_stack stack = {.head_count = shape.head_count,
                                   .kv_head_count = kv_head_count,
                                   .head_dim = head_dim,
                                   .window = window};
    size_t ring_halves = (size_t)kv_head_count * shape.slot_count * head_dim;
    uint16_t *ring = malloc(ring_halves * sizeof *ring);
    for (size_t i = 0; i < ring_halves; i++) {
        ring[i] = device_rig_f16();
    }
    size_t q_floats = (size_t)row_count * shape.head_count * head_dim;
    float *q = device_rig_numbers(q_floats, 4.0f);
    const uint64_t oldest = 0;
    shape.head_stride = head_dim;
    shape.q = device_rig_put(q, q_floats * sizeof *q);
    shape.out = device_rig_take(q_floats * sizeof *q);
    shape.position = device_rig_put(&position, sizeof position);
    shape.oldest = device_rig_put(&oldest, sizeof oldest);
    timing.ops.partials = device_rig_take(es_cuda_attention_scratch_bytes(&stack, row_count) + 4u);
    timing.ops.tickets =
        device_rig_zeros((es_cuda_attention_ticket_count(&stack, row_count) + 1u) * 4u);
    for (uint32_t i = 0; i < LAYER_COUNT; i++) {
        timing.ops_of_layers[i] = shape;
        timing.ops_of_layers[i].keys = device_rig_put(ring, ring_halves * sizeof *ring);
        timing.ops_of_layers[i].values = device_rig_put(ring, ring_halves * sizeof *ring);
    }
    double us = device_rig_time_us(run_layer, &timing, 400);
    double seen = (double)(position + 1u < window ? position + 1u : window);
    double bytes = seen * kv_head_count * head_dim * 4.0;
    double operations = 4.0 * row_count * shape.head_count * head_dim * seen;
    es_test_note("%s: %.2f us, %.0f GB/s, %.1f TFLOP/s", what, us, bytes / us * 1e-3,
                 operations / us * 1e-6);
    free(ring);
    free(q);
    device_rig_drop();
}

ES_TEST("figures: attention at the 4B model's sizes") {
    gpu_expect_real();
    note_time("decoder step, 750 positions", 1, 8, 4, 128, 8192, 749);
    note_time("decoder step, 2048 positions", 1, 8, 4, 128, 8192, 2047);
    note_time("decoder step, 4096 positions", 1, 8, 4, 128, 8192, 4095);
    note_time("decoder step, full window", 1, 8, 4, 128, 8192, 100000);
    note_time("encoder, 4 rows", 4, 32, 1, 64, 750, 100000);
    note_time("encoder, 8 rows", 8, 32, 1, 64, 750, 100000);
    note_time("encoder, 16 rows", 16, 32, 1, 64, 750, 100000);
    note_time("encoder, 32 rows", 32, 32, 1, 64, 750, 100000);
    note_time("encoder, 256 rows", 256, 32, 1, 64, 750, 100000);
    note_time("prompt, 39 rows", 39, 8, 4, 128, 8192, 0);
    note_time("prompt, 63 rows", 63, 8, 4, 128, 8192, 0);
}
