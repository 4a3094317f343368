/* backend.h - the seam: one call per stage of the pipeline, never per mathematical operation.
 *
 *   const struct es_backend_ops *ops = es_backend_cpu();
 *   ops->layout(&model, &config, &plan, &layout);
 *   ops->init(&backend, &model, &config, &layout, &arena, &weights, &error);
 *   ops->reset(backend, delay_positions, NULL);
 *   ready = ops->encode(backend, mel, position_count);     embeddings now waiting
 *   ops->prefill(backend, ids, id_count, &choice);         consumes id_count embeddings
 *   ops->decode(backend, &step, &choice);                  consumes one
 *   ops->close(backend);
 *
 * Everything between mel frames and token ids lives behind it: conv stem, encoder, adapter,
 * decoder, their rings and positions. Positions are never reset within a stream and never run out
 * (uint64). One thread at a time (the engine thread).
 *
 * A backend may work behind the caller's back: encode then only begins, and what went wrong in it
 * comes back with the next prefill or decode, which wait. Whatever failed, the stream is over until
 * reset, which may fail for the same reason: a lost device stays lost. */
#pragma once

#include "engine/model.h"
#include "engine/weights.h"
#include "platform/arena.h"
#include "platform/pool.h"

/* Where a tap can listen; the names are those of the goldens. Row = one encoder frame or position.
 */
enum es_stage {
    ES_STAGE_CONV0,         /* [8 per position, encoder.dim] after GELU */
    ES_STAGE_CONV1,         /* [downsample per position, encoder.dim] after GELU */
    ES_STAGE_ENCODER_LAYER, /* residual stream after layer `layer` */
    ES_STAGE_ENCODER,       /* after the final norm */
    ES_STAGE_ADAPTER,       /* [1 per position, decoder.dim] */
    ES_STAGE_DECODER_INPUT, /* embedding of the id + adapter row */
    ES_STAGE_DECODER_LAYER, /* residual stream after layer `layer` */
    ES_STAGE_DECODER,       /* after the final norm */
    ES_STAGE_LOGITS,        /* [vocab_size], before the bias */
    ES_STAGE_COUNT
};

/* Tests look inside through a tap; NULL in the product. `rows` is [row_count, dim] f32, valid
 * during the call only; first_row counts from the start of the stream (for conv0: mel frames;
 * encoder: 20 ms frames; decoder: positions). */
struct es_tap {
    void (*on_rows)(void *context, enum es_stage stage, uint32_t layer, uint64_t first_row,
                    const float *rows, uint32_t row_count, uint32_t dim);
    void *context;
};

/* What a backend calls at each stage. `tap` may be NULL. */
static inline void es_tap_rows(const struct es_tap *tap, enum es_stage stage, uint32_t layer,
                               uint64_t first_row, const float *rows, uint32_t row_count,
                               uint32_t dim) {
    if (tap != NULL) {
        tap->on_rows(tap->context, stage, layer, first_row, rows, row_count, dim);
    }
}

/* "conv0", "encoder_layer", ...: the names of the goldens. Static storage. */
static inline const char *es_stage_name(enum es_stage stage) {
    static const char *const names[ES_STAGE_COUNT] = {
        "conv0",         "conv1",         "encoder_layer", "encoder", "adapter",
        "decoder_input", "decoder_layer", "decoder",       "logits",
    };
    return stage < ES_STAGE_COUNT ? names[stage] : "unknown stage";
}

struct es_cuda;
struct es_blas_calls;

struct es_backend_config {
    uint32_t
        encode_positions_max; /* most positions in one encode call, 1..ES_ENCODE_POSITIONS_MAX */
    uint32_t thread_count;    /* that of the pool: scratch is planned for as many */
    struct es_pool *pool;     /* borrowed; may be NULL in layout */
    const struct es_tap *tap; /* borrowed; NULL for none */
    uint64_t start_position;  /* tests: age of the decoder at reset, in positions; the encoder is
                               * downsample times as old. 0 in the product */
    struct es_cuda *cuda;     /* borrowed; engine/cuda alone reads it; may be NULL in layout */
    enum es_mem_kind kv_kind; /* engine/cuda: where the rings of keys and values lie: device,
                               * unified or shared. engine/cpu has them in host memory */
    const struct es_blas_calls *blas; /* tests: in place of cuBLASLt; NULL in the product */
    bool separates_layers; /* engine/cuda: a row goes through a layer in five kernels, not in two */
};

/* One decoder step. */
struct es_step {
    int32_t id;               /* id to feed; ES_STEP_LAST: the id that the last step chose */
    float streaming_pad_bias; /* added to the logit of id 32 before the choice; 0 for none */
};
#define ES_STEP_LAST (-1)

struct es_choice {
    int32_t id;   /* argmax of the (biased) logits; ties go to the lowest id */
    float margin; /* its logit minus the second best, >= 0 */
};

/* Region numbers of one backend; only the backend that filled it reads it. */
struct es_backend_layout {
    uint32_t regions[48];
};

struct es_backend; /* lives in the arena */

struct es_backend_ops {
    const char *name;           /* "cpu", "cuda" */
    uint32_t cache_value_bytes; /* of one number in the rings of keys and values: 4 | 2 */

    /* Declares every byte that the backend will use, weights apart. */
    void (*layout)(const struct es_model *model, const struct es_backend_config *config,
                   struct es_plan *plan, struct es_backend_layout *layout);

    /* Binds and precomputes; allocates nothing but what a device's library needs for itself. On
     * success *backend lives until close, and no longer than the arena. All pointers are borrowed
     * and must outlive it. A failure leaves nothing behind. */
    ES_MUST_CHECK enum es_status (*init)(struct es_backend **backend, const struct es_model *model,
                                         const struct es_backend_config *config,
                                         const struct es_backend_layout *layout,
                                         const struct es_arena *arena,
                                         const struct es_weights *weights, struct es_error *error);

    /* A new stream with this delay (1..15 or 30 positions of 80 ms): positions, rings and
     * convolution history start over and the conditioning of the ada norms is computed anew.
     * silent_count NULL: the stream has heard nothing. Not NULL: it will begin with the left pad
     * (silence, BOS and [STREAMING_PAD]), and the backend may begin behind a part of it that it has
     * heard and decoded before: *silent_count says how many positions that is, 0 to
     * ES_SILENT_POSITIONS. They are done: encode goes on with the mel frames after them, the ids
     * with those of the positions after them. */
    ES_MUST_CHECK enum es_status (*reset)(struct es_backend *backend, uint32_t delay_positions,
                                          uint32_t *silent_count, struct es_error *error);

    /* mel [position_count * frames_per_position, mel_bin_count] f32, frame after frame with no gap;
     * 1 <= position_count <= encode_positions_max. Runs conv stem, encoder and adapter and queues
     * position_count embeddings. Returns how many wait now, or < 0: ES_ERR_INPUT when a result is
     * not finite, ES_ERR_HARDWARE when a device failed (both may come with the next prefill or
     * decode instead). `mel` may be overwritten as soon as the call returns. The queue holds
     * ES_PROMPT_POSITIONS_MAX + encode_positions_max; feeding more is a programmer error. */
    ES_MUST_CHECK int (*encode)(struct es_backend *backend, const float *mel,
                                uint32_t position_count, struct es_error *error);

    /* The prompt: ids [id_count], position i gets ids[i] + embedding i. Consumes id_count queued
     * embeddings and chooses the first id from the last position's logits. 1 <= id_count <=
     * ES_PROMPT_POSITIONS_MAX; only as the first call after reset (encode apart), silent positions
     * or none. ES_ERR_INPUT for an id outside the vocabulary (nothing is consumed) and for a result
     * that is not finite, with its position. */
    ES_MUST_CHECK enum es_status (*prefill)(struct es_backend *backend, const int32_t *ids,
                                            uint32_t id_count, float streaming_pad_bias,
                                            struct es_choice *choice, struct es_error *error);

    /* One step; consumes one queued embedding, which must be there. Errors as in prefill. May be
     * the first call after reset, with an id: a prompt can be stepped through. */
    ES_MUST_CHECK enum es_status (*decode)(struct es_backend *backend, const struct es_step *step,
                                           struct es_choice *choice, struct es_error *error);

    /* Waits until what was begun is done: for benchmarks, a stream has no use for it. */
    ES_MUST_CHECK enum es_status (*wait)(struct es_backend *backend, struct es_error *error);

    /* Gives back what is not the arena's memory. NULL is allowed. */
    void (*close)(struct es_backend *backend);
};
