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

#include "app/backends.h"
#include "app/forecast.h"
#include "app/pipeline.h"
#include "engine/tokenizer.h"

struct es_boot_options {
    const char *model_directory;
    uint32_t thread_count;         /* 0: as many as the process may run on */
    uint32_t encode_positions_max; /* 1..ES_ENCODE_POSITIONS_MAX */
    enum es_backend_choice backend;
    enum es_kv_memory kv_memory;
    bool separates_layers;     /* es_backend_config's */
    uint32_t kv_window;        /* decoder positions, ES_KV_WINDOW_MIN..the model's own; 0: those */
    uint32_t delay_positions;  /* that the warm-up prepares; another costs its first stream a little
                                * more. 0: 6 */
    const char *board_title;   /* plan for this board, with no device of this machine; or NULL */
    double memory_bytes_per_s; /* of the machine or the board; 0: not known */
    const struct es_tap *tap;  /* tests: borrowed, NULL for none */
    uint64_t start_position;   /* tests: es_backend_config */
    bool leaves_unfrozen;      /* the caller starts threads of its own and then calls es_freeze */
};

struct es_boot {
    struct es_boot_options options;
    struct es_model model;
    struct es_backends backends;
    struct es_forecast forecast;
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

/* Reads the model's dimensions, chooses the engine and adds up every region. Starts the worker
 * pool, whose size the scratch depends on, and opens the GPU where it is used; es_boot_stop ends
 * both, also after a failure. */
ES_MUST_CHECK enum es_status
es_boot_plan(struct es_boot *boot, const struct es_boot_options *options, struct es_error *error);

/* Reserves, locks (is_locked says whether it worked), loads, binds, warms up, freezes. */
ES_MUST_CHECK enum es_status es_boot_start(struct es_boot *boot, struct es_error *error);

void es_boot_stop(struct es_boot *boot);
