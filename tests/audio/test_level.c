#include "audio/level.h"
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

static struct es_level level;
static float samples[48000];

static void fill_sine(size_t count, double height, double offset) {
    for (size_t i = 0; i < count; i++) {
        samples[i] = (float)(offset + height * sin(2.0 * acos(-1.0) * (double)i / 48.0));
    }
}

ES_TEST("a sine of height h has peak h and rms h / sqrt 2, and an offset stands apart") {
    es_level_reset(&level, 48000);
    fill_sine(4800, 0.5, 0.25);
    ES_EXPECT(!es_level_push(&level, samples, 4799, 0));
    ES_EXPECT(es_level_push(&level, samples + 4799, 1, 0));
    ES_EXPECT_NEAR(level.window.peak, 0.75, 1e-6);
    ES_EXPECT_NEAR(level.window.rms, 0.5 / sqrt(2.0), 1e-6);
    ES_EXPECT_NEAR(level.window.offset, 0.25, 1e-6);
}

ES_TEST("the cut of the input does not matter") {
    struct es_level other;
    es_level_reset(&level, 44100);
    es_level_reset(&other, 44100);
    for (size_t i = 0; i < 48000; i++) {
        samples[i] = (float)sin((double)i * (double)i * 1e-6);
    }
    (void)es_level_push(&level, samples, 48000, 3);
    for (size_t i = 0; i < 48000; i += 37) {
        const size_t count = 48000 - i < 37 ? 48000 - i : 37;
        (void)es_level_push(&other, samples + i, count, i == 0 ? 3 : 0);
    }
    ES_EXPECT(memcmp(&level.window, &other.window, sizeof level.window) == 0);
}

ES_TEST("the floor is the quietest window of the last ten to twenty seconds") {
    es_level_reset(&level, 48000);
    fill_sine(4800, 0.001, 0.0);
    (void)es_level_push(&level, samples, 4800, 0);
    fill_sine(4800, 0.1, 0.0);
    for (uint32_t i = 1; i < 100; i++) {
        (void)es_level_push(&level, samples, 4800, 0);
        ES_EXPECT_NEAR(level.window.floor_rms, 0.001 / sqrt(2.0), 1e-6);
    }
    for (uint32_t i = 0; i < 101; i++) {
        (void)es_level_push(&level, samples, 4800, 0);
    }
    ES_EXPECT_NEAR(level.window.floor_rms, 0.1 / sqrt(2.0), 1e-5);
}

ES_TEST("digital zero and any other stuck number is told from quiet, to the millisecond") {
    es_level_reset(&level, 16000);
    memset(samples, 0, sizeof samples);
    for (uint32_t i = 0; i < 10; i++) {
        (void)es_level_push(&level, samples, 16000, 0);
    }
    ES_EXPECT_EQ(level.window.flat_ms, 10000);
    ES_EXPECT(level.window.rms == 0.0f);
    samples[0] = 1.0f / 32768.0f;
    (void)es_level_push(&level, samples, 1, 0);
    ES_EXPECT_EQ(level.window.flat_ms, 0);
    for (size_t i = 0; i < 16001; i++) {
        samples[i] = 0.5f;
    }
    (void)es_level_push(&level, samples, 16001, 0);
    ES_EXPECT_EQ(level.window.flat_ms, 1000);
    ES_EXPECT(level.window.rms < 1e-3f || level.window.offset > 0.4f);
}

ES_TEST("clipped frames are counted from the reset on") {
    es_level_reset(&level, 16000);
    (void)es_level_push(&level, samples, 100, 7);
    (void)es_level_push(&level, samples, 100, 5);
    ES_EXPECT_EQ(level.window.clipped_count, 12);
    es_level_reset(&level, 16000);
    ES_EXPECT_EQ(level.window.clipped_count, 0);
}

ES_TEST("decibels have a bottom") {
    ES_EXPECT_NEAR(es_level_db(1.0f), 0.0, 1e-9);
    ES_EXPECT_NEAR(es_level_db(0.001f), -60.0, 1e-4);
    ES_EXPECT_NEAR(es_level_db(0.0f), -200.0, 1e-9);
}
