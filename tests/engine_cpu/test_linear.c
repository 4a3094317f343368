#include "tests/engine_cpu/kernel_rig.h"

#ifdef ES_TEST_OPENBLAS
#include <cblas.h>
#endif

static const enum es_dtype dtypes[] = {ES_DTYPE_BF16, ES_DTYPE_F16, ES_DTYPE_F32};

/* Worst error of y against a double reference, in units of 2^-24 * sum |x w|: what one rounding of
 * the largest partial sum could cost. */
static double worst_error(const struct es_matrix *w, const float *x, uint32_t row_count,
                          const float *bias, const float *residual, const float *y) {
    double worst = 0.0;
    for (uint32_t row = 0; row < row_count; row++) {
        for (uint32_t output = 0; output < w->out_dim; output++) {
            size_t at = (size_t)row * w->out_dim + output;
            double sum = 0.0;
            double size = 0.0;
            for (uint32_t i = 0; i < w->in_dim; i++) {
                double product = (double)x[(size_t)row * w->in_dim + i] *
                                 rig_widen(w->dtype, w->data, (size_t)output * w->in_dim + i);
                sum += product;
                size += fabs(product);
            }
            sum += bias != NULL ? (double)bias[output] : 0.0;
            size += bias != NULL ? fabs((double)bias[output]) : 0.0;
            sum += residual != NULL ? (double)residual[at] : 0.0;
            size += residual != NULL ? fabs((double)residual[at]) : 0.0;
            double error = fabs(sum - (double)y[at]) / (size * 0x1p-24 + 1e-30);
            worst = error > worst || error != error ? error : worst;
        }
    }
    return worst;
}

static double check_shape(struct es_pool *pool, enum es_dtype dtype, uint32_t row_count,
                          uint32_t out_dim, uint32_t in_dim, bool with_extras) {
    struct rng rng = {row_count * 7919u + out_dim * 104729u + in_dim};
    struct es_matrix w = rig_matrix(dtype, out_dim, in_dim, &rng);
    float *x = rig_numbers((size_t)row_count * in_dim, 1.0f, &rng);
    float *bias = rig_numbers(out_dim, 1.0f, &rng);
    float *residual = rig_numbers((size_t)row_count * out_dim, 1.0f, &rng);
    float *y = rig_numbers((size_t)row_count * out_dim, 1.0f, &rng);
    es_linear(pool, &w, x, row_count, with_extras ? bias : NULL, with_extras ? residual : NULL, y);
    double worst =
        worst_error(&w, x, row_count, with_extras ? bias : NULL, with_extras ? residual : NULL, y);
    free((void *)(uintptr_t)w.data);
    free(x);
    free(bias);
    free(residual);
    free(y);
    return worst;
}

ES_TEST("a linear map equals the sum in double precision at every edge of a tile") {
    static const uint32_t rows[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 39};
    static const uint32_t outputs[] = {1, 2, 3, 5, 6, 7, 8, 9, 23, 24, 25, 47};
    static const uint32_t inputs[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127};
    struct es_pool *pool = rig_pool(2);
    RIG_FOR_EACH_ISA(isa) {
        double worst = 0.0;
        for (uint32_t d = 0; d < 3; d++) {
            for (uint32_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
                for (uint32_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
                    uint32_t o = (r * 5u + i * 7u + d) % (sizeof outputs / sizeof outputs[0]);
                    double error = check_shape(pool, dtypes[d], rows[r], outputs[o], inputs[i],
                                               (r + i) % 2u == 0);
                    worst = error > worst || error != error ? error : worst;
                }
            }
        }
        es_test_note("%s: worst error %.2f roundings of the sum of magnitudes", es_isa_name(isa),
                     worst);
        ES_EXPECT(worst < 8.0);
    }
    es_pool_stop(pool);
}

ES_TEST("a linear map is right where rows are cut into slices and outputs into panels") {
    struct es_pool *pool = rig_pool(2);
    RIG_FOR_EACH_ISA(isa) {
        double worst = 0.0;
        static const uint32_t shapes[][3] = {
            {13, 77, 1283}, {8, 50, 5121}, {1, 131, 4099}, {4, 29, 3072}, {6, 1500, 129}};
        for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            for (uint32_t d = 0; d < 3; d++) {
                double error =
                    check_shape(pool, dtypes[d], shapes[i][0], shapes[i][1], shapes[i][2], true);
                worst = error > worst || error != error ? error : worst;
            }
        }
        es_test_note("%s: worst error %.2f roundings of the sum of magnitudes", es_isa_name(isa),
                     worst);
        ES_EXPECT(worst < 8.0);
    }
    es_pool_stop(pool);
}

/* Every row of `all`, computed alone by `pool`, has the same bits. */
static uint32_t differing_rows(struct es_pool *pool, const struct es_matrix *w, const float *x,
                               uint32_t row_count, const float *bias, const float *all) {
    uint32_t differing = 0;
    float *y = malloc(w->out_dim * sizeof *y);
    for (uint32_t row = 0; row < row_count; row++) {
        es_linear(pool, w, x + (size_t)row * w->in_dim, 1, bias, NULL, y);
        differing += !rig_same_bits(y, all + (size_t)row * w->out_dim, w->out_dim);
    }
    free(y);
    return differing;
}

ES_TEST("a row has the same bits alone, among others, at any place and on any number of threads") {
    static const uint32_t row_counts[] = {2, 3, 4, 5, 7, 8, 9, 12, 16, 31, 64};
    static const uint32_t thread_counts[] = {1, 2, 3, 8};
    static const uint32_t shapes[][2] = {{61, 331}, {25, 1280}, {100, 2055}};
    struct rng rng = {3};
    RIG_FOR_EACH_ISA(isa) {
        for (uint32_t d = 0; d < 3; d++) {
            for (uint32_t s = 0; s < 3; s++) {
                struct es_matrix w = rig_matrix(dtypes[d], shapes[s][0], shapes[s][1], &rng);
                float *x = rig_numbers(64u * w.in_dim, 1.0f, &rng);
                float *bias = rig_numbers(w.out_dim, 1.0f, &rng);
                float *y = malloc((size_t)64 * w.out_dim * sizeof *y);
                for (uint32_t i = 0; i < 11u; i++) {
                    struct es_pool *pool = rig_pool(thread_counts[(i + s) % 4u]);
                    es_linear(pool, &w, x, row_counts[i], bias, NULL, y);
                    es_pool_stop(pool);
                    pool = rig_pool(thread_counts[(i + s + 1u) % 4u]);
                    ES_EXPECT_EQ(differing_rows(pool, &w, x, row_counts[i], bias, y), 0);
                    es_pool_stop(pool);
                }
                free((void *)(uintptr_t)w.data);
                free(x);
                free(bias);
                free(y);
            }
        }
    }
}

ES_TEST("several maps at once have the bits of one after another") {
    struct rng rng = {4};
    struct es_pool *pool = rig_pool(3);
    RIG_FOR_EACH_ISA(isa) {
        struct es_matrix w[3] = {rig_matrix(ES_DTYPE_BF16, 300, 257, &rng),
                                 rig_matrix(ES_DTYPE_BF16, 1, 257, &rng),
                                 rig_matrix(ES_DTYPE_F32, 1111, 257, &rng)};
        float *x = rig_numbers((size_t)5 * 257, 1.0f, &rng);
        float *bias = rig_numbers(300, 1.0f, &rng);
        struct es_linear_job jobs[3];
        for (uint32_t i = 0; i < 3; i++) {
            jobs[i] = (struct es_linear_job){&w[i], i == 0 ? bias : NULL,
                                             malloc((size_t)5 * w[i].out_dim * sizeof(float))};
        }
        es_linear_many(pool, jobs, 3, x, 5);
        for (uint32_t i = 0; i < 3; i++) {
            size_t bytes = (size_t)5 * w[i].out_dim * sizeof(float);
            float *y = malloc(bytes);
            es_linear(pool, &w[i], x, 5, jobs[i].bias, NULL, y);
            ES_EXPECT(rig_same_bits(y, jobs[i].y, bytes / sizeof *y));
            free(y);
            free(jobs[i].y);
            free((void *)(uintptr_t)w[i].data);
        }
        free(x);
        free(bias);
    }
    es_pool_stop(pool);
}

ES_TEST("the residual may be the result itself") {
    struct rng rng = {5};
    struct es_pool *pool = rig_pool(2);
    struct es_matrix w = rig_matrix(ES_DTYPE_BF16, 131, 67, &rng);
    float *x = rig_numbers((size_t)9 * 67, 1.0f, &rng);
    float *residual = rig_numbers((size_t)9 * 131, 1.0f, &rng);
    float *apart = malloc((size_t)9 * 131 * sizeof *apart);
    es_linear(pool, &w, x, 9, NULL, residual, apart);
    es_linear(pool, &w, x, 9, NULL, residual, residual);
    ES_EXPECT(rig_same_bits(apart, residual, (size_t)9 * 131));
    free((void *)(uintptr_t)w.data);
    free(x);
    free(residual);
    free(apart);
    es_pool_stop(pool);
}

ES_TEST("a row of a matrix is widened exactly, whatever its type") {
    struct rng rng = {6};
    for (uint32_t d = 0; d < 3; d++) {
        struct es_matrix w = rig_matrix(dtypes[d], 5, 129, &rng);
        float row[129];
        es_matrix_row(&w, 3, row);
        for (uint32_t i = 0; i < 129; i++) {
            ES_EXPECT((double)row[i] == rig_widen(w.dtype, w.data, 3u * 129u + i));
        }
        free((void *)(uintptr_t)w.data);
    }
}

ES_TEST("a large product agrees with OpenBLAS") {
#ifdef ES_TEST_OPENBLAS
    enum { ROWS = 256, OUTPUTS = 700, INPUTS = 1280 };
    struct rng rng = {7};
    struct es_pool *pool = rig_pool(2);
    struct es_matrix w = rig_matrix(ES_DTYPE_BF16, OUTPUTS, INPUTS, &rng);
    float *wide = malloc((size_t)OUTPUTS * INPUTS * sizeof *wide);
    for (uint32_t row = 0; row < OUTPUTS; row++) {
        es_matrix_row(&w, row, wide + (size_t)row * INPUTS);
    }
    float *x = rig_numbers((size_t)ROWS * INPUTS, 1.0f, &rng);
    float *y = malloc((size_t)ROWS * OUTPUTS * sizeof *y);
    float *expected = malloc((size_t)ROWS * OUTPUTS * sizeof *y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, ROWS, OUTPUTS, INPUTS, 1.0f, x, INPUTS,
                wide, INPUTS, 0.0f, expected, OUTPUTS);
    RIG_FOR_EACH_ISA(isa) {
        es_linear(pool, &w, x, ROWS, NULL, NULL, y);
        double worst = 0.0;
        for (size_t i = 0; i < (size_t)ROWS * OUTPUTS; i++) {
            double error = fabs((double)y[i] - (double)expected[i]);
            worst = error > worst || error != error ? error : worst;
        }
        es_test_note("%s: worst difference %.2e where results are about 12", es_isa_name(isa),
                     worst);
        ES_EXPECT(worst < 2e-4);
    }
    free((void *)(uintptr_t)w.data);
    free(wide);
    free(x);
    free(y);
    free(expected);
    es_pool_stop(pool);
#else
    es_test_skip("OpenBLAS was not found; install libopenblas-dev and configure again");
#endif
}
