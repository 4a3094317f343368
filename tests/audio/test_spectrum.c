#include "audio/spectrum.h"
#include "tests/support/test.h"

#include <math.h>
#include <stddef.h>

static struct es_spectrum_tables tables;
static struct es_spectrum_scratch scratch;
static float samples[ES_SPECTRUM_SAMPLES];
static double power[ES_SPECTRUM_BINS];

ES_TEST("the spectrum of an impulse in the middle of the window is flat") {
    es_spectrum_init(&tables);
    samples[ES_SPECTRUM_SAMPLES / 2] = 1.0f; /* the window is 1 there */
    es_spectrum_power(&tables, &scratch, samples, power);
    for (size_t k = 0; k < ES_SPECTRUM_BINS; k++) {
        ES_EXPECT_NEAR(power[k], 1.0, 1e-14);
    }
}

ES_TEST("the spectrum of a tone is (N/4)^2 in its bin, a quarter of that on either side, else 0") {
    es_spectrum_init(&tables);
    for (size_t bin = 2; bin < ES_SPECTRUM_BINS - 2; bin++) {
        for (size_t n = 0; n < ES_SPECTRUM_SAMPLES; n++) {
            samples[n] = (float)cos(2.0 * acos(-1.0) * (double)(bin * n % 400) / 400.0);
        }
        es_spectrum_power(&tables, &scratch, samples, power);
        for (size_t k = 0; k < ES_SPECTRUM_BINS; k++) {
            const double expected = k == bin ? 1e4 : k + 1 == bin || k == bin + 1 ? 2500.0 : 0.0;
            ES_EXPECT_NEAR(power[k], expected, 1e-2);
        }
    }
}
