#include "app/boot.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_POSITIONS 4u /* one encode, a prompt of two, two steps: every kernel ran once */
#define DEFAULT_DELAY_POSITIONS 6u

/* Without weights (`earshot plan` on params.json alone) the published form is assumed. */
static enum es_status find_dtype(struct es_boot *boot, struct es_error *error) {
    char path[ES_PATH_BYTES_MAX];
    int count =
        snprintf(path, sizeof path, "%s/consolidated.safetensors", boot->options.model_directory);
    if (count > 0 && (size_t)count < sizeof path && access(path, F_OK) != 0) {
        boot->dtype = ES_DTYPE_BF16;
        boot->is_dtype_assumed = true;
        return ES_OK;
    }
    return es_weights_probe(&boot->model, boot->options.model_directory, &boot->dtype, error);
}

/* A smaller window is a model of its own: everything below reads it from there. */
static enum es_status narrow_window(struct es_boot *boot, struct es_error *error) {
    uint32_t window = boot->options.kv_window;
    uint32_t own = boot->model.decoder.window;
    if (window == 0 || window == own) {
        return ES_OK;
    }
    if (window < ES_KV_WINDOW_MIN || window > own) {
        return es_fail(error, ES_ERR_USAGE,
                       own > ES_KV_WINDOW_MIN
                           ? "--kv-window %u: this model takes %u to %u positions of 80 ms"
                           : "--kv-window %u: is at least %u, and this model's own is %u; leave it "
                             "out",
                       window, ES_KV_WINDOW_MIN, own);
    }
    boot->model.decoder.window = window;
    return ES_OK;
}

static enum es_status choose_engine(struct es_boot *boot, struct es_error *error) {
    const struct es_boot_options *options = &boot->options;
    const struct es_backends_request request = {.choice = options->backend,
                                                .kv_memory = options->kv_memory,
                                                .board_title = options->board_title};
    enum es_status status =
        es_backends_choose(&boot->backends, &request, &boot->model, boot->dtype, error);
    if (status != ES_OK) {
        return status;
    }
    boot->ops = boot->backends.ops;
    boot->backend_config = (struct es_backend_config){
        .encode_positions_max = options->encode_positions_max,
        .thread_count = es_pool_thread_count(boot->pool),
        .pool = boot->pool,
        .tap = options->tap,
        .start_position = options->start_position,
        .cuda = boot->backends.cuda,
        .kv_kind = boot->backends.kv_kind,
        .separates_layers = options->separates_layers,
    };
    es_forecast_make(&boot->forecast, &boot->model, boot->dtype, boot->ops->cache_value_bytes,
                     options->memory_bytes_per_s);
    return ES_OK;
}

static bool is_on_device(const struct es_boot *boot) {
    return boot->backend_config.kv_kind != ES_MEM_HOST;
}

static enum es_status lay_out(struct es_boot *boot, struct es_error *error) {
    es_plan_init(&boot->plan);
    if (is_on_device(boot)) {
        enum es_status status =
            es_weights_layout_device(&boot->model, boot->dtype, ES_CHUNK_BYTES_MAX, &boot->plan,
                                     &boot->weights_layout, error);
        if (status != ES_OK) {
            return status;
        }
    } else {
        es_weights_layout(&boot->model, boot->dtype, &boot->plan, &boot->weights_layout);
    }
    es_tokenizer_layout(&boot->model, &boot->plan, &boot->tokenizer_layout);
    boot->ops->layout(&boot->model, &boot->backend_config, &boot->plan, &boot->backend_layout);
    es_pipeline_layout(&boot->model, boot->options.encode_positions_max, &boot->plan,
                       &boot->pipeline_layout);
    return ES_OK;
}

enum es_status es_boot_plan(struct es_boot *boot, const struct es_boot_options *options,
                            struct es_error *error) {
    memset(boot, 0, sizeof *boot);
    boot->options = *options;
    enum es_status status = es_model_read(&boot->model, options->model_directory, error);
    if (status != ES_OK) {
        return status;
    }
    status = find_dtype(boot, error);
    if (status != ES_OK) {
        return status;
    }
    status = narrow_window(boot, error);
    if (status == ES_OK) {
        status = es_pool_start(&boot->pool, options->thread_count, error);
    }
    if (status == ES_OK) {
        status = choose_engine(boot, error);
    }
    return status == ES_OK ? lay_out(boot, error) : status;
}

/* Runs each stage once on silence: libraries make their buffers now, code and tables come into the
 * caches, and a fault of the machine shows before the freeze. The stream's reset forgets it. */
static enum es_status warm_up(struct es_boot *boot, struct es_error *error) {
    static const int32_t ids[2] = {ES_ID_BOS, ES_ID_STREAMING_PAD};
    uint32_t position_count = boot->options.encode_positions_max < WARM_UP_POSITIONS
                                  ? boot->options.encode_positions_max
                                  : WARM_UP_POSITIONS;
    enum es_status status = boot->ops->reset(boot->backend, 1, NULL, error);
    for (uint32_t done = 0; status == ES_OK && done < WARM_UP_POSITIONS; done += position_count) {
        /* The stream's frames are still zero: any values will do. */
        int waiting_count =
            boot->ops->encode(boot->backend, boot->pipeline.stream.mel, position_count, error);
        status = waiting_count < 0 ? (enum es_status)waiting_count : ES_OK;
    }
    struct es_choice choice;
    if (status == ES_OK) {
        status = boot->ops->prefill(boot->backend, ids, 2, 0.0f, &choice, error);
    }
    struct es_step step = {.id = ES_STEP_LAST};
    for (uint32_t i = 2; status == ES_OK && i < WARM_UP_POSITIONS; i++) {
        status = boot->ops->decode(boot->backend, &step, &choice, error);
    }
    if (status != ES_OK) {
        return status;
    }
    /* A backend that keeps the silence hears it now. */
    uint32_t delay = boot->options.delay_positions;
    uint32_t silent_count = 0;
    return boot->ops->reset(boot->backend, delay > 0 ? delay : DEFAULT_DELAY_POSITIONS,
                            &silent_count, error);
}

static enum es_status reserve(struct es_boot *boot, struct es_error *error) {
    if (boot->backend_config.cuda == NULL) {
        return es_arena_reserve(&boot->arena, &boot->plan, error);
    }
    struct es_memory_provider provider;
    es_gpu_provider(boot->backend_config.cuda, &provider);
    return es_arena_reserve_with(&boot->arena, &boot->plan, &provider, error);
}

static enum es_status load_weights(struct es_boot *boot, struct es_error *error) {
    const char *directory = boot->options.model_directory;
    return is_on_device(boot) ? es_gpu_load(boot->backend_config.cuda, &boot->weights, &boot->model,
                                            &boot->weights_layout, &boot->arena, directory, error)
                              : es_weights_load(&boot->weights, &boot->model, &boot->weights_layout,
                                                &boot->arena, directory, error);
}

enum es_status es_boot_start(struct es_boot *boot, struct es_error *error) {
    enum es_status status = ES_OK;
    if (boot->is_dtype_assumed) {
        /* Names the missing file before gigabytes are reserved for it. */
        status = es_weights_probe(&boot->model, boot->options.model_directory, &boot->dtype, error);
        if (status != ES_OK) {
            return status;
        }
        return es_fail(error, ES_ERR_INPUT,
                       "%s/consolidated.safetensors: came after the plan was made; run again",
                       boot->options.model_directory);
    }
    status = reserve(boot, error);
    if (status != ES_OK) {
        return status;
    }
    boot->is_locked = es_arena_lock(&boot->arena);
    status = es_tokenizer_load(&boot->tokenizer, &boot->model, &boot->tokenizer_layout,
                               &boot->arena, boot->options.model_directory, error);
    if (status != ES_OK) {
        return status;
    }
    status = load_weights(boot, error);
    if (status != ES_OK) {
        return status;
    }
    status = boot->ops->init(&boot->backend, &boot->model, &boot->backend_config,
                             &boot->backend_layout, &boot->arena, &boot->weights, error);
    if (status != ES_OK) {
        return status;
    }
    es_pipeline_init(&boot->pipeline, &boot->model, boot->options.encode_positions_max, boot->ops,
                     boot->backend, &boot->pipeline_layout, &boot->arena);
    status = warm_up(boot, error);
    if (status != ES_OK) {
        return status;
    }
    if (!boot->options.leaves_unfrozen) {
        es_freeze();
    }
    return ES_OK;
}

void es_boot_stop(struct es_boot *boot) {
    if (boot->backend != NULL) {
        boot->ops->close(boot->backend);
        boot->backend = NULL;
    }
    if (boot->pool != NULL) {
        es_pool_stop(boot->pool);
        boot->pool = NULL;
    }
    es_arena_release(&boot->arena);
    es_backends_close(&boot->backends);
}
