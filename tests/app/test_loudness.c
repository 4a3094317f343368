#include "app/loudness.h"

#include "audio/mel.h"
#include "audio/pcm.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* -- people's words: the bundled recordings ---------------------------------------------------- */

#define RECORDINGS ES_SOURCE_DIR "/models/bringup/recordings/"
#define SAMPLES_MAX (16000u * 20u)

static float pcm[SAMPLES_MAX];

static uint32_t read_recording(const char *name) {
    char path[512];
    struct es_pcm *source;
    struct es_error error;
    snprintf(path, sizeof path, RECORDINGS "%s", name);
    ES_EXPECT_EQ(es_pcm_open_file(&source, path, &error), ES_OK);
    uint32_t used = 0;
    int count;
    while ((count = es_pcm_read(source, pcm + used, SAMPLES_MAX - used, &error)) > 0) {
        used += (uint32_t)count;
        ES_EXPECT(used < SAMPLES_MAX);
    }
    es_pcm_close(source);
    return used;
}

static void hear(uint32_t sample_count) {
    static float frames[(SAMPLES_MAX / ES_MEL_HOP + 2u) * 128u];
    static float silence[ES_LEFT_PAD_POSITIONS * ES_POSITION_SAMPLES];
    struct es_mel_config config = {.bin_count = 128, .log_mel_max = 1.5f};
    struct es_mel_layout layout;
    struct es_plan plan;
    struct es_arena arena;
    struct es_mel *mel;
    struct es_error error;
    es_plan_init(&plan);
    es_mel_layout(&config, &plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_mel_init(&mel, &config, &layout, &arena);
    es_loudness_reset(&loudness);
    size_t count = es_mel_push(mel, silence, sizeof silence / sizeof *silence, frames);
    es_loudness_push(&loudness, frames, count, 128);
    count = es_mel_push(mel, pcm, sample_count, frames);
    es_loudness_push(&loudness, frames, count, 128);
    es_arena_release(&arena);
}

/* Another way to the same thing: 20 ms of samples against 30 dB below the word's loudest. */
static uint32_t energy_onset_ms(uint32_t earliest_ms, uint32_t end_ms) {
    double energies[400] = {0};
    double peak = 0;
    uint32_t first = end_ms > 1500u && end_ms - 1500u > earliest_ms ? end_ms - 1500u : earliest_ms;
    uint32_t count = (end_ms - first) / 10u;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < 320; k++) {
            double x = pcm[(first + 10u * i) * 16u + k];
            energies[i] += x * x;
        }
        peak = energies[i] > peak ? energies[i] : peak;
    }
    uint32_t onset = count;
    for (uint32_t i = count; i > 0; i--) {
        if (energies[i - 1u] > peak * 1e-3) {
            onset = i - 1u;
        } else if (onset < count && onset - i > 15u) {
            break;
        }
    }
    return first + 10u * onset;
}

ES_TEST("starts of people's words agree with a detector that looks at the samples") {
    char line[512];
    FILE *table = fopen(RECORDINGS "recordings.tsv", "r");
    ES_EXPECT(table != NULL);
    ES_EXPECT(fgets(line, sizeof line, table) != NULL); /* the heads of the columns */
    uint32_t word_count = 0, near_count = 0;
    double sum_ms = 0, worst_ms = 0;
    while (fgets(line, sizeof line, table) != NULL) {
        char *name = strtok(line, "\t");
        (void)strtok(NULL, "\t");
        (void)strtok(NULL, "\t");
        char *ends = strtok(NULL, "\t\n");
        ES_EXPECT(name != NULL && ends != NULL);
        hear(read_recording(name));
        uint32_t last_end_ms = 0;
        for (char *at = ends; *at != '\0';) {
            uint32_t true_end_ms = (uint32_t)strtoul(at, &at, 10);
            /* As the model says it: the end of the position in which the word ends. */
            uint32_t end_ms = (true_end_ms + 79u) / 80u * 80u;
            double start_ms = (double)es_loudness_onset_ms(&loudness, last_end_ms, end_ms);
            double off_ms = start_ms - energy_onset_ms(last_end_ms, end_ms);
            word_count++;
            near_count += fabs(off_ms) <= 120.0;
            sum_ms += fabs(off_ms);
            worst_ms = fabs(off_ms) > fabs(worst_ms) ? off_ms : worst_ms;
            last_end_ms = end_ms;
        }
    }
    fclose(table);
    es_test_note("%u words: mean difference %.0f ms, worst %+.0f ms, %u within 120 ms", word_count,
                 sum_ms / word_count, worst_ms, near_count);
    ES_EXPECT(word_count >= 25);
    ES_EXPECT(near_count * 10u >= word_count * 8u);
}
