/* earshot-random-model - writes a model directory of random weights: for measuring speed and memory
 * at full size, and for tests. It says nothing sensible, but it says different things. */
#include "engine/json.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "tools/random_model.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: earshot-random-model [--dims 4b|bringup|PARAMS_JSON] [--dtype BF16|F16|F32] [--seed "
    "N]\n"
    "                            OUT_DIR\n"
    "Writes params.json, consolidated.safetensors and tekken.json with seeded random weights.\n"
    "  --dims   dimensions: of the 4B model (default; 8.9 GB), of the bring-up model, or those of\n"
    "           a params.json\n"
    "  --dtype  type of all weights (default BF16)\n"
    "  --seed   another model (default 1)\n";

struct options {
    struct es_model model;
    enum es_dtype dtype;
    uint64_t seed;
    const char *directory;
};

static enum es_status read_dims(const char *dims, struct es_model *model, struct es_error *error) {
    if (strcmp(dims, "4b") == 0) {
        *model = es_model_4b;
        return ES_OK;
    }
    if (strcmp(dims, "bringup") == 0) {
        *model = es_model_bringup;
        return ES_OK;
    }
    char *text = NULL;
    size_t text_bytes = 0;
    enum es_status status = es_file_read(dims, ES_PARAMS_JSON_BYTES_MAX, &text, &text_bytes, error);
    if (status == ES_OK) {
        status = es_model_parse(model, dims, text, text_bytes, error);
        free(text);
    }
    return status;
}

static enum es_status read_dtype(const char *name, enum es_dtype *dtype, struct es_error *error) {
    for (int i = ES_DTYPE_BF16; i <= ES_DTYPE_F32; i++) {
        if (strcmp(name, es_dtype_name((enum es_dtype)i)) == 0) {
            *dtype = (enum es_dtype)i;
            return ES_OK;
        }
    }
    return es_fail(error, ES_ERR_USAGE, "--dtype %s: give BF16, F16 or F32", name);
}

static enum es_status read_options(int argc, char **argv, struct options *options,
                                   struct es_error *error) {
    static const struct option names[] = {{"dims", required_argument, NULL, 'd'},
                                          {"dtype", required_argument, NULL, 't'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct options){.model = es_model_4b, .dtype = ES_DTYPE_BF16, .seed = 1};
    enum es_status status = ES_OK;
    for (int c = 0; status == ES_OK && (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        char *end = NULL;
        switch (c) {
        case 'd':
            status = read_dims(optarg, &options->model, error);
            break;
        case 't':
            status = read_dtype(optarg, &options->dtype, error);
            break;
        case 's':
            errno = 0;
            options->seed = strtoull(optarg, &end, 10);
            if (errno != 0 || end == optarg || *end != '\0') {
                status = es_fail(error, ES_ERR_USAGE, "--seed %s: give a whole number", optarg);
            }
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return es_fail(error, ES_ERR_USAGE, "see earshot-random-model --help");
        }
    }
    if (status == ES_OK && optind + 1 != argc) {
        status = es_fail(error, ES_ERR_USAGE, "give one OUT_DIR; see earshot-random-model --help");
    }
    options->directory = argv[argc - 1];
    return status;
}

int main(int argc, char **argv) {
    struct es_error error = {{0}};
    struct options options;
    struct es_pool *pool = NULL;
    uint64_t start_ns = es_clock_ns();
    enum es_status status = read_options(argc, argv, &options, &error);
    if (status == ES_OK) {
        status = es_pool_start(&pool, 0, &error);
    }
    if (status == ES_OK) {
        status = es_random_model_write(options.directory, &options.model, options.dtype,
                                       options.seed, pool, &error);
        es_pool_stop(pool);
    }
    if (status != ES_OK) {
        es_log(ES_LOG_ERROR, "%s", error.text);
        return es_status_exit_code(status);
    }
    es_log(ES_LOG_INFO, "%s: written in %.1f s", options.directory,
           (double)(es_clock_ns() - start_ns) / 1e9);
    return 0;
}
