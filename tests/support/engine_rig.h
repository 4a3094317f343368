/* engine_rig.h - a backend on the test bench: random model, arena, pool and a tape of every stage.
 *
 *   struct es_rig rig;
 *   es_rig_open(&rig, es_backend_cpu(), &model, &setup);
 *   es_rig_run(&rig, &input, group);            one whole stream from reset, in groups of positions
 *   rig.ids, rig.margins, es_rig_track(&rig, ES_STAGE_ADAPTER, 0)->rows
 *   es_rig_close(&rig);
 *
 * Test harness only: it allocates, and a failure ends the test. */
#pragma once

#include "engine/backend.h"

/* Windows far below the prompt; no two dimensions alike; grouped heads in both stacks. */
extern const struct es_model es_rig_small_windows;

/* All rows that one stage gave during a run, in order. */
struct es_rig_track {
    float *rows; /* [row_count, dim] */
    size_t row_count;
    size_t row_count_max;
    uint32_t dim;
    uint64_t first_row; /* as the first call said it */
};

/* A backend that works on a device: how the rig gets memory and weights there (cuda_rig.h). */
struct es_rig_device {
    bool separates_layers; /* es_backend_config's */
    struct es_cuda *cuda;
    enum es_mem_kind kv_kind;
    const struct es_blas_calls *blas; /* NULL: cuBLASLt */
    struct es_memory_provider provider;
    size_t (*weights_bytes)(const struct es_model *model);
    /* Copies `host` to `memory` [weights_bytes] of the device; `weights` then points there. */
    enum es_status (*place)(struct es_cuda *cuda, const struct es_model *model,
                            const struct es_weights *host, void *memory, struct es_weights *weights,
                            struct es_error *error);
    enum es_status (*fill)(struct es_cuda *cuda, void *memory, int byte, size_t bytes,
                           struct es_error *error);
};

struct es_rig_setup {
    enum es_dtype dtype;
    uint64_t seed;
    uint32_t thread_count;
    uint32_t encode_positions_max;
    uint64_t start_position;
    bool has_no_tap;                    /* as in the product: no stage is looked at */
    const struct es_rig_device *device; /* borrowed; NULL for the CPU */
};

struct es_rig_input {
    const float *mel; /* [position_count * frames_per_position, mel_bin_count] */
    uint32_t position_count;
    uint32_t delay_positions;
    float streaming_pad_bias;
    const int32_t *forced_ids; /* [decisions] fed instead of the choices; NULL for none */
    bool begins_with_silence;  /* the first 31 positions of mel are silence: the backend may skip */
    bool has_prompt_steps;     /* the prompt, or what the silence leaves of it, as forced steps */
};

struct es_rig {
    const struct es_backend_ops *ops;
    const struct es_model *model;
    struct es_rig_setup setup;
    struct es_weights *weights;        /* on the host */
    struct es_weights *device_weights; /* NULL without a device */
    struct es_pool *pool;
    struct es_plan plan;
    struct es_arena arena;
    struct es_backend *backend;
    struct es_tap tap;
    struct es_rig_track *tracks; /* [ES_STAGE_COUNT, ES_LAYER_COUNT_MAX] */
    /* the last run */
    uint32_t decision_count;
    int32_t *ids;     /* [decision_count] chosen */
    float *margins;   /* [decision_count] */
    int32_t *fed_ids; /* [position_count] */
};

void es_rig_open(struct es_rig *rig, const struct es_backend_ops *ops, const struct es_model *model,
                 const struct es_rig_setup *setup);

/* The same for tests of failures: nothing is left open when it does not return ES_OK. */
ES_MUST_CHECK enum es_status es_rig_try_open(struct es_rig *rig, const struct es_backend_ops *ops,
                                             const struct es_model *model,
                                             const struct es_rig_setup *setup,
                                             struct es_error *error);

/* Prompt as the product has it: BOS, then [STREAMING_PAD] for 32 + delay positions. */
void es_rig_run(struct es_rig *rig, const struct es_rig_input *input, uint32_t group);

/* The same, up to the first call that fails. */
ES_MUST_CHECK enum es_status es_rig_try_run(struct es_rig *rig, const struct es_rig_input *input,
                                            uint32_t group, struct es_error *error);
const struct es_rig_track *es_rig_track(const struct es_rig *rig, enum es_stage stage,
                                        uint32_t layer);

/* Overwrites the regions whose name begins so with NaN; true when there is one. */
bool es_rig_poison(struct es_rig *rig, const char *region_name);
void es_rig_close(struct es_rig *rig);

/* The layers of a stage: 1 for all but the two that have one per layer. */
uint32_t es_rig_layer_count(const struct es_model *model, enum es_stage stage);

/* Where a stage's row numbers begin at a start position. */
uint64_t es_rig_first_row(const struct es_model *model, enum es_stage stage,
                          uint64_t start_position);
