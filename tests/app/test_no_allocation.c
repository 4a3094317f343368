/* The promise of the freeze, kept by the whole of `earshot transcribe` as people run it: each case
 * is a child process, because a freeze is for ever. */
#include "app/commands.h"
#include "audio/pcm.h"
#include "platform/arena.h"
#include "tests/support/allocation_watch.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RATE 16000u
#define BRINGUP ES_SOURCE_DIR "/models/bringup"

/* Sanitizers make the engine ten times slower; ten minutes are for the build that people run. */
#ifdef ES_UNDER_SANITIZER
#define UNIT_SECONDS 10u
#define LONG_SECONDS 20u
#else
#define UNIT_SECONDS 60u
#define LONG_SECONDS 600u
#endif
#define UNIT_SAMPLES (UNIT_SECONDS * RATE)

struct outcome {
    struct es_allocation_counts counts;
    enum es_status status;
    struct es_error error;
    uint64_t output_lines;
};

/* A unit of the bundled recordings, one after another, under noise that swells like speech. */
static const short *speech(void) {
    static short samples[UNIT_SAMPLES];
    static const char *const names[] = {"commands_one_speaker", "digits_one_speaker",
                                        "commands_several_speakers", "digits_several_speakers",
                                        "other_words"};
    static float block[4096];
    size_t used = 0;
    for (size_t i = 0; used < UNIT_SAMPLES; i = (i + 1u) % 5u) {
        char path[512];
        snprintf(path, sizeof path, BRINGUP "/recordings/%s.flac", names[i]);
        struct es_pcm *source;
        struct es_error error;
        ES_EXPECT_EQ(es_pcm_open_file(&source, path, &error), ES_OK);
        int count;
        while (used < UNIT_SAMPLES && (count = es_pcm_read(source, block, 4096, &error)) > 0) {
            for (int k = 0; k < count && used < UNIT_SAMPLES; k++, used++) {
                uint32_t noise = (uint32_t)used * 2654435761u;
                noise ^= noise >> 15;
                noise *= 2246822519u;
                float swell = 0.02f * (1.0f + (float)sin((double)used / RATE * 6.28 * 3.1));
                float value = block[k] + swell * ((float)(noise >> 8) / 16777216.0f - 0.5f);
                samples[used] = (short)(32767.0f * fmaxf(-1.0f, fminf(1.0f, value)));
            }
        }
        es_pcm_close(source);
    }
    return samples;
}

static const char *path_in_test_directory(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", es_test_directory(), name);
    return path;
}

static void write_raw(const char *path, uint32_t seconds) {
    const short *unit = speech();
    FILE *file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    for (uint32_t done = 0; done < seconds; done += UNIT_SECONDS) {
        ES_EXPECT_EQ(fwrite(unit, sizeof *unit, UNIT_SAMPLES, file), UNIT_SAMPLES);
    }
    ES_EXPECT(fclose(file) == 0);
}

/* Three times the unit, said to be at `rate` Hz, in `channel_count` equal channels. */
static void write_sound(const char *path, int format, int rate, int channel_count) {
    const short *unit = speech();
    SF_INFO info = {.samplerate = rate, .channels = channel_count, .format = format};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    ES_EXPECT(file != NULL);
    short frame[2];
    for (uint32_t i = 0; i < 3u * UNIT_SAMPLES; i++) {
        frame[0] = frame[1] = unit[i % UNIT_SAMPLES];
        ES_EXPECT_EQ(sf_writef_short(file, frame, 1), 1);
    }
    ES_EXPECT(sf_close(file) == 0);
}

/* What the child does: the command itself, its input and output redirected. */
static void transcribe(const char *path, bool is_raw, enum es_transcript_format format,
                       struct outcome *outcome) {
    int out = open(path_in_test_directory("output"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    int in = open(is_raw ? path : "/dev/null", O_RDONLY);
    if (out < 0 || in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0) {
        _exit(1);
    }
    struct es_options options = {.model_directory = BRINGUP,
                                 .delay_positions = 6,
                                 .format = format,
                                 .has_blank_guard = true,
                                 .file = is_raw ? "-" : path};
    es_allocation_watch_start();
    outcome->status = es_command_transcribe.run(&options, &outcome->error);
    outcome->counts = es_allocation_watch_counts();
    char block[4096];
    ssize_t count;
    (void)lseek(out, 0, SEEK_SET);
    while ((count = read(out, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            outcome->output_lines += block[i] == '\n';
        }
    }
    _exit(0);
}

static struct outcome *run(const char *path, bool is_raw, enum es_transcript_format format) {
    static struct outcome *outcome;
    if (outcome == NULL) {
        outcome =
            mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ES_EXPECT(outcome != MAP_FAILED);
    }
    memset(outcome, 0, sizeof *outcome);
    fflush(stdout);
    pid_t child = fork();
    ES_EXPECT(child >= 0);
    if (child == 0) {
        transcribe(path, is_raw, format, outcome);
    }
    int status;
    ES_EXPECT(waitpid(child, &status, 0) == child);
    ES_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (outcome->status != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "transcribe: %s", outcome->error.text);
    }
    return outcome;
}

static void expect_no_allocation(const struct outcome *outcome) {
    if (outcome->counts.product_count != 0) {
        es_test_fail(__FILE__, __LINE__,
                     "%llu allocations after the freeze, the first of %zu bytes "
                     "by %p",
                     (unsigned long long)outcome->counts.product_count,
                     outcome->counts.product_bytes, outcome->counts.product_caller);
    }
}

ES_TEST("ten minutes of raw audio (20 s under a sanitizer): nothing allocates after the freeze") {
    char path[256];
    snprintf(path, sizeof path, "%s", path_in_test_directory("long.raw"));
    write_raw(path, LONG_SECONDS);
    const struct outcome *outcome = run(path, true, ES_TRANSCRIPT_JSONL);
    expect_no_allocation(outcome);
    ES_EXPECT_EQ(outcome->counts.decoder_count, 0); /* raw samples need no decoder */
    ES_EXPECT(outcome->output_lines > LONG_SECONDS / 3u);
    es_test_note("%u s of audio, %llu words, 0 allocations", LONG_SECONDS,
                 (unsigned long long)outcome->output_lines - 1u);
}

ES_TEST("the other formats allocate nothing either") {
    char path[256];
    snprintf(path, sizeof path, "%s", path_in_test_directory("unit.raw"));
    write_raw(path, UNIT_SECONDS);
    const struct outcome *outcome = run(path, true, ES_TRANSCRIPT_TEXT);
    expect_no_allocation(outcome);
    ES_EXPECT_EQ(outcome->output_lines, 1);
    outcome = run(path, true, ES_TRANSCRIPT_TOKENS);
    expect_no_allocation(outcome);
    ES_EXPECT_EQ(outcome->output_lines, UNIT_SAMPLES / 1280u + 11u);
}

static void expect_flat_decoder(const char *name, const char *path) {
    const struct outcome *outcome = run(path, false, ES_TRANSCRIPT_TEXT);
    expect_no_allocation(outcome);
    ES_EXPECT(outcome->counts.read_count >
              UNIT_SAMPLES / (ES_ENCODE_POSITIONS_MAX * ES_POSITION_SAMPLES));
    es_test_note("%s: the decoder made %llu allocations in %llu reads; the heap grew by %lld bytes "
                 "in the first four, by %lld in the others",
                 name, (unsigned long long)outcome->counts.decoder_count,
                 (unsigned long long)outcome->counts.read_count,
                 (long long)outcome->counts.early_bytes_max,
                 (long long)outcome->counts.late_bytes_max);
    ES_EXPECT(outcome->counts.late_bytes_max <= outcome->counts.early_bytes_max);
}

ES_TEST("what decodes a FLAC file may allocate under its own name, and stays flat") {
    char path[256];
    snprintf(path, sizeof path, "%s", path_in_test_directory("units.flac"));
    write_sound(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, 1);
    expect_flat_decoder("flac", path);
}

ES_TEST("what resamples 44.1 kHz stereo may allocate under its own name, and stays flat") {
    char path[256];
    snprintf(path, sizeof path, "%s", path_in_test_directory("units.wav"));
    write_sound(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 2);
    expect_flat_decoder("44.1 kHz", path);
}

ES_TEST("the watch sees an allocation after the freeze") {
    pid_t child = fork();
    ES_EXPECT(child >= 0);
    if (child == 0) {
        es_allocation_watch_start();
        void *volatile before = malloc(100);
        uint64_t unfrozen_count = es_allocation_watch_counts().product_count;
        es_freeze();
        void *volatile after = malloc(200);
        struct es_allocation_counts counts = es_allocation_watch_counts();
        free(before);
        free(after);
        _exit(unfrozen_count == 0 && counts.product_count == 1 && counts.product_bytes == 200 ? 0
                                                                                              : 1);
    }
    int status;
    ES_EXPECT(waitpid(child, &status, 0) == child);
    ES_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
