#include "engine/rope.h"
#include "tests/engine_cpu/rope_phases.h"
#include "tests/support/test.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925;

/* Distance of two angles on the circle. */
static double circle_distance(double a, double b) {
    double difference = fabs(a - b);
    return difference > TWO_PI / 2 ? fabs(difference - TWO_PI) : difference;
}

static double worst_error(uint64_t first_position, uint64_t last_position) {
    double worst = 0.0;
    for (size_t i = 0; i < sizeof rope_phases / sizeof *rope_phases; i++) {
        uint64_t turns[64];
        struct es_rope rope;
        if (rope_phases[i].position < first_position || rope_phases[i].position > last_position) {
            continue;
        }
        es_rope_init(&rope, rope_phases[i].head_dim, rope_phases[i].theta, turns);
        double phase = es_rope_phase(&rope, rope_phases[i].pair_index, rope_phases[i].position);
        double error = circle_distance(phase, rope_phases[i].phase);
        worst = error > worst ? error : worst;
    }
    return worst;
}

ES_TEST("phases equal a 200-digit reference up to position 2^40") {
    const uint64_t five_years_of_frames = (1ull << 33) + 12345;
    double week = worst_error(0, 100000);
    double five_years = worst_error(1ull << 31, five_years_of_frames);
    double centuries = worst_error(1ull << 40, 1ull << 40);
    es_test_note("off by %.2g rad up to 100000, %.2g up to 2^33 + 12345, %.2g at 2^40", week,
                 five_years, centuries);
    ES_EXPECT(week < 1e-12);
    ES_EXPECT(five_years < 1e-8);
    ES_EXPECT(centuries < 1e-6);
}

ES_TEST("rows of cosines and sines belong to consecutive positions") {
    uint64_t turns[6];
    struct es_rope rope;
    float cos_sin[5 * 6 * 2];
    const uint64_t first = (1ull << 33) - 2;
    es_rope_init(&rope, 12, 1e4, turns);
    es_rope_rows(&rope, first, 5, cos_sin);
    for (uint32_t r = 0; r < 5; r++) {
        for (uint32_t i = 0; i < 6; i++) {
            double phase = es_rope_phase(&rope, i, first + r);
            ES_EXPECT_NEAR(cos_sin[(r * 6 + i) * 2], cos(phase), 1e-7);
            ES_EXPECT_NEAR(cos_sin[(r * 6 + i) * 2 + 1], sin(phase), 1e-7);
        }
    }
}

ES_TEST("one position further turns by the same angle at any age") {
    uint64_t turns[32];
    struct es_rope rope;
    es_rope_init(&rope, 64, 1e6, turns);
    for (uint32_t i = 0; i < 32; i++) {
        double step = es_rope_phase(&rope, i, 1);
        for (uint64_t age = 1; age < 1ull << 62; age *= 8) {
            double turned = es_rope_phase(&rope, i, age + 1) - es_rope_phase(&rope, i, age);
            ES_EXPECT(circle_distance(turned - TWO_PI * floor(turned / TWO_PI), step) < 1e-14 * 8);
        }
    }
}
