#include "tests/engine_cpu/kernel_rig.h"

struct shape {
    uint32_t row_count;
    uint32_t head_count;
    uint32_t kv_head_count;
    uint32_t head_dim;
    uint32_t window;
    uint32_t spare_slots; /* beyond window - 1 + row_count */
};

/* A job with its tensors. Keys and values are a function of head and position alone; slots that the
 * job must not read hold NaN. */
struct case_data {
    struct es_attention_job job;
    float *q, *keys, *values, *out;
};

static float key_number(uint32_t kind, uint32_t head, uint64_t position, uint32_t d) {
    struct rng rng = {kind * 77u + head * 1000003u + position * 7919u + d * 31u};
    rig_number(&rng);
    return rig_number(&rng);
}

static uint64_t first_key(const struct es_attention_job *job, uint32_t row) {
    uint64_t position = job->first_position + row;
    uint64_t first = position + 1u >= job->window ? position + 1u - job->window : 0;
    return first > job->oldest_position ? first : job->oldest_position;
}

static struct case_data make_case(const struct shape *shape, uint64_t first_position,
                                  uint64_t oldest_position) {
    struct case_data data;
    uint32_t slots = shape->window - 1u + shape->row_count + shape->spare_slots;
    size_t q_count = (size_t)shape->row_count * shape->head_count * shape->head_dim;
    size_t ring_count = (size_t)shape->kv_head_count * slots * shape->head_dim;
    struct rng rng = {shape->row_count + 100u * shape->head_dim};
    data.q = rig_numbers(q_count, 4.0f, &rng);
    data.out = rig_numbers(q_count, 1.0f, &rng);
    data.keys = malloc(ring_count * sizeof(float));
    data.values = malloc(ring_count * sizeof(float));
    for (size_t i = 0; i < ring_count; i++) {
        data.keys[i] = NAN;
        data.values[i] = NAN;
    }
    data.job = (struct es_attention_job){.q = data.q,
                                         .keys = data.keys,
                                         .values = data.values,
                                         .out = data.out,
                                         .row_count = shape->row_count,
                                         .head_count = shape->head_count,
                                         .kv_head_count = shape->kv_head_count,
                                         .head_dim = shape->head_dim,
                                         .window = shape->window,
                                         .slot_count = slots,
                                         .first_position = first_position,
                                         .oldest_position = oldest_position};
    for (uint64_t p = first_key(&data.job, 0); p < first_position + shape->row_count; p++) {
        for (uint32_t head = 0; head < shape->kv_head_count; head++) {
            for (uint32_t d = 0; d < shape->head_dim; d++) {
                size_t at = ((size_t)head * slots + p % slots) * shape->head_dim + d;
                data.keys[at] = key_number(0, head, p, d);
                data.values[at] = key_number(1, head, p, d);
            }
        }
    }
    return data;
}

static void free_case(struct case_data *data) {
    free(data->q);
    free(data->keys);
    free(data->values);
    free(data->out);
}

static void run_case(struct es_pool *pool, const struct case_data *data) {
    void *scratch =
        malloc(es_attention_scratch_bytes(data->job.window, es_pool_thread_count(pool)));
    es_attention(pool, &data->job, scratch);
    free(scratch);
}

static double row_error(const struct es_attention_job *job, uint32_t row, uint32_t head) {
    uint64_t first = first_key(job, row);
    uint32_t count = (uint32_t)(job->first_position + row + 1u - first);
    uint32_t kv_head = head / (job->head_count / job->kv_head_count);
    size_t at = ((size_t)row * job->head_count + head) * job->head_dim;
    double *weights = malloc(count * sizeof *weights);
    double most = -1e300;
    for (uint32_t j = 0; j < count; j++) {
        double sum = 0.0;
        for (uint32_t d = 0; d < job->head_dim; d++) {
            sum += (double)job->q[at + d] * (double)key_number(0, kv_head, first + j, d);
        }
        weights[j] = sum / sqrt((double)job->head_dim);
        most = weights[j] > most ? weights[j] : most;
    }
    double total = 0.0;
    for (uint32_t j = 0; j < count; j++) {
        weights[j] = exp(weights[j] - most);
        total += weights[j];
    }
    double worst = 0.0;
    for (uint32_t d = 0; d < job->head_dim; d++) {
        double sum = 0.0;
        for (uint32_t j = 0; j < count; j++) {
            sum += weights[j] * (double)key_number(1, kv_head, first + j, d);
        }
        double error = fabs(sum / total - (double)job->out[at + d]);
        worst = error > worst || error != error ? error : worst;
    }
    free(weights);
    return worst;
}

ES_TEST("attention equals softmax in double precision, for every edge of tiles, window and ring") {
    static const struct shape shapes[] = {
        {1, 1, 1, 2, 1, 0},     {1, 1, 1, 7, 3, 0},    {2, 2, 1, 8, 5, 1},
        {3, 2, 2, 15, 9, 0},    {4, 4, 2, 16, 16, 7},  {5, 6, 2, 17, 31, 0},
        {8, 1, 1, 33, 64, 3},   {9, 3, 3, 40, 37, 5},  {11, 4, 1, 63, 5, 0},
        {17, 8, 2, 64, 100, 1}, {39, 2, 1, 65, 20, 0}, {4, 4, 1, 128, 257, 9},
        {1, 32, 8, 128, 50, 0}};
    struct es_pool *pool = rig_pool(2);
    RIG_FOR_EACH_ISA(isa) {
        double worst = 0.0;
        for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            /* In the middle of a stream; at its start; a few positions after a late start. */
            const uint64_t starts[3][2] = {{1000 + i, 0}, {0, 0}, {(1ull << 40) + 3, 1ull << 40}};
            for (uint32_t s = 0; s < 3; s++) {
                struct case_data data = make_case(&shapes[i], starts[s][0], starts[s][1]);
                run_case(pool, &data);
                for (uint32_t row = 0; row < shapes[i].row_count; row++) {
                    for (uint32_t head = 0; head < shapes[i].head_count; head++) {
                        double error = row_error(&data.job, row, head);
                        worst = error > worst || error != error ? error : worst;
                    }
                }
                free_case(&data);
            }
        }
        es_test_note("%s: worst error %.2e where values are within 1", es_isa_name(isa), worst);
        ES_EXPECT(worst < 2e-6);
    }
    es_pool_stop(pool);
}

ES_TEST("attention stays right where scores are far apart") {
    struct es_pool *pool = rig_pool(1);
    RIG_FOR_EACH_ISA(isa) {
        struct case_data data = make_case(&(struct shape){3, 1, 1, 16, 50, 0}, 200, 0);
        for (uint32_t i = 0; i < 3u * 16u; i++) {
            data.q[i] *= 100.0f;
        }
        run_case(pool, &data);
        for (uint32_t row = 0; row < 3; row++) {
            ES_EXPECT_NEAR(row_error(&data.job, row, 0), 0.0, 2e-4);
        }
        free_case(&data);
    }
    es_pool_stop(pool);
}

/* Rows row .. row + count - 1 of `whole`, computed by themselves in a ring of another size. */
static bool same_bits_apart(const struct case_data *whole, const struct shape *shape, uint32_t row,
                            uint32_t count, uint32_t spare_slots, uint32_t thread_count) {
    struct shape part = *shape;
    part.row_count = count;
    part.spare_slots = spare_slots;
    struct case_data data =
        make_case(&part, whole->job.first_position + row, whole->job.oldest_position);
    size_t width = (size_t)shape->head_count * shape->head_dim;
    memcpy(data.q, whole->q + row * width, count * width * sizeof(float));
    struct es_pool *pool = rig_pool(thread_count);
    run_case(pool, &data);
    es_pool_stop(pool);
    bool same = rig_same_bits(data.out, whole->out + row * width, count * width);
    free_case(&data);
    return same;
}

ES_TEST("a row of attention has the same bits alone, among others, in any ring, on any threads") {
    static const struct shape shapes[] = {
        {23, 4, 2, 24, 37, 0}, {16, 1, 1, 64, 100, 3}, {9, 8, 2, 128, 20, 1}, {12, 3, 3, 7, 4, 0}};
    static const uint32_t thread_counts[] = {1, 2, 3, 8};
    RIG_FOR_EACH_ISA(isa) {
        for (uint32_t i = 0; i < 4; i++) {
            struct case_data whole = make_case(&shapes[i], 90 + i, 61);
            struct es_pool *pool = rig_pool(2);
            run_case(pool, &whole);
            es_pool_stop(pool);
            for (uint32_t row = 0; row < shapes[i].row_count; row++) {
                uint32_t left = shapes[i].row_count - row;
                ES_EXPECT(
                    same_bits_apart(&whole, &shapes[i], row, 1, row % 5u, thread_counts[row % 4u]));
                ES_EXPECT(same_bits_apart(&whole, &shapes[i], row, left < 4 ? left : 4, row % 7u,
                                          thread_counts[(row + 1u) % 4u]));
                ES_EXPECT(same_bits_apart(&whole, &shapes[i], row, left, 11,
                                          thread_counts[(row + 2u) % 4u]));
            }
            free_case(&whole);
        }
    }
}
