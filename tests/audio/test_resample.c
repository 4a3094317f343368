#include "audio/resample.h"
#include "platform/bounds.h"
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

#define IN_COUNT_MAX 200000u
#define OUT_COUNT_MAX 40000u

static float in[IN_COUNT_MAX];
static float out[OUT_COUNT_MAX];

static enum es_resample_quality quality;

/* Resamples all of `in` in pushes of `chunk`; returns the number of samples in `out`. */
static size_t resample(uint32_t rate, size_t in_count, size_t chunk) {
    struct es_resampler *resampler = NULL;
    struct es_error error;
    ES_EXPECT_EQ(es_resampler_open(&resampler, rate, quality, &error), ES_OK);
    ES_EXPECT_EQ(es_resampler_rate(resampler), rate);
    size_t given = 0, n = 0;
    for (size_t i = 0; i < in_count;) {
        size_t taken = in_count - i < chunk ? in_count - i : chunk;
        n = es_resampler_push(resampler, in + i, &taken, out + given, OUT_COUNT_MAX - given);
        ES_EXPECT(taken > 0 || n > 0);
        i += taken;
        given += n;
    }
    while ((n = es_resampler_drain(resampler, out + given, 100)) > 0) {
        given += n;
    }
    es_resampler_close(resampler);
    return given;
}

ES_TEST("a tone of any rate keeps its frequency, height and place") {
    static const uint32_t rates[] = {8000, 11025, 22050, 32000, 44100, 44101, 48000, 96000, 192000};
    const double pi = acos(-1.0);
    const double hz = 1000.0;
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        const size_t in_count = rates[r] / 2;
        for (size_t i = 0; i < in_count; i++) {
            in[i] = (float)(0.5 * sin(2.0 * pi * hz * (double)i / rates[r]));
        }
        ES_EXPECT_EQ(resample(rates[r], in_count, 1000),
                     (in_count * 16000 + rates[r] - 1) / rates[r]);
        double sine = 0.0, cosine = 0.0, worst = 0.0;
        for (size_t i = 1600; i < 6400; i++) { /* whole periods, clear of the ends */
            const double angle = 2.0 * pi * hz * (double)i / 16000.0;
            sine += (double)out[i] * sin(angle) / 2400.0;
            cosine += (double)out[i] * cos(angle) / 2400.0;
            worst = fmax(worst, fabs((double)out[i] - 0.5 * sin(angle)));
        }
        const double delay = -atan2(cosine, sine) / (2.0 * pi * hz) * 16000.0;
        es_test_note("%6u Hz: height %.6f, delay %+.2e samples, greatest error %.1e", rates[r],
                     hypot(sine, cosine), delay, worst);
        ES_EXPECT_NEAR(hypot(sine, cosine), 0.5, 1e-4);
        ES_EXPECT_NEAR(delay, 0.0, 1e-4);
        ES_EXPECT_NEAR(worst, 0.0, 1e-5);
    }
}

ES_TEST("a step stays where it was, at the beginning and at the end") {
    const size_t in_count = 24000; /* half a second at 48 kHz */
    for (size_t i = 0; i < in_count; i++) {
        in[i] = i < 12000 ? 0.0f : 0.5f;
    }
    ES_EXPECT_EQ(resample(48000, in_count, 4096), 8000);
    ES_EXPECT_NEAR(out[3900], 0.0, 1e-2);
    ES_EXPECT(out[3999] < 0.25f);
    ES_EXPECT(out[4001] > 0.25f);
    ES_EXPECT_NEAR(out[4100], 0.5, 1e-2);
}

ES_TEST("what lies above 8 kHz is removed, not folded down") {
    for (size_t i = 0; i < 48000; i++) {
        in[i] = (float)sin(2.0 * acos(-1.0) * 11000.0 * (double)i / 48000.0);
    }
    const size_t count = resample(48000, 48000, 4096);
    double worst = 1e-20;
    for (size_t i = 400; i < count - 400; i++) {
        worst = fmax(worst, fabs((double)out[i]));
    }
    es_test_note("11 kHz at full scale leaves %.1f dB", 20.0 * log10(worst));
    ES_EXPECT(worst < 1e-4);
}

ES_TEST("16 kHz passes through bit for bit") {
    for (size_t i = 0; i < 5000; i++) {
        in[i] = (float)i * 1e-5f - 0.02f;
    }
    ES_EXPECT_EQ(resample(16000, 5000, 777), 5000);
    ES_EXPECT(memcmp(in, out, 5000 * sizeof in[0]) == 0);
}

ES_TEST("the length is ceil(samples * 16000 / rate) from one sample on, at the rates' bounds too") {
    static const uint32_t rates[] = {ES_SOURCE_RATE_MIN, 8000, 44100, 47999, ES_SOURCE_RATE_MAX};
    static const size_t counts[] = {1, 2, 47, 48, 49, 1000};
    memset(in, 0, sizeof in);
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            ES_EXPECT_EQ(resample(rates[r], counts[c], 1000),
                         (counts[c] * 16000 + rates[r] - 1) / rates[r]);
        }
    }
}

ES_TEST("the samples do not depend on how the input is cut") {
    static float whole[OUT_COUNT_MAX];
    for (size_t i = 0; i < 22050; i++) {
        in[i] = (float)sin((double)i * (double)i * 1e-5);
    }
    const size_t count = resample(22050, 22050, 22050);
    memcpy(whole, out, count * sizeof out[0]);
    ES_EXPECT_EQ(resample(22050, 22050, 7), count);
    ES_EXPECT(memcmp(whole, out, count * sizeof out[0]) == 0);
}

ES_TEST("the live filter holds back 2.5 ms, and folds nothing that is heard") {
    static const uint32_t rates[] = {44100, 48000, 96000};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        struct es_resampler *resampler = NULL;
        struct es_error error;
        ES_EXPECT_EQ(es_resampler_open(&resampler, rates[r], ES_RESAMPLE_LIVE, &error), ES_OK);
        size_t taken = rates[r] / 10;
        for (size_t i = 0; i < taken; i++) {
            in[i] = (float)sin(2.0 * acos(-1.0) * 9500.0 * (double)i / rates[r]);
        }
        const size_t given = es_resampler_push(resampler, in, &taken, out, OUT_COUNT_MAX);
        ES_EXPECT_EQ(taken, rates[r] / 10);
        const double held_ms = 100.0 - (double)given / 16.0;
        double worst = 1e-20;
        for (size_t i = 100; i < given; i++) {
            worst = fmax(worst, fabs((double)out[i]));
        }
        es_test_note("%u Hz: %.2f ms; 9.5 kHz at full scale leaves %.1f dB", rates[r], held_ms,
                     20.0 * log10(worst));
        ES_EXPECT(held_ms > 0.0);
        ES_EXPECT(held_ms <= 2.6);
        ES_EXPECT(worst < 1e-3);
        es_resampler_close(resampler);
    }
}

ES_TEST("a tone through the live filter keeps its frequency, height and place") {
    quality = ES_RESAMPLE_LIVE;
    const double step = 2.0 * acos(-1.0) * 1000.0;
    for (size_t i = 0; i < 24000; i++) {
        in[i] = (float)(0.5 * sin(step * (double)i / 48000.0));
    }
    ES_EXPECT_EQ(resample(48000, 24000, 480), 8000);
    quality = ES_RESAMPLE_BEST;
    double worst = 0.0;
    for (size_t i = 1600; i < 6400; i++) {
        worst = fmax(worst, fabs((double)out[i] - 0.5 * sin(step * (double)i / 16000.0)));
    }
    es_test_note("greatest error %.1e", worst);
    ES_EXPECT_NEAR(worst, 0.0, 1e-3);
}

ES_TEST("after a reset a stream comes out as from a new one") {
    static float again[OUT_COUNT_MAX];
    for (size_t i = 0; i < 4410; i++) {
        in[i] = (float)sin((double)i * 0.05);
    }
    struct es_resampler *resampler = NULL;
    struct es_error error;
    ES_EXPECT_EQ(es_resampler_open(&resampler, 44100, ES_RESAMPLE_LIVE, &error), ES_OK);
    size_t taken = 4410;
    const size_t given = es_resampler_push(resampler, in, &taken, out, OUT_COUNT_MAX);
    es_resampler_reset(resampler);
    taken = 4410;
    ES_EXPECT_EQ(es_resampler_push(resampler, in, &taken, again, OUT_COUNT_MAX), given);
    ES_EXPECT(memcmp(out, again, given * sizeof out[0]) == 0);
    es_resampler_close(resampler);
}
