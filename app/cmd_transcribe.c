#include "app/boot.h"
#include "app/commands.h"
#include "app/forced_ids.h"
#include "app/interrupt.h"
#include "audio/pcm.h"
#include "board/board.h"
#include "platform/clock.h"
#include "platform/log.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE_NS (1000000000u / ES_SAMPLE_RATE)
#define SAMPLES_PER_MS (ES_SAMPLE_RATE / 1000u)

struct session {
    const struct es_options *options;
    struct es_boot boot;
    struct es_pcm *source;
    bool has_ended;             /* the recording has */
    enum es_status read_status; /* how */
    struct es_output output;
    struct es_transcript transcript;
    struct es_forced_ids forced;
    uint64_t token_count;
    bool is_forced_short; /* an id was needed that the file does not have */
    uint64_t start_ns;
    uint64_t lag_ns_max;
};

/* Large, and one per process. */
static struct session session;

static bool is_stdin(const struct session *s) {
    return strcmp(s->options->file, "-") == 0;
}

static void on_frames(void *context, const float *frames, size_t frame_count, uint32_t bin_count) {
    struct session *s = context;
    es_transcript_hear(&s->transcript, frames, frame_count, bin_count);
}

static void on_token(void *context, const struct es_token *token) {
    struct session *s = context;
    uint64_t decision_index = s->token_count++;
    /* The last decision's id is fed to nobody, so a file may lack that one. */
    if (s->options->force_path != NULL && decision_index > s->forced.id_count) {
        s->is_forced_short = true;
        return;
    }
    es_transcript_token(&s->transcript, token);
}

static int32_t forced_id(void *context, uint64_t decision_index) {
    const struct session *s = context;
    return decision_index < s->forced.id_count ? s->forced.ids[decision_index] : -1;
}

/* --realtime: a block is there when its last sample would have been spoken. */
static void pace(struct session *s, uint64_t sample_count) {
    uint64_t deadline_ns = s->start_ns + sample_count * SAMPLE_NS;
    while (es_clock_ns() < deadline_ns && !es_interrupt_came()) {
        es_clock_sleep_until(deadline_ns);
    }
}

static void measure_lag(struct session *s, uint64_t sample_count) {
    uint64_t deadline_ns = s->start_ns + sample_count * SAMPLE_NS;
    uint64_t now_ns = es_clock_ns();
    if (now_ns > deadline_ns && now_ns - deadline_ns > s->lag_ns_max) {
        s->lag_ns_max = now_ns - deadline_ns;
    }
}

static enum es_status check_progress(struct session *s, struct es_error *error) {
    if (s->is_forced_short) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: line %llu: is missing; the recording has more decisions than the file "
                       "has ids",
                       s->options->force_path, (unsigned long long)s->forced.id_count + 1u);
    }
    return es_output_flush(&s->output, error);
}

/* Whether a read would wait for a speaker; a file never does. */
static bool has_more_now(const struct session *s) {
    if (!is_stdin(s)) {
        return true;
    }
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

/* Fills the block with what is there, for the encoder reads its weights once per block: all of it
 * from a file, what has come so far from a pipe. Returns the number of samples; the recording's end
 * or failure goes to `read_status`, and its line to `error`. */
static size_t read_block(struct session *s, size_t want, struct es_error *error) {
    float *pcm = s->boot.pipeline.pcm;
    size_t sample_count = 0;
    while (sample_count < want && !es_interrupt_came() && (sample_count == 0 || has_more_now(s))) {
        int count = es_pcm_read(s->source, pcm + sample_count, want - sample_count, error);
        if (count == ES_ERR_INTERRUPTED) {
            continue;
        }
        if (count <= 0) {
            s->has_ended = true;
            s->read_status = (enum es_status)count;
            break;
        }
        sample_count += (size_t)count;
    }
    return sample_count;
}

/* Until the recording ends, fails or is interrupted: its own fate is in read_status, and what it
 * gave before is transcribed all the same. */
static enum es_status push_recording(struct session *s, struct es_error *error) {
    struct es_pipeline *pipeline = &s->boot.pipeline;
    size_t want = s->options->is_realtime ? ES_POSITION_SAMPLES : pipeline->block_samples;
    s->start_ns = es_clock_ns();
    while (!s->has_ended && !es_interrupt_came()) {
        size_t count = read_block(s, want, error);
        uint64_t sample_count = pipeline->sample_count + count;
        if (s->options->is_realtime) {
            pace(s, sample_count);
        }
        s->transcript.audio_ms = sample_count / SAMPLES_PER_MS;
        struct es_error push_error;
        enum es_status status = es_pipeline_push(pipeline, pipeline->pcm, count, &push_error);
        if (status == ES_OK) {
            status = check_progress(s, &push_error);
        }
        if (status != ES_OK) {
            *error = push_error;
            return status;
        }
        if (s->options->is_realtime) {
            measure_lag(s, sample_count);
        }
    }
    return ES_OK;
}

static void warn_of_leftovers(const struct session *s) {
    if (s->lag_ns_max > ES_POSITION_MS * 1000000ull) {
        es_log(
            ES_LOG_WARNING,
            "fell behind real time by up to %llu ms; give more --threads, or use a smaller model",
            (unsigned long long)(s->lag_ns_max / 1000000u));
    }
    if (s->options->force_path != NULL && s->forced.id_count > s->token_count) {
        es_log(ES_LOG_WARNING, "%s: %llu ids were not needed; is it for this recording?",
               s->options->force_path, (unsigned long long)(s->forced.id_count - s->token_count));
    }
}

static enum es_status transcribe(struct session *s, struct es_error *error) {
    uint32_t cadence = s->options->cadence_positions > 0 ? s->options->cadence_positions
                                                         : es_forecast_cadence(&s->boot.forecast);
    struct es_pipeline_options options = {
        .stream = {.delay_positions = s->options->delay_positions,
                   .cadence_positions = s->options->is_realtime ? cadence : 0,
                   .blank_guard = s->options->has_blank_guard,
                   .on_token = on_token,
                   .forced_id = s->options->force_path != NULL ? forced_id : NULL,
                   .context = s},
        .on_frames = on_frames,
    };
    enum es_status status = es_pipeline_start(&s->boot.pipeline, &options, error);
    if (status != ES_OK) {
        return status;
    }
    status = push_recording(s, error);
    if (status != ES_OK) {
        return status;
    }
    if (es_interrupt_came()) {
        s->read_status = ES_ERR_INTERRUPTED;
        error->text[0] = '\0';
    }
    if (s->boot.pipeline.sample_count == 0) {
        return s->read_status != ES_OK
                   ? s->read_status
                   : es_fail(error, ES_ERR_INPUT, "%s: holds no samples; give a recording",
                             is_stdin(s) ? "standard input" : s->options->file);
    }
    /* The reader's line, if any, waits in `error`: the rest must not overwrite it. */
    struct es_error finish_error = {{0}};
    s->transcript.is_interrupted = s->read_status == ES_ERR_INTERRUPTED;
    status = es_pipeline_finish(&s->boot.pipeline, &finish_error);
    if (status == ES_OK) {
        es_transcript_finish(&s->transcript);
        status = check_progress(s, &finish_error);
    }
    if (status != ES_OK) {
        *error = finish_error;
        return status;
    }
    warn_of_leftovers(s);
    return s->read_status;
}

static enum es_status open_source(struct session *s, struct es_error *error) {
    if (is_stdin(s)) {
        return es_pcm_open_raw(&s->source, STDIN_FILENO, "standard input", error);
    }
    return es_pcm_open_file(&s->source, s->options->file, error);
}

/* A live stream that can only fall behind is refused before it begins. */
static enum es_status check_speed(const struct session *s, struct es_error *error) {
    enum es_status status = es_forecast_check(&s->boot.forecast, "this board", error);
    return status == ES_OK ? ES_OK : ES_ERR_HARDWARE;
}

static enum es_status boot_and_transcribe(struct session *s, struct es_error *error) {
    struct es_boot_options boot_options = {
        .model_directory = s->options->model_directory,
        .thread_count = s->options->thread_count,
        .encode_positions_max = ES_ENCODE_POSITIONS_MAX,
        .backend = s->options->backend,
        .kv_memory = s->options->kv_memory,
        .kv_window = s->options->kv_window,
        .separates_layers = s->options->separates_layers,
        .delay_positions = s->options->delay_positions,
        .memory_bytes_per_s = es_memory_bytes_per_s_now(es_board_detect(""), ""),
    };
    enum es_status status = es_boot_plan(&s->boot, &boot_options, error);
    if (status == ES_OK && s->options->is_realtime && s->boot.backends.cuda != NULL) {
        status = check_speed(s, error);
    }
    if (status == ES_OK && s->options->force_path != NULL) {
        status =
            es_forced_ids_read(&s->forced, s->options->force_path, s->boot.model.vocab_size, error);
    }
    if (status == ES_OK) {
        status = open_source(s, error);
    }
    if (status == ES_OK) {
        status = es_boot_start(&s->boot, error);
    }
    if (status != ES_OK) {
        return status;
    }
    if (!s->boot.is_locked) {
        es_log(ES_LOG_WARNING,
               "memory is not locked: the limit is below the plan's %zu MiB, so it may be swapped "
               "out; raise it with `ulimit -l unlimited` (in a unit: LimitMEMLOCK=infinity)",
               s->boot.arena.reserved_bytes[ES_MEM_HOST] >> 20);
    }
    es_output_init(&s->output, STDOUT_FILENO, "standard output");
    struct es_transcript_config config = {
        .format = s->options->force_path != NULL ? ES_TRANSCRIPT_MARGINS : s->options->format,
        .delay_positions = s->options->delay_positions,
        .tokenizer = &s->boot.tokenizer,
        .output = &s->output};
    es_transcript_start(&s->transcript, &config);
    es_interrupt_make_graceful();
    return transcribe(s, error);
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    if (options->force_path != NULL && options->format != ES_TRANSCRIPT_TOKENS) {
        return es_fail(error, ES_ERR_USAGE,
                       "transcribe: --force prints a choice per token; add --format tokens");
    }
    session.options = options;
    enum es_status status = boot_and_transcribe(&session, error);
    if (session.source != NULL) {
        es_pcm_close(session.source);
    }
    es_forced_ids_free(&session.forced);
    es_boot_stop(&session.boot);
    return status;
}

const struct es_command es_command_transcribe = {
    .name = "transcribe",
    .summary = "a recording, or raw samples from standard input, to text",
    .help =
        "usage: earshot transcribe [options] FILE|-\n"
        "\n"
        "FILE is anything that libsndfile reads: WAV, FLAC, Ogg, Opus, MP3, ...; any rate, any\n"
        "number of channels. - reads signed 16-bit little-endian samples, 16 kHz, mono.\n"
        "\n"
        "  --model DIR        consolidated.safetensors, params.json, tekken.json\n"
        "                     (default: the bring-up model)\n"
        "  --backend NAME     cpu, cuda or auto (default)\n"
        "  --delay-ms N       how long the model waits before it writes: 80..1200 in steps of 80,\n"
        "                     or 2400 (default 480)\n"
        "  --format NAME      text (default); jsonl: one object per word with its times;\n"
        "                     tokens: one token id per step\n"
        "  --realtime         read no faster than the recording was spoken\n"
        "  --threads N        worker threads (default: every processor)\n"
        "  --force FILE       with --format tokens: feed the ids of FILE, one per line, and print\n"
        "                     the model's choice and its margin for each step\n"
        "  --blank-guard      push the model out of endless blanks\n"
        "  --separate-layers  on a GPU: five kernels a decoder layer instead of two, as on chips\n"
        "                     whose kernels do not overlap; slower, for comparisons\n"
        "  --kv-window N      decoder positions of 80 ms that are remembered, 128 or more\n"
        "                     (default: the model's own): less memory, less context\n"
        "  --kv-memory KIND   of keys and values on a GPU: auto (default), unified, device, "
        "shared\n"
        "  --encoder-cadence MS   with --realtime, how often the encoder runs: 80, 160, 320 or\n"
        "                     auto (default: 80 where the memory is fast enough for it)\n"
        "\n"
        "Exit code: 0 ok, 2 usage, 3 bad input file, 4 the machine lacks something, 5 the output\n"
        "could not be written, 130 interrupted (the text so far is written).\n",
    .accepted = ES_OPTION_MODEL | ES_OPTION_BACKEND | ES_OPTION_DELAY | ES_OPTION_FORMAT |
                ES_OPTION_REALTIME | ES_OPTION_THREADS | ES_OPTION_FORCE | ES_OPTION_BLANK_GUARD |
                ES_OPTION_KV_WINDOW | ES_OPTION_KV_MEMORY | ES_OPTION_CADENCE | ES_OPTION_SEPARATE,
    .takes_file = true,
    .run = run,
};
