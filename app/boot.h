/* boot.h - from a model directory to a warm engine: plan, reserve, load, warm up, freeze.
 *
 *   static struct es_boot boot;
 *   status = es_boot_plan(&boot, &boot_options, &error);    every region is known: boot.plan
 *   status = es_boot_start(&boot, &error);                  nothing allocates from here on
 *   es_pipeline_start(&boot.pipeline, ...);
 *   es_boot_stop(&boot);
 *
 * `earshot plan` stops after the first call, which needs params.json alone. A struct es_boot is
 * large (the table of tensors): static storage, not the stack. Main thread. */
#pragma once

#include "app/pipeline.h"
#include "engine/tokenizer.h"

struct es_boot_options {
    const char *model_directory;
    uint32_t thread_count;         /* 0: as many as the process may run on */
    uint32_t encode_positions_max; /* 1..ES_ENCODE_POSITIONS_MAX */
    bool leaves_unfrozen; /* the caller starts threads of its own and then calls es_freeze */
};

struct es_boot {
    struct es_boot_options options;
    struct es_model model;
    enum es_dtype dtype;   /* of the matrices */
    bool is_dtype_assumed; /* BF16, because there are no weights to look at */
    struct es_plan plan;
    struct es_weights_layout weights_layout;
    struct es_tokenizer_layout tokenizer_layout;
    struct es_backend_layout backend_layout;
    struct es_pipeline_layout pipeline_layout;
    struct es_pool *pool;
    struct es_backend_config backend_config;
    const struct es_backend_ops *ops;
    struct es_backend *backend;
    struct es_arena arena;
    bool is_locked; /* the arena, into RAM */
    struct es_weights weights;
    struct es_tokenizer tokenizer;
    struct es_pipeline pipeline;
};

/* Reads the model's dimensions and adds up every region. Starts the worker pool, whose size the
 * scratch depends on; es_boot_stop ends it, also after a failure. */
ES_MUST_CHECK enum es_status
es_boot_plan(struct es_boot *boot, const struct es_boot_options *options, struct es_error *error);

/* Reserves, locks (is_locked says whether it worked), loads, binds, warms up, freezes. */
ES_MUST_CHECK enum es_status es_boot_start(struct es_boot *boot, struct es_error *error);

void es_boot_stop(struct es_boot *boot);
