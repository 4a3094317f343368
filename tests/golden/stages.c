/* stages.c - every stage of a model on a recording, for comparison with another implementation.
 *
 *   earshot-stages --model DIR --backend cuda --delay-ms 480 --force ids.txt --out DIR talk.s16
 *
 * Runs the product's own boot, pipeline and backend with a tap on encoder, adapter, decoder and
 * logits, feeds the ids of a file, and writes DIR/<stage>.f32 (rows of little-endian f32) and
 * DIR/stages.json ({"encoder": columns, ...}). The recording is raw: 16 kHz, mono, s16le. */
#include "app/boot.h"
#include "app/forced_ids.h"
#include "audio/pcm.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const enum es_stage stages[] = {ES_STAGE_ENCODER, ES_STAGE_ADAPTER, ES_STAGE_DECODER,
                                       ES_STAGE_LOGITS};
#define STAGE_COUNT (sizeof stages / sizeof stages[0])

struct request {
    struct es_boot_options boot;
    const char *force_path;
    const char *out;
    const char *audio;
    uint32_t delay_positions;
};

static struct {
    struct es_boot boot;
    struct es_forced_ids forced;
    FILE *files[ES_STAGE_COUNT];
    uint32_t dims[ES_STAGE_COUNT];
    bool has_failed;
} run;

static void on_rows(void *context, enum es_stage stage, uint32_t layer, uint64_t first_row,
                    const float *rows, uint32_t row_count, uint32_t dim) {
    (void)context;
    (void)layer;
    (void)first_row;
    if (run.files[stage] != NULL) {
        size_t count = (size_t)row_count * dim;
        run.dims[stage] = dim;
        run.has_failed |= fwrite(rows, sizeof *rows, count, run.files[stage]) != count;
    }
}

static void ignore_token(void *context, const struct es_token *token) {
    (void)context;
    (void)token;
}

static int32_t forced_id(void *context, uint64_t decision_index) {
    (void)context;
    return decision_index < run.forced.id_count ? run.forced.ids[decision_index] : -1;
}

static enum es_status open_files(const char *directory, struct es_error *error) {
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        char path[ES_PATH_BYTES_MAX];
        int count = snprintf(path, sizeof path, "%s/%s.f32", directory, es_stage_name(stages[i]));
        FILE *file = count > 0 && (size_t)count < sizeof path ? fopen(path, "wb") : NULL;
        if (file == NULL) {
            return es_fail(error, ES_ERR_OUTPUT, "%s: cannot be written to", directory);
        }
        run.files[stages[i]] = file;
    }
    return ES_OK;
}

static enum es_status close_files(const char *directory, struct es_error *error) {
    char path[ES_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/stages.json", directory);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "w") : NULL;
    run.has_failed |= file == NULL;
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        run.has_failed |= fclose(run.files[stages[i]]) != 0;
        if (file != NULL) {
            fprintf(file, "%s\"%s\": %u", i == 0 ? "{" : ", ", es_stage_name(stages[i]),
                    run.dims[stages[i]]);
        }
    }
    run.has_failed |= file == NULL || fputs("}\n", file) < 0 || fclose(file) != 0;
    return run.has_failed ? es_fail(error, ES_ERR_OUTPUT, "%s: could not be written", directory)
                          : ES_OK;
}

static enum es_status push_all(struct es_pcm *source, struct es_error *error) {
    struct es_pipeline *pipeline = &run.boot.pipeline;
    for (;;) {
        int count = es_pcm_read(source, pipeline->pcm, pipeline->block_samples, error);
        if (count < 0) {
            return (enum es_status)count;
        }
        enum es_status status =
            count > 0 ? es_pipeline_push(pipeline, pipeline->pcm, (size_t)count, error)
                      : es_pipeline_finish(pipeline, error);
        if (status != ES_OK || count == 0) {
            return status;
        }
    }
}

static enum es_status run_recording(const struct request *request, struct es_error *error) {
    const struct es_pipeline_options options = {
        .stream = {.delay_positions = request->delay_positions,
                   .on_token = ignore_token,
                   .forced_id = request->force_path != NULL ? forced_id : NULL}};
    int fd = open(request->audio, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be opened", request->audio);
    }
    struct es_pcm *source = NULL;
    enum es_status status = es_pcm_open_raw(&source, fd, request->audio, error);
    if (status == ES_OK) {
        status = es_pipeline_start(&run.boot.pipeline, &options, error);
    }
    if (status == ES_OK) {
        status = push_all(source, error);
    }
    if (source != NULL) {
        es_pcm_close(source);
    }
    close(fd);
    return status;
}

static enum es_status run_request(const struct request *request, struct es_error *error) {
    enum es_status status = es_boot_plan(&run.boot, &request->boot, error);
    if (status == ES_OK && request->force_path != NULL) {
        status =
            es_forced_ids_read(&run.forced, request->force_path, run.boot.model.vocab_size, error);
    }
    if (status == ES_OK) {
        status = es_boot_start(&run.boot, error);
    }
    if (status == ES_OK) {
        status = open_files(request->out, error);
    }
    if (status == ES_OK) {
        status = run_recording(request, error);
    }
    if (status == ES_OK) {
        status = close_files(request->out, error);
    }
    return status;
}

static bool read_arguments(struct request *request, int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},    {"backend", required_argument, NULL, 'b'},
        {"delay-ms", required_argument, NULL, 'd'}, {"force", required_argument, NULL, 'f'},
        {"out", required_argument, NULL, 'o'},      {NULL, 0, NULL, 0}};
    static const struct es_tap tap = {.on_rows = on_rows};
    *request =
        (struct request){.boot = {.encode_positions_max = ES_ENCODE_POSITIONS_MAX, .tap = &tap},
                         .delay_positions = 6};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (letter) {
        case 'm':
            request->boot.model_directory = optarg;
            break;
        case 'b':
            request->boot.backend = strcmp(optarg, "cuda") == 0 ? ES_BACKEND_CUDA : ES_BACKEND_CPU;
            break;
        case 'd':
            request->delay_positions = (uint32_t)strtoul(optarg, NULL, 10) / ES_POSITION_MS;
            break;
        case 'f':
            request->force_path = optarg;
            break;
        case 'o':
            request->out = optarg;
            break;
        default:
            return false;
        }
    }
    request->audio = optind + 1 == argc ? argv[optind] : NULL;
    return request->boot.model_directory != NULL && request->out != NULL &&
           request->audio != NULL && request->delay_positions >= 1 &&
           request->delay_positions <= ES_DELAY_POSITIONS_MAX;
}

int main(int argc, char **argv) {
    struct request request;
    struct es_error error = {{0}};
    if (!read_arguments(&request, argc, argv)) {
        fputs("usage: earshot-stages --model DIR --out DIR [--backend cpu|cuda] [--delay-ms N] "
              "[--force IDS] TALK.s16\n",
              stderr);
        return 2;
    }
    enum es_status status = run_request(&request, &error);
    es_forced_ids_free(&run.forced);
    es_boot_stop(&run.boot);
    if (status != ES_OK) {
        fprintf(stderr, "earshot-stages: %s\n", error.text);
    }
    return es_status_exit_code(status);
}
