/* options.h - the command line after the command's name, checked.
 *
 *   struct es_options options;
 *   status = es_options_parse(&options, &command, argc, argv, &error);
 *
 * Every command names the options that it takes; anything else is ES_ERR_USAGE with one line that
 * says what and points to --help. Strings are borrowed from argv. */
#pragma once

#include "app/backends.h"
#include "app/transcript.h"
#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>

/* From 256 on: below, getopt means a letter. */
enum es_option {
    ES_OPTION_MODEL = 1 << 8,
    ES_OPTION_BACKEND = 1 << 9,
    ES_OPTION_DELAY = 1 << 10,
    ES_OPTION_FORMAT = 1 << 11,
    ES_OPTION_REALTIME = 1 << 12,
    ES_OPTION_THREADS = 1 << 13,
    ES_OPTION_FORCE = 1 << 14,
    ES_OPTION_BLANK_GUARD = 1 << 15,
    ES_OPTION_BOARD = 1 << 16,
    ES_OPTION_SECONDS = 1 << 17,
    ES_OPTION_JSON = 1 << 18,
    ES_OPTION_CONFIG = 1 << 19,
    ES_OPTION_SET = 1 << 20,
    ES_OPTION_ROOT = 1 << 21,
    ES_OPTION_AUDIO = 1 << 22,
    ES_OPTION_PACED = 1 << 23,
    ES_OPTION_TIMES = 1 << 24,
    ES_OPTION_CADENCE = 1 << 25,
    ES_OPTION_KV_WINDOW = 1 << 26,
    ES_OPTION_KV_MEMORY = 1 << 27,
    ES_OPTION_SEPARATE = 1 << 28,
};

struct es_options {
    const char *model_directory; /* default: the bring-up model */
    enum es_backend_choice backend;
    uint32_t cadence_positions;  /* 1, 2 or 4; 0: auto */
    uint32_t kv_window;          /* 0: the model's own */
    enum es_kv_memory kv_memory; /* default: auto */
    uint32_t delay_positions;    /* default: 6, 480 ms */
    enum es_transcript_format format;
    bool is_realtime;
    bool separates_layers;
    uint32_t thread_count;  /* 0: as many as the process may run on */
    const char *force_path; /* NULL without --force */
    bool has_blank_guard;
    const char *board; /* NULL without --board */
    uint32_t seconds;
    bool as_json;
    const char *audio_path; /* of bench; NULL: a synthetic sound */
    bool is_paced;
    const char *times_path;                            /* NULL without --times */
    const char *config_path;                           /* NULL without --config */
    const char *settings[ES_CONFIG_SETTING_COUNT_MAX]; /* of --set, in order */
    uint32_t setting_count;
    const char *root; /* before /sys, /proc and /dev; "" for the real ones */
    bool wants_help;
    const char *file; /* the operand, "-" for standard input; NULL for none */
};

struct es_command {
    const char *name;
    const char *summary;   /* one line for the list of commands */
    const char *help;      /* what --help prints */
    uint32_t accepted;     /* enum es_option, or-ed */
    bool takes_file;       /* exactly one operand; otherwise none */
    const char *file_hint; /* where it is missing: what it is, what to give; NULL: a recording */
    enum es_status (*run)(const struct es_options *options, struct es_error *error);
};

/* argv[0] is the command's name. ES_ERR_USAGE, or ES_OK (with wants_help, nothing else counts). */
ES_MUST_CHECK enum es_status es_options_parse(struct es_options *options,
                                              const struct es_command *command, int argc,
                                              char **argv, struct es_error *error);
