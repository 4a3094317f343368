#include "tests/engine_cpu/kernel_rig.h"

ES_TEST("gelu is the erf form to 1.2e-7, absolute below 1 and relative above") {
    enum { COUNT = 200003 };
    float *x = malloc(COUNT * sizeof *x);
    RIG_FOR_EACH_ISA(isa) {
        for (uint32_t i = 0; i < COUNT; i++) {
            x[i] = ((float)i - 100001.0f) * 1.7e-4f;
        }
        es_gelu(x, COUNT);
        double worst = 0.0;
        for (uint32_t i = 0; i < COUNT; i++) {
            double in = (double)(((float)i - 100001.0f) * 1.7e-4f);
            double exact = in * 0.5 * erfc(-in * 0.70710678118654752);
            double error = fabs((double)x[i] - exact) / fmax(1.0, fabs(exact));
            worst = error > worst || error != error ? error : worst;
        }
        es_test_note("%s: worst error %.2e", es_isa_name(isa), worst);
        ES_EXPECT(worst <= 1.2e-7);
    }
    free(x);
}

ES_TEST("gelu of very large numbers is the number or nothing") {
    RIG_FOR_EACH_ISA(isa) {
        float x[5] = {1e30f, -1e30f, 40.0f, -40.0f, 0.0f};
        es_gelu(x, 5);
        ES_EXPECT(x[0] == 1e30f);
        ES_EXPECT_NEAR(x[1], 0.0, 1e-8);
        ES_EXPECT(x[2] == 40.0f);
        ES_EXPECT_NEAR(x[3], 0.0, 1e-30);
        ES_EXPECT(x[4] == 0.0f);
    }
}

ES_TEST("silu times up is right to 3e-7 of itself, in blocks and in tails") {
    static const size_t counts[] = {1, 3, 7, 8, 15, 16, 17, 16383, 16384, 16385, 50001};
    struct es_pool *pool = rig_pool(3);
    RIG_FOR_EACH_ISA(isa) {
        double worst = 0.0;
        for (uint32_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            struct rng rng = {c};
            float *gate = rig_numbers(counts[c], 60.0f, &rng);
            float *up = rig_numbers(counts[c], 2.0f, &rng);
            float *y = malloc(counts[c] * sizeof *y);
            memcpy(y, gate, counts[c] * sizeof *y);
            es_silu_multiply(pool, y, up, counts[c]);
            for (size_t i = 0; i < counts[c]; i++) {
                double exact = (double)gate[i] / (1.0 + exp(-(double)gate[i])) * (double)up[i];
                double error = fabs((double)y[i] - exact) / (fabs(exact) + 1e-20);
                worst = error > worst || error != error ? error : worst;
            }
            free(gate);
            free(up);
            free(y);
        }
        es_test_note("%s: worst relative error %.2e", es_isa_name(isa), worst);
        ES_EXPECT(worst < 3e-7);
    }
    es_pool_stop(pool);
}

ES_TEST("silu of numbers beyond the range of exp is the number or nothing") {
    struct es_pool *pool = rig_pool(1);
    RIG_FOR_EACH_ISA(isa) {
        float gate[3] = {200.0f, -200.0f, -89.5f};
        const float up[3] = {2.0f, 2.0f, 2.0f};
        es_silu_multiply(pool, gate, up, 3);
        ES_EXPECT(gate[0] == 400.0f);
        ES_EXPECT_NEAR(gate[1], 0.0, 1e-30);
        ES_EXPECT_NEAR(gate[2], 0.0, 1e-30);
    }
    es_pool_stop(pool);
}

ES_TEST("an element of gelu and silu has the same bits at any place") {
    struct es_pool *pool = rig_pool(2);
    struct rng rng = {9};
    RIG_FOR_EACH_ISA(isa) {
        enum { COUNT = 41 };
        float *x = rig_numbers(COUNT, 5.0f, &rng);
        float *up = rig_numbers(COUNT, 5.0f, &rng);
        float gelu[COUNT];
        float silu[COUNT];
        memcpy(gelu, x, sizeof gelu);
        memcpy(silu, x, sizeof silu);
        es_gelu(gelu, COUNT);
        es_silu_multiply(pool, silu, up, COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            float one = x[i];
            es_gelu(&one, 1);
            ES_EXPECT(rig_same_bits(&one, &gelu[i], 1));
            one = x[i];
            es_silu_multiply(pool, &one, up + i, 1);
            ES_EXPECT(rig_same_bits(&one, &silu[i], 1));
        }
        free(x);
        free(up);
    }
    es_pool_stop(pool);
}

ES_TEST("rmsnorm follows its formula, with and without conditioning, in place or not") {
    static const uint32_t dims[] = {1, 15, 16, 17, 100, 1280, 3072};
    double worst = 0.0;
    for (uint32_t c = 0; c < sizeof dims / sizeof dims[0]; c++) {
        struct rng rng = {c + 50u};
        const uint32_t dim = dims[c];
        float *x = rig_numbers((size_t)3 * dim, 7.0f, &rng);
        float *weight = rig_numbers(dim, 1.0f, &rng);
        float *ada = rig_numbers(dim, 1.0f, &rng);
        float *y = malloc((size_t)3 * dim * sizeof *y);
        for (uint32_t with_ada = 0; with_ada < 2; with_ada++) {
            es_rmsnorm(x, weight, 1e-5f, with_ada != 0 ? ada : NULL, 3, dim, y);
            for (uint32_t row = 0; row < 3; row++) {
                double squares = 0.0;
                for (uint32_t i = 0; i < dim; i++) {
                    double number = (double)x[row * dim + i];
                    squares += number * number;
                }
                for (uint32_t i = 0; i < dim; i++) {
                    double exact = (double)x[row * dim + i] / sqrt(squares / dim + (double)1e-5f) *
                                   (double)weight[i] * (with_ada != 0 ? 1.0 + (double)ada[i] : 1.0);
                    double error = fabs((double)y[row * dim + i] - exact);
                    worst = error > worst || error != error ? error : worst;
                }
            }
        }
        float *alone = malloc(dim * sizeof *alone);
        es_rmsnorm(x + dim, weight, 1e-5f, ada, 1, dim, alone);
        ES_EXPECT(rig_same_bits(alone, y + dim, dim));
        es_rmsnorm(x, weight, 1e-5f, ada, 3, dim, x);
        ES_EXPECT(rig_same_bits(x, y, (size_t)3 * dim));
        free(x);
        free(weight);
        free(ada);
        free(y);
        free(alone);
    }
    es_test_note("worst error %.2e where results are within 4", worst);
    ES_EXPECT(worst < 2e-6);
}

ES_TEST("rope turns neighbouring pairs by each row's own phases") {
    enum { ROWS = 3, HEADS = 2, DIM = 6 };
    struct rng rng = {8};
    float *x = rig_numbers(ROWS * HEADS * DIM, 1.0f, &rng);
    float y[ROWS * HEADS * DIM];
    float phases[ROWS * DIM];
    for (uint32_t i = 0; i < ROWS * DIM / 2; i++) {
        phases[2 * i] = (float)cos(0.3 * i);
        phases[2 * i + 1] = (float)sin(0.3 * i);
    }
    memcpy(y, x, sizeof y);
    es_rope_apply(y, ROWS, HEADS, DIM, phases);
    for (uint32_t i = 0; i < ROWS * HEADS * DIM / 2; i++) {
        uint32_t phase = i / (HEADS * DIM / 2) * (DIM / 2) + i % (DIM / 2);
        double angle = 0.3 * phase;
        double re = (double)x[2 * i];
        double im = (double)x[2 * i + 1];
        ES_EXPECT_NEAR(y[2 * i], re * cos(angle) - im * sin(angle), 3e-7);
        ES_EXPECT_NEAR(y[2 * i + 1], re * sin(angle) + im * cos(angle), 3e-7);
    }
    free(x);
}

static void expect_choice(const float *logits, uint32_t count, int32_t index, float margin) {
    int32_t found;
    float by;
    es_argmax(logits, count, &found, &by);
    ES_EXPECT_EQ(found, index);
    ES_EXPECT(by == margin);
}

ES_TEST("argmax takes the largest, ties go to the lowest index, the margin is to the second") {
    expect_choice((const float[]){1.0f, 2.0f}, 2, 1, 1.0f);
    expect_choice((const float[]){2.0f, 1.0f}, 2, 0, 1.0f);
    expect_choice((const float[]){3.0f, 3.0f}, 2, 0, 0.0f);
    expect_choice((const float[]){-5.0f, -1.0f, -3.0f, -1.0f}, 4, 1, 0.0f);
    expect_choice((const float[]){4.0f, 0.0f, 1.5f, 3.5f, 2.0f}, 5, 0, 0.5f);
    expect_choice((const float[]){0.0f, 1.0f, 2.0f, 4.0f}, 4, 3, 2.0f);
    expect_choice((const float[]){0.0f, 7.0f, 2.0f, 4.0f, 7.0f, 9.0f}, 6, 5, 2.0f);
}

ES_TEST("argmax agrees with sorting on random logits") {
    struct rng rng = {10};
    for (uint32_t count = 2; count < 3000; count += 13) {
        float *logits = rig_numbers(count, 10.0f, &rng);
        uint32_t best = 0;
        for (uint32_t i = 1; i < count; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        float second = -1e30f;
        for (uint32_t i = 0; i < count; i++) {
            second = i != best && logits[i] > second ? logits[i] : second;
        }
        expect_choice(logits, count, (int32_t)best, logits[best] - second);
        free(logits);
    }
}
