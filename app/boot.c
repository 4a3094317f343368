#include "app/boot.h"

#include "engine/cpu/backend_cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_POSITIONS 4u /* one encode, a prompt of two, two steps: every kernel ran once */

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
    status = es_pool_start(&boot->pool, options->thread_count, error);
    if (status != ES_OK) {
        return status;
    }
    boot->ops = es_backend_cpu();
    boot->backend_config = (struct es_backend_config){
        .encode_positions_max = options->encode_positions_max,
        .thread_count = es_pool_thread_count(boot->pool),
        .pool = boot->pool,
    };
    es_plan_init(&boot->plan);
    es_weights_layout(&boot->model, boot->dtype, &boot->plan, &boot->weights_layout);
    es_tokenizer_layout(&boot->model, &boot->plan, &boot->tokenizer_layout);
    boot->ops->layout(&boot->model, &boot->backend_config, &boot->plan, &boot->backend_layout);
    es_pipeline_layout(&boot->model, options->encode_positions_max, &boot->plan,
                       &boot->pipeline_layout);
    return ES_OK;
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
    return status;
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
    status = es_arena_reserve(&boot->arena, &boot->plan, error);
    if (status != ES_OK) {
        return status;
    }
    boot->is_locked = es_arena_lock(&boot->arena);
    status = es_tokenizer_load(&boot->tokenizer, &boot->model, &boot->tokenizer_layout,
                               &boot->arena, boot->options.model_directory, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_weights_load(&boot->weights, &boot->model, &boot->weights_layout, &boot->arena,
                             boot->options.model_directory, error);
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
    if (boot->pool != NULL) {
        es_pool_stop(boot->pool);
        boot->pool = NULL;
    }
    es_arena_release(&boot->arena);
}
