#include "app/options.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

static const struct es_command everything = {
    .name = "transcribe", .accepted = ~0u, .takes_file = true};
static const struct es_command nothing = {.name = "devices", .accepted = 0, .takes_file = false};

static struct es_options options;
static struct es_error error;

/* Parses words split at spaces. */
static enum es_status parse(const struct es_command *command, const char *line) {
    static char words[512];
    static char *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return es_options_parse(&options, command, argc, argv, &error);
}

static void expect_refusal(const struct es_command *command, const char *line, const char *part) {
    ES_EXPECT_EQ(parse(command, line), ES_ERR_USAGE);
    ES_EXPECT_CONTAINS(error.text, part);
}

ES_TEST("without options the defaults hold") {
    ES_EXPECT_EQ(parse(&everything, "transcribe talk.flac"), ES_OK);
    ES_EXPECT_TEXT(options.file, "talk.flac");
    ES_EXPECT_EQ(options.delay_positions, 6);
    ES_EXPECT_EQ(options.format, ES_TRANSCRIPT_TEXT);
    ES_EXPECT_EQ(options.backend, ES_BACKEND_AUTO);
    ES_EXPECT_EQ(options.thread_count, 0);
    ES_EXPECT_EQ(options.cadence_positions, 0); /* auto */
    ES_EXPECT_EQ(options.kv_window, 0);
    ES_EXPECT_EQ(options.kv_memory, ES_KV_MEMORY_AUTO);
    ES_EXPECT(options.force_path == NULL && options.board == NULL);
    ES_EXPECT(!options.is_realtime && !options.has_blank_guard && !options.as_json);
    ES_EXPECT_CONTAINS(options.model_directory, "bringup");
}

ES_TEST("options are taken in any order, before and after the file, with = or a space") {
    ES_EXPECT_EQ(parse(&everything,
                       "transcribe --model m --delay-ms=80 - --format jsonl --realtime "
                       "--threads 3 --backend cpu --force ids --blank-guard"),
                 ES_OK);
    ES_EXPECT_TEXT(options.model_directory, "m");
    ES_EXPECT_TEXT(options.file, "-");
    ES_EXPECT_TEXT(options.force_path, "ids");
    ES_EXPECT_EQ(options.delay_positions, 1);
    ES_EXPECT_EQ(options.format, ES_TRANSCRIPT_JSONL);
    ES_EXPECT_EQ(options.thread_count, 3);
    ES_EXPECT_EQ(options.backend, ES_BACKEND_CPU);
    ES_EXPECT(options.is_realtime && options.has_blank_guard);
    ES_EXPECT_EQ(parse(&everything, "transcribe -- --odd-name"), ES_OK);
    ES_EXPECT_TEXT(options.file, "--odd-name");
}

ES_TEST("every multiple of 80 up to 1200 is a delay, and 2400") {
    char line[64];
    for (uint32_t ms = 0; ms <= 3000; ms++) {
        snprintf(line, sizeof line, "transcribe --delay-ms %u -", ms);
        bool is_valid = ms == 2400 || (ms >= 80 && ms <= 1200 && ms % 80 == 0);
        ES_EXPECT_EQ(parse(&everything, line), is_valid ? ES_OK : ES_ERR_USAGE);
        if (is_valid) {
            ES_EXPECT_EQ(options.delay_positions, ms / 80);
        }
    }
}

ES_TEST("another delay names the nearest valid ones") {
    expect_refusal(&everything, "transcribe --delay-ms 500 -", "nearest are 480 and 560");
    expect_refusal(&everything, "transcribe --delay-ms 0 -", "nearest is 80");
    expect_refusal(&everything, "transcribe --delay-ms 1201 -", "nearest are 1200 and 2400");
    expect_refusal(&everything, "transcribe --delay-ms 1199 -", "nearest are 1120 and 1200");
    expect_refusal(&everything, "transcribe --delay-ms 2401 -", "nearest is 2400");
    expect_refusal(&everything, "transcribe --delay-ms 4294967297 -", "not a number");
    expect_refusal(&everything, "transcribe --delay-ms -80 -", "not a number");
    expect_refusal(&everything, "transcribe --delay-ms 80ms -", "not a number");
}

ES_TEST("what a command does not know is refused by name") {
    expect_refusal(&everything, "transcribe --speed 2 -", "--speed");
    expect_refusal(&everything, "transcribe -v -", "-v");
    expect_refusal(&nothing, "devices --model x", "--model");
    expect_refusal(&everything, "transcribe - --model", "--model: needs a value");
    expect_refusal(&everything, "transcribe --realtime=yes -", "--realtime=yes: takes no value");
    expect_refusal(&everything, "transcribe --format xml -", "text, jsonl or tokens");
    expect_refusal(&everything, "transcribe --backend gpu -", "cpu, cuda or auto");
    expect_refusal(&everything, "transcribe --threads 0 -", "1 to 64");
    expect_refusal(&everything, "transcribe --threads 65 -", "1 to 64");
    expect_refusal(&everything, "transcribe --seconds many -", "--seconds many");
    expect_refusal(&everything, "transcribe", "no recording is named");
    expect_refusal(&everything, "transcribe a b", "b: is one argument too many");
    expect_refusal(&nothing, "devices a", "a: is one argument too many");
}

ES_TEST("--help wins over what follows it") {
    ES_EXPECT_EQ(parse(&everything, "transcribe --help --nonsense"), ES_OK);
    ES_EXPECT(options.wants_help);
    ES_EXPECT_EQ(parse(&nothing, "devices --help"), ES_OK);
    ES_EXPECT(options.wants_help);
}

ES_TEST("cadence, window and memory of the GPU are taken by name, and others refused") {
    ES_EXPECT_EQ(parse(&everything, "transcribe --encoder-cadence 320 --kv-window 128 "
                                    "--kv-memory unified -"),
                 ES_OK);
    ES_EXPECT_EQ(options.cadence_positions, 4);
    ES_EXPECT_EQ(options.kv_window, 128);
    ES_EXPECT_EQ(options.kv_memory, ES_KV_MEMORY_UNIFIED);
    ES_EXPECT_EQ(parse(&everything, "transcribe --encoder-cadence auto --kv-memory shared -"),
                 ES_OK);
    ES_EXPECT_EQ(options.cadence_positions, 0);
    ES_EXPECT_EQ(options.kv_memory, ES_KV_MEMORY_SHARED);
    expect_refusal(&everything, "transcribe --encoder-cadence 240 -", "80, 160 or 320");
    expect_refusal(&everything, "transcribe --kv-memory host -", "auto, unified, device or shared");
    expect_refusal(&everything, "transcribe --kv-window 127 -", "from 128 on");
    expect_refusal(&everything, "transcribe --kv-window all -", "from 128 on");
}
