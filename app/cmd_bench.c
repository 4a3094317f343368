#include "app/bench_gpu.h"
#include "app/bench_report.h"
#include "app/commands.h"
#include "app/recording.h"
#include "platform/clock.h"

#include <unistd.h>

static struct es_boot boot;
static struct es_bench bench;
static struct es_recording recording;

static enum es_status measure(struct es_error *error) {
    enum es_status status = es_bench_measure_read(&bench, error);
    if (status == ES_OK) {
        status = es_bench_measure_prefill(&bench, error);
    }
    if (status == ES_OK) {
        status = es_bench_measure_live(&bench, error);
    }
    if (status == ES_OK) {
        status = es_bench_measure_file(&bench, error);
    }
    if (status == ES_OK) {
        es_bench_measure_mel(&bench);
    }
    if (status == ES_OK && es_bench_has_gpu(&bench)) {
        status = es_bench_gpu_kernels(&bench, error);
    }
    return status;
}

static enum es_status boot_and_measure(const struct es_options *options, struct es_error *error) {
    struct es_boot_options boot_options = {.model_directory = options->model_directory,
                                           .thread_count = options->thread_count,
                                           .encode_positions_max = ES_ENCODE_POSITIONS_MAX,
                                           .backend = options->backend,
                                           .kv_memory = options->kv_memory,
                                           .kv_window = options->kv_window,
                                           .separates_layers = options->separates_layers};
    enum es_status status = es_boot_plan(&boot, &boot_options, error);
    if (status == ES_OK && options->audio_path != NULL) {
        status = es_recording_read(&recording, options->audio_path, error);
    }
    if (status != ES_OK) {
        return status;
    }
    const struct es_bench_options bench_options = {.seconds = options->seconds,
                                                   .is_paced = options->is_paced,
                                                   .samples = recording.samples,
                                                   .sample_count = recording.sample_count};
    es_bench_layout(&bench, &boot, &bench_options);
    uint64_t start_ns = es_clock_ns();
    status = es_boot_start(&boot, error);
    bench.load_ns = es_clock_ns() - start_ns;
    if (status == ES_OK) {
        status = measure(error);
    }
    if (status == ES_OK && options->times_path != NULL) {
        status = es_bench_write_times(&bench, options->times_path, error);
    }
    if (status != ES_OK) {
        return status;
    }
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    es_bench_report(&bench, &output, options->as_json);
    return es_output_flush(&output, error);
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    enum es_status status = boot_and_measure(options, error);
    es_boot_stop(&boot);
    es_recording_free(&recording);
    return status;
}

const struct es_command es_command_bench = {
    .name = "bench",
    .summary = "how fast a model runs here, beside what the machine's memory gives",
    .help =
        "usage: earshot bench [options]\n"
        "\n"
        "  --model DIR        the model (default: the bring-up model)\n"
        "  --backend NAME     cpu, cuda or auto (default)\n"
        "  --seconds S        of audio in the live pass, and up to 60 in that of a file (default\n"
        "                     60); a pass ends early after three minutes, or an eighth of S\n"
        "                     where that is more\n"
        "  --audio FILE       a recording, which repeats, instead of a synthetic sound\n"
        "  --paced            a live frame every 80 ms, as a microphone gives them, instead of\n"
        "                     one after the other\n"
        "  --times FILE       writes the time of each live frame there, one per line, in ms\n"
        "  --separate-layers  on a GPU: five kernels a decoder layer instead of two, as on chips\n"
        "                     whose kernels do not overlap; slower, for comparisons\n"
        "  --threads N        worker threads (default: every processor)\n"
        "  --json             for programs\n"
        "\n"
        "The shares of the encoder's time on a CPU are exact with --threads 1.\n",
    .accepted = ES_OPTION_MODEL | ES_OPTION_BACKEND | ES_OPTION_SECONDS | ES_OPTION_AUDIO |
                ES_OPTION_PACED | ES_OPTION_TIMES | ES_OPTION_KV_WINDOW | ES_OPTION_KV_MEMORY |
                ES_OPTION_THREADS | ES_OPTION_JSON | ES_OPTION_SEPARATE,
    .takes_file = false,
    .run = run,
};
