#include "app/loudness.h"

#include "tests/support/test.h"

#define BINS 4u

static struct es_loudness loudness;

/* Frames of recording time ms / 10 .. end / 10 at one level. */
static void add(float level, uint32_t duration_ms) {
    float frame[BINS];
    for (uint32_t t = 0; t < duration_ms / 10u; t++) {
        for (uint32_t bin = 0; bin < BINS; bin++) {
            frame[bin] = level + (bin % 2u == 0 ? 0.05f : -0.05f);
        }
        es_loudness_push(&loudness, frame, 1, BINS);
    }
}

static void start(void) {
    es_loudness_reset(&loudness);
    add(-0.625f, 2560); /* the left pad: it is before the recording, so it is no floor */
}

ES_TEST("a word in digital silence starts where the silence ends") {
    start();
    add(-0.625f, 1000);
    add(0.5f, 400);
    add(-0.625f, 1000);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 1440), 1000);
}

ES_TEST("a word in steady noise starts where it rises out of the noise") {
    start();
    add(0.1f, 3000);
    add(0.3f, 100); /* its soft beginning */
    add(0.6f, 300);
    add(0.1f, 500);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 3440), 3000);
}

ES_TEST("the closure of a stop consonant does not cut a word, a pause does") {
    start();
    add(-0.625f, 1000);
    add(0.5f, 150);
    add(-0.5f, 110); /* "s-t-op" */
    add(0.6f, 200);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 1460), 1000);
    start();
    add(-0.625f, 1000);
    add(0.5f, 150);
    add(-0.625f, 200);
    add(0.6f, 200);
    add(-0.625f, 500);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 1600), 1350);
}

ES_TEST("a start is never before the end of the word before it") {
    start();
    add(-0.625f, 1000);
    add(0.5f, 900); /* two words without a pause */
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 1480, 1900), 1480);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 1900, 1900), 1900);
}

ES_TEST("where nothing stands out the start is a nominal word before the end") {
    start();
    add(0.2f, 5000);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 4000), 4000 - ES_WORD_NOMINAL_MS);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 3900, 4000), 3900);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 160), 0);
}

ES_TEST("a start is searched two seconds back and no further") {
    start();
    add(-0.625f, 1000);
    add(0.5f, 3500);
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 0, 4500), 4500 - ES_WORD_MS_MAX);
}

ES_TEST("hours later the ring still knows the last seconds") {
    start();
    for (uint32_t second = 0; second < 7200; second++) {
        add(-0.625f, 1000);
    }
    add(0.5f, 300);
    add(-0.625f, 9000); /* a chunk and the longest delay went by */
    ES_EXPECT_EQ(es_loudness_onset_ms(&loudness, 7100000, 7200320), 7200000);
}
