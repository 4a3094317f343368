/* capture_bench - what hearing costs: seconds of sound per second of one core.
 *
 *   build/release/capture_bench [SECONDS]
 *
 * Frames in periods of 10 ms go through what the capture thread does with them: conversion, the
 * average of the channels, level, resampling, gain, ring. The card itself costs nothing here. */
#include "audio/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAMES_MAX 1920u

static struct es_intake intake;
static struct es_ring ring;
static struct es_loss_queue losses;
static unsigned char frames[FRAMES_MAX * 8u * 4u];

static double cpu_seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int measure(uint32_t rate, uint32_t channel_count, enum es_sample_format format,
                   enum es_gain_mode gain, uint32_t seconds) {
    const struct es_card_setup setup = {
        .name = "bench", .rate = rate, .channel_count = channel_count, .format = format};
    struct es_error error;
    intake.gain_config.mode = gain;
    es_intake_reset(&intake);
    if (es_intake_open(&intake, &setup, &error) != ES_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    const uint32_t period = rate / 100;
    const double start = cpu_seconds();
    for (uint32_t i = 0; i < seconds * 100; i++) {
        es_intake_frames(&intake, frames, period);
        (void)es_ring_skip(&ring, ES_RING_SAMPLES);
    }
    const double spent = cpu_seconds() - start;
    (void)printf("%6u Hz, %u channels, %-5s, gain %s: %6.0f s of sound per CPU second (%.3f %% of "
                 "one core)\n",
                 rate, channel_count, es_sample_format_name(format),
                 gain == ES_GAIN_AUTO ? "auto" : "off ", seconds / spent, 100.0 * spent / seconds);
    return 0;
}

int main(int count, char **words) {
    const long seconds = count > 1 ? strtol(words[1], NULL, 10) : 300;
    if (seconds < 1 || seconds > 100000) {
        (void)fprintf(stderr, "capture_bench: seconds: 1 to 100000\n");
        return 2;
    }
    struct es_plan plan;
    struct es_arena arena;
    struct es_ring_layout layout;
    struct es_error error;
    es_plan_init(&plan);
    es_ring_layout("ring", ES_RING_SAMPLES, &plan, &layout);
    if (es_arena_reserve(&arena, &plan, &error) != ES_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 4;
    }
    es_ring_init(&ring, &layout, &arena);
    es_loss_reset(&losses);
    intake.ring = &ring;
    intake.losses = &losses;
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof frames; i++) {
        random = random * 1664525u + 1013904223u;
        frames[i] = (unsigned char)(random >> 24);
    }
    const uint32_t s = (uint32_t)seconds;
    int failed = measure(48000, 2, ES_SAMPLE_S16, ES_GAIN_OFF, s);
    failed |= measure(48000, 2, ES_SAMPLE_S16, ES_GAIN_AUTO, s);
    failed |= measure(44100, 2, ES_SAMPLE_S24_3, ES_GAIN_OFF, s);
    failed |= measure(48000, 1, ES_SAMPLE_S32, ES_GAIN_OFF, s);
    failed |= measure(192000, 8, ES_SAMPLE_S32, ES_GAIN_OFF, s);
    es_intake_close(&intake);
    es_arena_release(&arena);
    return failed;
}
