#include "engine/cuda/many.h"
#include "engine/rope.h"
#include "tests/engine_cuda/many_rig.h"

/* Two BF16 parts lose 2^-17 of a number, sums in f32 about as much. */
#define TOLERANCE 2e-5

static const uint32_t row_counts[] = {17, 39, 63, 255, 256};
#define ROW_KINDS (gpu_is_simulated() ? 3u : 5u)

/* A matrix on the device, and what it holds. */
struct map {
    struct es_matrix matrix;
    double *values; /* host [out_dim, in_dim] */
};

/* Up to three maps of the same rows, one right behind the other in memory or not. */
static void make_maps(const struct es_cuda_ops *ops, struct map *maps, const uint32_t *out_dims,
                      uint32_t count, uint32_t in_dim, uint32_t row_count, bool is_joined) {
    const struct es_matrix *matrices[3];
    uint32_t stride = (in_dim + 31u) / 32u * 32u;
    uint32_t gap = is_joined ? 0 : 1; /* rows between two */
    size_t row_total = 0;
    for (uint32_t i = 0; i < count; i++) {
        row_total += out_dims[i] + gap;
    }
    uint16_t *rows = calloc(row_total * stride, sizeof *rows);
    const uint16_t *device = device_rig_take(row_total * stride * sizeof *rows);
    size_t first = 0;
    for (uint32_t m = 0; m < count; m++) {
        maps[m].values = malloc((size_t)out_dims[m] * in_dim * sizeof(double));
        for (size_t o = 0; o < out_dims[m]; o++) {
            for (uint32_t i = 0; i < in_dim; i++) {
                rows[(first + o) * stride + i] = device_rig_bf16(&maps[m].values[o * in_dim + i]);
            }
        }
        maps[m].matrix =
            (struct es_matrix){device + first * stride, out_dims[m], in_dim, ES_DTYPE_BF16, stride};
        matrices[m] = &maps[m].matrix;
        first += out_dims[m] + gap;
    }
    device_rig_write((void *)(uintptr_t)device, rows, row_total * stride * sizeof *rows);
    free(rows);
    many_rig_prepare(ops, matrices, count, row_count);
}

static double dot(const struct map *map, uint32_t out, const double *x) {
    const double *row = map->values + (size_t)out * map->matrix.in_dim;
    double sum = 0.0;
    for (uint32_t i = 0; i < map->matrix.in_dim; i++) {
        sum += row[i] * x[i];
    }
    return sum;
}

/* One row through the norm; weight, ada or both may be missing. */
static void normed(const float *x, const float *weight, const float *ada, double eps, uint32_t dim,
                   double *out) {
    double sum = 0.0;
    for (uint32_t i = 0; i < dim; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    double scale = weight != NULL ? 1.0 / sqrt(sum / dim + eps) : 1.0;
    for (uint32_t i = 0; i < dim; i++) {
        out[i] = (double)x[i] * scale * (weight != NULL ? (double)weight[i] : 1.0) *
                 (ada != NULL ? 1.0 + (double)ada[i] : 1.0);
    }
}

static uint32_t flags_of(const struct es_cuda_ops *ops) {
    struct es_cuda_stream_state state;
    device_rig_get(&state, ops->state, sizeof state);
    return state.flags;
}

/* -- gate -------------------------------------------------------------------------------------- */

static double check_gate(uint32_t row_count, uint32_t dim, uint32_t hidden_dim, bool has_ada) {
    struct es_error error;
    struct es_cuda_ops ops = many_rig_open(row_count, (dim + 31u) / 32u * 32u,
                                           many_rig_floats(hidden_dim, hidden_dim, 0));
    struct map maps[2];
    make_maps(&ops, maps, (const uint32_t[]){hidden_dim, hidden_dim}, 2, dim, row_count, has_ada);
    float *x = device_rig_numbers((size_t)row_count * dim, 30.0f);
    float *norm = device_rig_numbers(dim, 0.2f);
    float *ada = device_rig_numbers(dim, 1.0f);
    float *out = malloc((size_t)row_count * hidden_dim * sizeof *out);
    struct es_cuda_gate op = {.x = device_rig_put(x, (size_t)row_count * dim * sizeof *x),
                              .norm = device_rig_put(norm, dim * sizeof *norm),
                              .ada = has_ada ? device_rig_put(ada, dim * sizeof *ada) : NULL,
                              .norm_eps = 1e-5f,
                              .row_count = row_count,
                              .w1 = &maps[0].matrix,
                              .w3 = &maps[1].matrix,
                              .out = device_rig_take((size_t)row_count * hidden_dim * sizeof *out)};
    device_rig_ok(es_cuda_gate_many(&ops, &op, &error), &error);
    device_rig_get(out, op.out, (size_t)row_count * hidden_dim * sizeof *out);
    double worst = 0.0;
    double *h = malloc(dim * sizeof *h);
    double *expected = malloc(hidden_dim * sizeof *expected);
    for (uint32_t row = 0; row < row_count; row++) {
        normed(x + (size_t)row * dim, norm, has_ada ? ada : NULL, 1e-5, dim, h);
        for (uint32_t i = 0; i < hidden_dim; i++) {
            double gate = dot(&maps[0], i, h);
            expected[i] = gate / (1.0 + exp(-gate)) * dot(&maps[1], i, h);
        }
        worst = fmax(worst, device_rig_error(out + (size_t)row * hidden_dim, expected, hidden_dim));
    }
    free(h);
    free(expected);
    free(x);
    free(norm);
    free(ada);
    free(out);
    free(maps[0].values);
    free(maps[1].values);
    many_rig_close(&ops);
    return worst;
}

ES_TEST("gate and up of many rows are what double precision gives") {
    double worst = 0.0;
    device_rig_open();
    for (uint32_t r = 0; r < ROW_KINDS; r++) {
        worst = fmax(worst, check_gate(row_counts[r], 96, 130, r % 2 == 0));
        worst = fmax(worst, check_gate(row_counts[r], 50, 33, r % 2 == 1));
        worst = fmax(worst, check_gate(row_counts[r], 256, 512, true));
    }
    es_test_note("off by %.3g at most, %.3g allowed", worst, TOLERANCE);
    ES_EXPECT(worst <= TOLERANCE);
}

/* -- project ----------------------------------------------------------------------------------- */

struct project_case {
    uint32_t row_count, in_dim, out_dim, x_row_floats;
    bool has_bias, is_added, has_gelu;
    uint32_t y_slot_count;
};

static double check_project(const struct project_case *wanted) {
    const uint64_t written = (1ull << 40) + 7u;
    struct es_error error;
    uint32_t rows = wanted->row_count;
    uint32_t out_dim = wanted->out_dim;
    uint32_t y_rows = wanted->y_slot_count > 0 ? wanted->y_slot_count : rows;
    size_t x_floats = (size_t)(rows - 1u) * wanted->x_row_floats + wanted->in_dim;
    struct es_cuda_ops ops =
        many_rig_open(rows, (wanted->in_dim + 31u) / 32u * 32u, es_cuda_gemm_stride(out_dim));
    device_rig_write(&ops.state->embeddings_written, &written, sizeof written);
    struct map w;
    make_maps(&ops, &w, &out_dim, 1, wanted->in_dim, rows, false);
    float *x = device_rig_numbers(x_floats, 2.0f);
    float *bias = device_rig_numbers(out_dim, 3.0f);
    float *before = device_rig_numbers((size_t)y_rows * out_dim, 5.0f);
    float *y = malloc((size_t)y_rows * out_dim * sizeof *y);
    struct es_cuda_project op = {
        .x = device_rig_put(x, x_floats * sizeof *x),
        .x_row_floats = wanted->x_row_floats,
        .row_count = rows,
        .w = &w.matrix,
        .bias = wanted->has_bias ? device_rig_put(bias, out_dim * sizeof *bias) : NULL,
        .is_added = wanted->is_added,
        .has_gelu = wanted->has_gelu,
        .y = device_rig_put(before, (size_t)y_rows * out_dim * sizeof *y),
        .y_slot_count = wanted->y_slot_count};
    device_rig_ok(es_cuda_project_many(&ops, &op, &error), &error);
    device_rig_get(y, op.y, (size_t)y_rows * out_dim * sizeof *y);
    double worst = 0.0;
    double *in = malloc(wanted->in_dim * sizeof *in);
    double *expected = malloc(out_dim * sizeof *expected);
    for (uint32_t row = 0; row < rows; row++) {
        size_t slot = wanted->y_slot_count > 0 ? (written + row) % wanted->y_slot_count : row;
        normed(x + (size_t)row * wanted->x_row_floats, NULL, NULL, 0.0, wanted->in_dim, in);
        for (uint32_t i = 0; i < out_dim; i++) {
            double value = dot(&w, i, in) + (wanted->has_bias ? (double)bias[i] : 0.0);
            value = wanted->has_gelu ? 0.5 * value * (1.0 + erf(value * sqrt(0.5))) : value;
            expected[i] = value + (wanted->is_added ? (double)before[slot * out_dim + i] : 0.0);
        }
        worst = fmax(worst, device_rig_error(y + slot * out_dim, expected, out_dim));
    }
    for (size_t slot = 0; slot < y_rows; slot++) {
        bool is_written = wanted->y_slot_count == 0 ||
                          (slot + y_rows - written % y_rows) % y_rows < wanted->row_count;
        ES_EXPECT(is_written ||
                  memcmp(y + slot * out_dim, before + slot * out_dim, out_dim * sizeof *y) == 0);
    }
    ES_EXPECT_EQ(flags_of(&ops), 0);
    free(in);
    free(expected);
    free(x);
    free(bias);
    free(before);
    free(y);
    free(w.values);
    many_rig_close(&ops);
    return worst;
}

ES_TEST("maps of many rows are what double precision gives") {
    double worst = 0.0;
    device_rig_open();
    for (uint32_t r = 0; r < ROW_KINDS; r++) {
        const uint32_t n = row_counts[r];
        const struct project_case cases[] = {
            {n, 96, 130, 96, true, false, false, 0}, {n, 50, 33, 50, false, true, false, 0},
            {n, 300, 64, 200, true, false, true, 0}, /* windows of a convolution */
            {n, 384, 80, 128, true, true, false, 0}, {n, 64, 96, 64, false, false, false, n + 9u},
            {n, 64, 47, 64, true, false, true, n},
        };
        for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            worst = fmax(worst, check_project(&cases[i]));
        }
    }
    es_test_note("off by %.3g at most, %.3g allowed", worst, TOLERANCE);
    ES_EXPECT(worst <= TOLERANCE);
}

ES_TEST("an embedding that is not finite is told") {
    struct es_error error;
    device_rig_open();
    struct es_cuda_ops ops = many_rig_open(32, 64, es_cuda_gemm_stride(64));
    struct map w;
    make_maps(&ops, &w, (const uint32_t[]){64}, 1, 64, 32, false);
    float *x = device_rig_numbers(32u * 64u, 2.0f);
    x[31u * 64u + 5u] = NAN;
    struct es_cuda_project op = {.x = device_rig_put(x, 32u * 64u * sizeof *x),
                                 .x_row_floats = 64,
                                 .row_count = 32,
                                 .w = &w.matrix,
                                 .y = device_rig_take(40u * 64u * sizeof *x),
                                 .y_slot_count = 40};
    device_rig_ok(es_cuda_project_many(&ops, &op, &error), &error);
    ES_EXPECT_EQ(flags_of(&ops), ES_CUDA_FLAG_EMBEDDING_NOT_FINITE);
    free(x);
    free(w.values);
    many_rig_close(&ops);
}

/* -- qkv --------------------------------------------------------------------------------------- */

struct qkv_case {
    uint32_t row_count, dim, head_count, kv_head_count, head_dim, slot_count;
    uint64_t position;
    bool has_bias;
};

struct qkv_bench {
    struct qkv_case size;
    struct es_cuda_ops ops;
    struct map maps[3];
    float *x, *norm, *q_bias, *v_bias, *q;
    uint16_t *keys, *values;
    struct es_rope rope;
    uint64_t turns[64];
};

static void rotate(const struct qkv_bench *bench, double *row, uint32_t count, uint64_t position) {
    for (uint32_t i = 0; i < count; i += 2) {
        double phase = es_rope_phase(&bench->rope, i % bench->size.head_dim / 2u, position);
        double first = row[i];
        row[i] = first * cos(phase) - row[i + 1] * sin(phase);
        row[i + 1] = first * sin(phase) + row[i + 1] * cos(phase);
    }
}

static void run_qkv(struct qkv_bench *bench, uint32_t head_stride) {
    const struct qkv_case *size = &bench->size;
    struct es_error error;
    size_t x_bytes = (size_t)size->row_count * size->dim * sizeof(float);
    size_t q_dim = (size_t)size->head_count * size->head_dim;
    size_t q_bytes = size->row_count * q_dim * sizeof(float);
    size_t ring_bytes = (size_t)size->kv_head_count * size->slot_count * head_stride * 2u;
    struct es_cuda_qkv op = {
        .x = device_rig_put(bench->x, x_bytes),
        .norm = device_rig_put(bench->norm, size->dim * sizeof(float)),
        .norm_eps = 1e-5f,
        .row_count = size->row_count,
        .wq = &bench->maps[0].matrix,
        .wk = &bench->maps[1].matrix,
        .wv = &bench->maps[2].matrix,
        .turns = device_rig_put(bench->turns, sizeof bench->turns),
        .position = device_rig_put(&size->position, sizeof size->position),
        .head_count = size->head_count,
        .kv_head_count = size->kv_head_count,
        .head_dim = size->head_dim,
        .q = device_rig_take(q_bytes),
        .keys = device_rig_zeros(ring_bytes),
        .values = device_rig_zeros(ring_bytes),
        .head_stride = head_stride,
        .slot_count = size->slot_count,
    };
    if (size->has_bias) {
        op.wq_bias = device_rig_put(bench->q_bias, q_dim * sizeof(float));
        op.wv_bias = device_rig_put(bench->v_bias,
                                    (size_t)size->kv_head_count * size->head_dim * sizeof(float));
    }
    device_rig_ok(es_cuda_qkv_many(&bench->ops, &op, &error), &error);
    bench->q = malloc(q_bytes);
    bench->keys = malloc(ring_bytes);
    bench->values = malloc(ring_bytes);
    device_rig_get(bench->q, op.q, q_bytes);
    device_rig_get(bench->keys, op.keys, ring_bytes);
    device_rig_get(bench->values, op.values, ring_bytes);
}

/* Of one row's keys or values in the ring; f16 rounds by 2^-12 on average. */
static double ring_error(const struct qkv_case *size, uint32_t head_stride, const uint16_t *ring,
                         uint64_t position, const double *expected) {
    double worst = 0.0;
    for (uint32_t head = 0; head < size->kv_head_count; head++) {
        float found[128];
        const uint16_t *row =
            ring + ((size_t)head * size->slot_count + position % size->slot_count) * head_stride;
        for (uint32_t d = 0; d < size->head_dim; d++) {
            found[d] = (float)device_rig_f16_value(row[d]);
        }
        for (uint32_t d = size->head_dim; d < head_stride; d++) {
            ES_EXPECT_EQ(row[d], 0);
        }
        worst =
            fmax(worst, device_rig_error(found, expected + head * size->head_dim, size->head_dim));
    }
    return worst;
}

static void check_qkv(const struct qkv_case *size, double *q_worst, double *ring_worst) {
    uint32_t q_dim = size->head_count * size->head_dim;
    uint32_t kv_dim = size->kv_head_count * size->head_dim;
    uint32_t head_stride = size->head_dim <= 32 ? 32 : size->head_dim <= 64 ? 64 : 128;
    struct qkv_bench bench = {.size = *size};
    bench.ops = many_rig_open(size->row_count, (size->dim + 31u) / 32u * 32u,
                              many_rig_floats(q_dim, kv_dim, kv_dim));
    make_maps(&bench.ops, bench.maps, (const uint32_t[]){q_dim, kv_dim, kv_dim}, 3, size->dim,
              size->row_count, size->has_bias);
    bench.x = device_rig_numbers((size_t)size->row_count * size->dim, 7.0f);
    bench.norm = device_rig_numbers(size->dim, 1.0f);
    bench.q_bias = device_rig_numbers(q_dim, 1.0f);
    bench.v_bias = device_rig_numbers(kv_dim, 1.0f);
    es_rope_init(&bench.rope, size->head_dim, 1e6, bench.turns);
    run_qkv(&bench, head_stride);
    double *h = malloc(size->dim * sizeof *h);
    double *q = malloc(q_dim * sizeof *q);
    double *k = malloc(kv_dim * sizeof *k);
    double *v = malloc(kv_dim * sizeof *v);
    for (uint32_t row = 0; row < size->row_count; row++) {
        uint64_t position = size->position + row;
        normed(bench.x + (size_t)row * size->dim, bench.norm, NULL, 1e-5, size->dim, h);
        for (uint32_t i = 0; i < q_dim; i++) {
            q[i] = dot(&bench.maps[0], i, h) + (size->has_bias ? (double)bench.q_bias[i] : 0.0);
        }
        for (uint32_t i = 0; i < kv_dim; i++) {
            k[i] = dot(&bench.maps[1], i, h);
            v[i] = dot(&bench.maps[2], i, h) + (size->has_bias ? (double)bench.v_bias[i] : 0.0);
        }
        rotate(&bench, q, q_dim, position);
        rotate(&bench, k, kv_dim, position);
        *q_worst = fmax(*q_worst, device_rig_error(bench.q + (size_t)row * q_dim, q, q_dim));
        *ring_worst = fmax(*ring_worst, ring_error(size, head_stride, bench.keys, position, k));
        *ring_worst = fmax(*ring_worst, ring_error(size, head_stride, bench.values, position, v));
    }
    ES_EXPECT_EQ(flags_of(&bench.ops), 0);
    free(h);
    free(q);
    free(k);
    free(v);
    free(bench.x);
    free(bench.norm);
    free(bench.q_bias);
    free(bench.v_bias);
    free(bench.q);
    free(bench.keys);
    free(bench.values);
    free(bench.maps[0].values);
    free(bench.maps[1].values);
    free(bench.maps[2].values);
    many_rig_close(&bench.ops);
}

ES_TEST("queries, keys and values of many rows are what double precision gives") {
    static const uint32_t head_dims[] = {16, 20, 24, 32, 64, 128};
    double q_worst = 0.0;
    double ring_worst = 0.0;
    device_rig_open();
    for (uint32_t r = 0; r < ROW_KINDS; r++) {
        for (uint32_t d = 0; d < 6; d++) {
            const struct qkv_case size = {.row_count = row_counts[r],
                                          .dim = d % 2 == 0 ? 96 : 50,
                                          .head_count = 2 * (1 + d % 4),
                                          .kv_head_count = 2,
                                          .head_dim = head_dims[d],
                                          .slot_count = row_counts[r] + d * 3u,
                                          .position = d % 3 == 0   ? 0
                                                      : d % 3 == 1 ? 4711
                                                                   : (1ull << 40) + 17u,
                                          .has_bias = d % 2 == 1};
            check_qkv(&size, &q_worst, &ring_worst);
        }
    }
    es_test_note("queries off by %.3g at most, %.3g allowed; the rings by %.3g, 5e-4 allowed",
                 q_worst, TOLERANCE, ring_worst);
    ES_EXPECT(q_worst <= TOLERANCE);
    ES_EXPECT(ring_worst <= 5e-4);
}
