#include "audio/gain.h"
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

static struct es_gain gain;
static float samples[16000];
static uint32_t noise = 1;

/* A second of words (bursts of 300 ms) over noise. */
static void speak(double speech, double room) {
    for (size_t i = 0; i < 16000; i++) {
        noise = noise * 1664525u + 1013904223u;
        const double hiss = ((double)(noise >> 8) / 8388608.0 - 1.0) * room;
        const bool is_word = i % 8000 < 4800;
        samples[i] = (float)(hiss + (is_word ? speech * sin((double)i * 0.3) : 0.0));
    }
}

static double peak_of(void) {
    double peak = 0.0;
    for (size_t i = 0; i < 16000; i++) {
        peak = fmax(peak, fabs((double)samples[i]));
    }
    return peak;
}

static void start(enum es_gain_mode mode, float db) {
    const struct es_gain_config config = {.mode = mode, .fixed_db = db};
    es_gain_reset(&gain, &config);
}

ES_TEST("gain that is off changes no bit") {
    static float before[16000];
    start(ES_GAIN_OFF, 12.0f);
    speak(0.2, 0.01);
    memcpy(before, samples, sizeof before);
    es_gain_apply(&gain, samples, 16000);
    ES_EXPECT(memcmp(before, samples, sizeof before) == 0);
    ES_EXPECT_NEAR(es_gain_db(&gain), 0.0, 1e-9);
}

ES_TEST("fixed gain multiplies, and stops at full scale") {
    start(ES_GAIN_FIXED, 20.0f);
    samples[0] = 0.01f;
    samples[1] = -0.5f;
    es_gain_apply(&gain, samples, 2);
    ES_EXPECT_NEAR(samples[0], 0.1, 1e-6);
    ES_EXPECT_NEAR(samples[1], -1.0, 1e-6);
}

ES_TEST("quiet speech grows slowly, up to 30 dB and no further") {
    start(ES_GAIN_AUTO, 0.0f);
    double db_before = 0.0;
    for (uint32_t second = 0; second < 60; second++) {
        speak(0.0005, 0.000005);
        es_gain_apply(&gain, samples, 16000);
        ES_EXPECT(es_gain_db(&gain) <= db_before + 3.01);
        db_before = es_gain_db(&gain);
    }
    ES_EXPECT_NEAR(es_gain_db(&gain), 30.0, 0.01);
}

ES_TEST("speech of a fair level ends near the target, and loud speech is left alone") {
    start(ES_GAIN_AUTO, 0.0f);
    for (uint32_t second = 0; second < 30; second++) {
        speak(0.01, 0.0001);
        es_gain_apply(&gain, samples, 16000);
    }
    /* -43 dB of RMS to -23 */
    es_test_note("gain of speech at -43 dB: %.1f dB", es_gain_db(&gain));
    ES_EXPECT_NEAR(es_gain_db(&gain), 20.0, 3.0);
    start(ES_GAIN_AUTO, 0.0f);
    for (uint32_t second = 0; second < 10; second++) {
        speak(0.5, 0.001);
        es_gain_apply(&gain, samples, 16000);
    }
    ES_EXPECT_NEAR(es_gain_db(&gain), 0.0, 1e-6);
}

ES_TEST("a quiet room is not blown up, however long it is quiet") {
    start(ES_GAIN_AUTO, 0.0f);
    for (uint32_t second = 0; second < 120; second++) {
        speak(0.0, 0.001);
        es_gain_apply(&gain, samples, 16000);
    }
    es_test_note("gain of noise at -65 dB after two minutes: %.1f dB", es_gain_db(&gain));
    ES_EXPECT(es_gain_db(&gain) < 1.0);
}

ES_TEST("a shout after whispers does not clip, in whatever pieces it comes") {
    static const size_t pieces[] = {16000, 160, 53, 1};
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        start(ES_GAIN_AUTO, 0.0f);
        for (uint32_t second = 0; second < 30; second++) {
            speak(0.001, 0.00001);
            es_gain_apply(&gain, samples, 16000);
        }
        ES_EXPECT(es_gain_db(&gain) > 20.0);
        speak(0.9, 0.0001);
        for (size_t i = 0; i < 16000; i += pieces[p]) {
            const size_t count = 16000 - i < pieces[p] ? 16000 - i : pieces[p];
            es_gain_apply(&gain, samples + i, count);
        }
        ES_EXPECT(peak_of() <= 1.0);
    }
}
