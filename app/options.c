#include "app/options.h"

#include "platform/bounds.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HELP_VALUE (1 << 30)
#define DELAY_MS_SHORT_MAX 1200u /* the model was trained on 1..15 positions, and on 30 */
#define DELAY_MS_LONG 2400u
#define SECONDS_MAX 86400u

static const struct option all_options[] = {
    {"model", required_argument, NULL, ES_OPTION_MODEL},
    {"backend", required_argument, NULL, ES_OPTION_BACKEND},
    {"delay-ms", required_argument, NULL, ES_OPTION_DELAY},
    {"format", required_argument, NULL, ES_OPTION_FORMAT},
    {"realtime", no_argument, NULL, ES_OPTION_REALTIME},
    {"threads", required_argument, NULL, ES_OPTION_THREADS},
    {"force", required_argument, NULL, ES_OPTION_FORCE},
    {"blank-guard", no_argument, NULL, ES_OPTION_BLANK_GUARD},
    {"board", required_argument, NULL, ES_OPTION_BOARD},
    {"seconds", required_argument, NULL, ES_OPTION_SECONDS},
    {"json", no_argument, NULL, ES_OPTION_JSON},
    {"config", required_argument, NULL, ES_OPTION_CONFIG},
    {"set", required_argument, NULL, ES_OPTION_SET},
    {"root", required_argument, NULL, ES_OPTION_ROOT},
    {"audio", required_argument, NULL, ES_OPTION_AUDIO},
    {"paced", no_argument, NULL, ES_OPTION_PACED},
    {"times", required_argument, NULL, ES_OPTION_TIMES},
    {"encoder-cadence", required_argument, NULL, ES_OPTION_CADENCE},
    {"kv-window", required_argument, NULL, ES_OPTION_KV_WINDOW},
    {"kv-memory", required_argument, NULL, ES_OPTION_KV_MEMORY},
    {"separate-layers", no_argument, NULL, ES_OPTION_SEPARATE},
    {"help", no_argument, NULL, HELP_VALUE},
};
#define OPTION_COUNT (sizeof all_options / sizeof all_options[0])

static bool read_number(const char *text, uint32_t *number) {
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end != '\0' || errno != 0 || value > UINT32_MAX) {
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

/* 80..1200 in steps of 80, or 2400. */
static enum es_status read_delay(const char *text, uint32_t *positions, struct es_error *error) {
    uint32_t ms;
    if (!read_number(text, &ms)) {
        return es_fail(error, ES_ERR_USAGE,
                       "--delay-ms %s: is not a number of milliseconds; give 80 to 1200 in steps "
                       "of 80, or 2400",
                       text);
    }
    bool is_valid = ms == DELAY_MS_LONG ||
                    (ms >= ES_POSITION_MS && ms <= DELAY_MS_SHORT_MAX && ms % ES_POSITION_MS == 0);
    if (is_valid) {
        *positions = ms / ES_POSITION_MS;
        return ES_OK;
    }
    const char *rule = "the model knows 80 to 1200 in steps of 80, and 2400";
    if (ms < ES_POSITION_MS) {
        return es_fail(error, ES_ERR_USAGE, "--delay-ms %u: %s; the nearest is %u", ms, rule,
                       ES_POSITION_MS);
    }
    if (ms > DELAY_MS_LONG) {
        return es_fail(error, ES_ERR_USAGE, "--delay-ms %u: %s; the nearest is %u", ms, rule,
                       DELAY_MS_LONG);
    }
    uint32_t below =
        ms < DELAY_MS_SHORT_MAX ? ms / ES_POSITION_MS * ES_POSITION_MS : DELAY_MS_SHORT_MAX;
    uint32_t above = ms < DELAY_MS_SHORT_MAX ? below + ES_POSITION_MS : DELAY_MS_LONG;
    return es_fail(error, ES_ERR_USAGE, "--delay-ms %u: %s; the nearest are %u and %u", ms, rule,
                   below, above);
}

/* The index of `text` in `words`, or ES_ERR_USAGE with all of them. */
static int read_word(const char *option, const char *text, const char *const *words, int count,
                     const char *listing, struct es_error *error) {
    for (int i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    return es_fail(error, ES_ERR_USAGE, "--%s %s: is not known; give %s", option, text, listing);
}

static enum es_status read_backend(const char *text, struct es_options *options,
                                   struct es_error *error) {
    static const char *const words[] = {"auto", "cpu", "cuda"};
    int index = read_word("backend", text, words, 3, "cpu, cuda or auto", error);
    if (index < 0) {
        return (enum es_status)index;
    }
    options->backend = (enum es_backend_choice)index;
    return ES_OK;
}

static enum es_status read_format(const char *text, struct es_options *options,
                                  struct es_error *error) {
    static const char *const words[] = {"text", "jsonl", "tokens"};
    int index = read_word("format", text, words, 3, "text, jsonl or tokens", error);
    if (index < 0) {
        return (enum es_status)index;
    }
    options->format = (enum es_transcript_format)index;
    return ES_OK;
}

static enum es_status read_cadence(const char *text, struct es_options *options,
                                   struct es_error *error) {
    static const char *const words[] = {"auto", "80", "160", "320"};
    static const uint32_t positions[] = {0, 1, 2, 4};
    int index = read_word("encoder-cadence", text, words, 4,
                          "80, 160 or 320 (milliseconds) or auto", error);
    if (index < 0) {
        return (enum es_status)index;
    }
    options->cadence_positions = positions[index];
    return ES_OK;
}

static enum es_status read_kv_memory(const char *text, struct es_options *options,
                                     struct es_error *error) {
    static const char *const words[] = {"auto", "unified", "device", "shared"};
    int index = read_word("kv-memory", text, words, 4, "auto, unified, device or shared", error);
    if (index < 0) {
        return (enum es_status)index;
    }
    options->kv_memory = (enum es_kv_memory)index;
    return ES_OK;
}

static enum es_status read_kv_window(const char *text, struct es_options *options,
                                     struct es_error *error) {
    if (read_number(text, &options->kv_window) && options->kv_window >= ES_KV_WINDOW_MIN &&
        options->kv_window <= ES_WINDOW_MAX) {
        return ES_OK;
    }
    return es_fail(error, ES_ERR_USAGE,
                   "--kv-window %s: is not a number of positions from %u on, of 80 ms each", text,
                   ES_KV_WINDOW_MIN);
}

static enum es_status read_count(const char *option, const char *text, uint32_t max,
                                 uint32_t *number, struct es_error *error) {
    if (read_number(text, number) && *number >= 1u && *number <= max) {
        return ES_OK;
    }
    return es_fail(error, ES_ERR_USAGE, "--%s %s: is not a number from 1 to %u", option, text, max);
}

static enum es_status take(struct es_options *options, int value, const char *text,
                           struct es_error *error) {
    switch (value) {
    case ES_OPTION_MODEL:
        options->model_directory = text;
        return ES_OK;
    case ES_OPTION_BACKEND:
        return read_backend(text, options, error);
    case ES_OPTION_CADENCE:
        return read_cadence(text, options, error);
    case ES_OPTION_KV_WINDOW:
        return read_kv_window(text, options, error);
    case ES_OPTION_KV_MEMORY:
        return read_kv_memory(text, options, error);
    case ES_OPTION_SEPARATE:
        options->separates_layers = true;
        return ES_OK;
    case ES_OPTION_DELAY:
        return read_delay(text, &options->delay_positions, error);
    case ES_OPTION_FORMAT:
        return read_format(text, options, error);
    case ES_OPTION_REALTIME:
        options->is_realtime = true;
        return ES_OK;
    case ES_OPTION_THREADS:
        return read_count("threads", text, ES_THREAD_COUNT_MAX, &options->thread_count, error);
    case ES_OPTION_FORCE:
        options->force_path = text;
        return ES_OK;
    case ES_OPTION_AUDIO:
        options->audio_path = text;
        return ES_OK;
    case ES_OPTION_PACED:
        options->is_paced = true;
        return ES_OK;
    case ES_OPTION_TIMES:
        options->times_path = text;
        return ES_OK;
    case ES_OPTION_BLANK_GUARD:
        options->has_blank_guard = true;
        return ES_OK;
    case ES_OPTION_BOARD:
        options->board = text;
        return ES_OK;
    case ES_OPTION_SECONDS:
        return read_count("seconds", text, SECONDS_MAX, &options->seconds, error);
    case ES_OPTION_JSON:
        options->as_json = true;
        return ES_OK;
    case ES_OPTION_CONFIG:
        options->config_path = text;
        return ES_OK;
    case ES_OPTION_SET:
        if (options->setting_count == ES_CONFIG_SETTING_COUNT_MAX) {
            return es_fail(error, ES_ERR_USAGE,
                           "--set %s: is one too many (at most %u); use --config", text,
                           ES_CONFIG_SETTING_COUNT_MAX);
        }
        options->settings[options->setting_count++] = text;
        return ES_OK;
    case ES_OPTION_ROOT:
        options->root = text;
        return ES_OK;
    default:
        options->wants_help = true;
        return ES_OK;
    }
}

/* The operands, which getopt has moved to the end. */
static enum es_status take_file(struct es_options *options, const struct es_command *command,
                                int count, char **operands, struct es_error *error) {
    if (command->takes_file && count == 0) {
        return es_fail(error, ES_ERR_USAGE, "%s: %s (see `earshot %s --help`)", command->name,
                       command->file_hint != NULL
                           ? command->file_hint
                           : "no recording is named; give a file, or - for standard input",
                       command->name);
    }
    if (count > (command->takes_file ? 1 : 0)) {
        return es_fail(error, ES_ERR_USAGE,
                       "%s: %s: is one argument too many; see `earshot %s "
                       "--help`",
                       command->name, operands[command->takes_file ? 1 : 0], command->name);
    }
    options->file = command->takes_file ? operands[0] : NULL;
    return ES_OK;
}

/* getopt_long has said '?': optopt is the letter, the value of an option that got an argument it
 * does not take, or 0. */
static enum es_status refuse(const struct es_command *command, const char *word,
                             struct es_error *error) {
    if (optopt > UCHAR_MAX) {
        return es_fail(error, ES_ERR_USAGE, "%s: %s: takes no value; see `earshot %s --help`",
                       command->name, word, command->name);
    }
    const char letter[3] = {'-', (char)optopt, '\0'};
    return es_fail(error, ES_ERR_USAGE,
                   "%s: %s: is no option of this command; see `earshot %s --help`", command->name,
                   optopt != 0 ? letter : word, command->name);
}

enum es_status es_options_parse(struct es_options *options, const struct es_command *command,
                                int argc, char **argv, struct es_error *error) {
    *options = (struct es_options){
        .model_directory = ES_DEFAULT_MODEL_DIR, .delay_positions = 6, .seconds = 60, .root = ""};
    struct option accepted[OPTION_COUNT + 1u] = {{0}};
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (all_options[i].val == HELP_VALUE ||
            (command->accepted & (uint32_t)all_options[i].val) != 0) {
            accepted[count++] = all_options[i];
        }
    }
    opterr = 0; /* the message is ours */
    optind = 0; /* glibc: start over, whatever was parsed before */
    int value;
    while ((value = getopt_long(argc, argv, ":", accepted, NULL)) != -1) {
        if (value == ':') {
            return es_fail(error, ES_ERR_USAGE, "%s: %s: needs a value; see `earshot %s --help`",
                           command->name, argv[optind - 1], command->name);
        }
        if (value == '?') {
            return refuse(command, argv[optind - 1], error);
        }
        enum es_status status = take(options, value, optarg, error);
        if (status != ES_OK || options->wants_help) {
            return status;
        }
    }
    return take_file(options, command, argc - optind, argv + optind, error);
}
