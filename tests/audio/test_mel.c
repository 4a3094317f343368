#include "audio/mel.h"
#include "audio/spectrum.h"
#include "platform/bounds.h"
#include "tests/support/test.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIN_COUNT 128u
#define SAMPLE_COUNT_MAX 40000u
#define FRAME_COUNT_MAX (SAMPLE_COUNT_MAX / ES_MEL_HOP)

/* A frame is complete 40 samples after the 10 ms that it stands for: these end a recording. */
#define TAIL_SAMPLES (ES_MEL_WINDOW / 2u - ES_MEL_HOP)

static struct es_plan plan;
static struct es_arena arena;
static struct es_mel_layout layout;
static float samples[SAMPLE_COUNT_MAX];
static float frames[FRAME_COUNT_MAX][BIN_COUNT];
static float other_frames[FRAME_COUNT_MAX][BIN_COUNT];

static struct es_mel *make_mel(void) {
    const struct es_mel_config config = {.bin_count = BIN_COUNT, .log_mel_max = 1.5f};
    struct es_mel *mel = NULL;
    struct es_error error;
    es_arena_release(&arena);
    es_plan_init(&plan);
    es_mel_layout(&config, &plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_mel_init(&mel, &config, &layout, &arena);
    return mel;
}

/* Fills `samples` with the recording and the zeros that end it; returns its number of frames. */
static size_t load_recording(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/mel/%s.wav", ES_TEST_DATA, name);
    SF_INFO info = {0};
    SNDFILE *file = sf_open(path, SFM_READ, &info);
    ES_EXPECT(file != NULL);
    memset(samples, 0, sizeof samples);
    const sf_count_t count = sf_read_float(file, samples, SAMPLE_COUNT_MAX - TAIL_SAMPLES);
    sf_close(file);
    ES_EXPECT_EQ(count, info.frames);
    ES_EXPECT_EQ(count % (sf_count_t)ES_MEL_HOP, 0);
    return (size_t)count / ES_MEL_HOP;
}

static void load_golden(const char *name, size_t frame_count) {
    char path[512];
    snprintf(path, sizeof path, "%s/mel/%s.mel", ES_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    ES_EXPECT(file != NULL);
    const size_t count = fread(other_frames, sizeof other_frames[0], FRAME_COUNT_MAX, file);
    fclose(file);
    ES_EXPECT_EQ(count, frame_count);
}

static void expect_golden(const char *name) {
    struct es_mel *mel = make_mel();
    const size_t frame_count = load_recording(name);
    load_golden(name, frame_count);
    const size_t sample_count = frame_count * ES_MEL_HOP + TAIL_SAMPLES;
    ES_EXPECT_EQ(es_mel_push(mel, samples, sample_count, frames[0]), frame_count);
    double worst = 0.0;
    size_t worst_frame = 0, worst_bin = 0;
    for (size_t t = 0; t < frame_count; t++) {
        for (size_t m = 0; m < BIN_COUNT; m++) {
            const double off = fabs((double)frames[t][m] - (double)other_frames[t][m]);
            if (!(off <= worst)) {
                worst = off, worst_frame = t, worst_bin = m;
            }
        }
    }
    es_test_note("%s: %zu frames, greatest error %.3g at frame %zu, bin %zu", name, frame_count,
                 worst, worst_frame, worst_bin);
    ES_EXPECT_NEAR(worst, 0.0, 1e-4);
}

ES_TEST("the mel frames of speech equal the reference extractor's to 1e-4") {
    expect_golden("speech");
}

ES_TEST("the mel frames of sweep, silence, noise and clipping equal the reference's to 1e-4") {
    expect_golden("synthetic");
}

ES_TEST("silence is exactly -0.625 in every bin") {
    struct es_mel *mel = make_mel();
    memset(samples, 0, sizeof samples);
    const size_t frame_count = es_mel_push(mel, samples, 16000 + TAIL_SAMPLES, frames[0]);
    ES_EXPECT_EQ(frame_count, 100);
    for (size_t t = 0; t < frame_count; t++) {
        for (size_t m = 0; m < BIN_COUNT; m++) {
            ES_EXPECT(frames[t][m] == -0.625f);
        }
    }
}

ES_TEST("a frame comes out with its last sample and not before") {
    struct es_mel *mel = make_mel();
    ES_EXPECT_EQ(es_mel_frames_after(mel, 0), 0);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 199), 0);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 200), 1);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 359), 1);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 360), 2);
    ES_EXPECT_EQ(es_mel_push(mel, samples, 199, frames[0]), 0);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 1), 1);
    ES_EXPECT_EQ(es_mel_push(mel, samples, 1, frames[0]), 1);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 159), 0);
    ES_EXPECT_EQ(es_mel_frames_after(mel, 160), 1);
}

ES_TEST("frames are bit-identical however the samples are cut") {
    static const size_t chunks[] = {1, 7, 160, 1280};
    struct es_mel *mel = make_mel();
    const size_t frame_count = load_recording("speech");
    const size_t sample_count = frame_count * ES_MEL_HOP + TAIL_SAMPLES;
    ES_EXPECT_EQ(es_mel_push(mel, samples, sample_count, frames[0]), frame_count);
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        memset(other_frames, 0, sizeof other_frames);
        es_mel_reset(mel);
        size_t made = 0;
        for (size_t i = 0; i < sample_count; i += chunks[c]) {
            const size_t left = sample_count - i;
            const size_t count = left < chunks[c] ? left : chunks[c];
            const size_t promised = es_mel_frames_after(mel, count);
            ES_EXPECT_EQ(es_mel_push(mel, samples + i, count, other_frames[made]), promised);
            made += promised;
        }
        ES_EXPECT_EQ(made, frame_count);
        ES_EXPECT(memcmp(frames, other_frames, frame_count * sizeof frames[0]) == 0);
    }
}

ES_TEST("a reset stream repeats the first one bit for bit, its leading zeros included") {
    struct es_mel *mel = make_mel();
    const size_t frame_count = load_recording("synthetic");
    const size_t sample_count = frame_count * ES_MEL_HOP + TAIL_SAMPLES;
    ES_EXPECT_EQ(es_mel_push(mel, samples, sample_count, frames[0]), frame_count);
    ES_EXPECT_EQ(es_mel_push(mel, samples, 77, other_frames[0]), 0);
    es_mel_reset(mel);
    ES_EXPECT_EQ(es_mel_push(mel, samples, sample_count, other_frames[0]), frame_count);
    ES_EXPECT(memcmp(frames, other_frames, frame_count * sizeof frames[0]) == 0);
}

/* -- an independent reference: filters from their definition, a DFT as a plain double sum ------ */

static double slaney_hz(double mel) {
    return mel <= 15.0 ? mel / 0.015 : 1000.0 * pow(6.4, (mel - 15.0) / 27.0);
}

static void reference_filters(float weights[BIN_COUNT][ES_SPECTRUM_BINS]) {
    const double top = 15.0 + 27.0 * log(8.0) / log(6.4);
    for (size_t m = 0; m < BIN_COUNT; m++) {
        const double low = slaney_hz(top * (double)m / 129.0);
        const double middle = slaney_hz(top * (double)(m + 1) / 129.0);
        const double high = slaney_hz(top * (double)(m + 2) / 129.0);
        for (size_t bin = 0; bin < ES_SPECTRUM_BINS; bin++) {
            const double hz = 40.0 * (double)bin;
            double weight = 0.0;
            if (hz > low && hz < high) {
                weight = hz < middle ? (hz - low) / (middle - low) : (high - hz) / (high - middle);
            }
            weights[m][bin] = (float)(weight * 2.0 / (high - low));
        }
    }
}

static void reference_frame(const float *window_samples, float weights[BIN_COUNT][ES_SPECTRUM_BINS],
                            float *frame) {
    static double cosine[ES_MEL_WINDOW], sine[ES_MEL_WINDOW], power[ES_SPECTRUM_BINS];
    for (size_t n = 0; n < ES_MEL_WINDOW; n++) {
        cosine[n] = cos(2.0 * acos(-1.0) * (double)n / ES_MEL_WINDOW);
        sine[n] = sin(2.0 * acos(-1.0) * (double)n / ES_MEL_WINDOW);
    }
    for (size_t k = 0; k < ES_SPECTRUM_BINS; k++) {
        double re = 0.0, im = 0.0;
        for (size_t n = 0; n < ES_MEL_WINDOW; n++) {
            const double x = (double)window_samples[n] * (0.5 - 0.5 * cosine[n]);
            re += x * cosine[k * n % ES_MEL_WINDOW];
            im += x * sine[k * n % ES_MEL_WINDOW];
        }
        power[k] = re * re + im * im;
    }
    for (size_t m = 0; m < BIN_COUNT; m++) {
        double sum = 0.0;
        for (size_t k = 0; k < ES_SPECTRUM_BINS; k++) {
            sum += (double)weights[m][k] * power[k];
        }
        frame[m] = (float)((fmax(log10(fmax(sum, 1e-10)), -6.5) + 4.0) / 4.0);
    }
}

static void expect_reference(size_t frame_count, const char *name) {
    static float weights[BIN_COUNT][ES_SPECTRUM_BINS];
    static float padded[SAMPLE_COUNT_MAX + ES_MEL_WINDOW];
    reference_filters(weights);
    memset(padded, 0, sizeof padded);
    memcpy(padded + ES_MEL_WINDOW / 2, samples, sizeof samples);
    double worst = 0.0;
    for (size_t t = 0; t < frame_count; t++) {
        reference_frame(padded + t * ES_MEL_HOP, weights, other_frames[t]);
        for (size_t m = 0; m < BIN_COUNT; m++) {
            const double off = fabs((double)frames[t][m] - (double)other_frames[t][m]);
            worst = off <= worst ? worst : off;
        }
    }
    es_test_note("%s: greatest difference %.3g", name, worst);
    ES_EXPECT_NEAR(worst, 0.0, 1e-5);
}

ES_TEST("frames equal a naive DFT in double to 1e-5, quiet and at full scale") {
    static const char *const names[] = {"speech", "synthetic"};
    struct es_mel *mel = make_mel();
    for (size_t i = 0; i < 2; i++) {
        const size_t frame_count = load_recording(names[i]);
        es_mel_reset(mel);
        es_mel_push(mel, samples, frame_count * ES_MEL_HOP + TAIL_SAMPLES, frames[0]);
        expect_reference(frame_count, names[i]);
    }
    for (size_t n = 0; n < 8000; n++) {
        samples[n] = n % 73 < 36 ? 1.0f : -1.0f;
    }
    es_mel_reset(mel);
    const size_t frame_count = es_mel_push(mel, samples, 8000, frames[0]);
    ES_EXPECT_EQ(frame_count, 49);
    expect_reference(frame_count, "full-scale square");
}
