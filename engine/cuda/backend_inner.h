/* backend_inner.h - what the GPU backend is made of; private to its files.
 *
 *   backend_cuda.c    the seam: encode, prefill, decode
 *   backend_boot.c    memory, warm-up, graphs, the end
 *   backend_reset.c   a new stream, and the silence that it may begin behind */
#pragma once

#include "engine/cuda/backend_cuda.h"
#include "engine/cuda/decoder_cuda.h"
#include "engine/cuda/encoder_cuda.h"
#include "engine/cuda/patience.h"
#include "engine/cuda/workspace.h"
#include "platform/deal.h"

#define ES_CUDA_GRAPH_COUNT                                                                        \
    4u /* 1, 2, 4 and 8 positions: ES_CADENCE_POSITIONS_MAX and its halves */
/* Mel frames of each graph lie apart, largest first: a call of up to 15 positions is one launch of
 * each at most, and none overwrites what another has yet to read. */
#define ES_CUDA_GRAPH_POSITIONS (2u * ES_CADENCE_POSITIONS_MAX - 1u)
#define ES_CUDA_WARM_UP_ROWS (ES_CUDA_FEW_ROWS_MAX + 1u) /* a prompt that is many rows */
_Static_assert(1u << (ES_CUDA_GRAPH_COUNT - 1u) == ES_CADENCE_POSITIONS_MAX,
               "one graph per cadence");

/* Small things that both sides see. */
struct es_cuda_shared {
    struct es_cuda_step_input *input;
    struct es_cuda_step_output *output;
    struct es_cuda_stream_state *state; /* staging of what reset writes */
    uint64_t *encoder_turns;            /* staging at init */
    uint64_t *decoder_turns;
    float *time;  /* [decoder.dim] staging of a delay's embedding */
    int32_t *ids; /* [ES_PROMPT_POSITIONS_MAX] of a prompt */
    float *mel;   /* [ES_CUDA_GRAPH_POSITIONS + encode_positions_max positions] */
};

struct es_backend {
    /* configuration */
    const struct es_model *model;
    struct es_cuda *cuda;
    uint32_t encode_positions_max;
    uint64_t start_position;
    struct es_cuda_ops ops;
    struct es_cuda_tap tap;
    struct es_cuda_shared shared;
    struct es_cuda_encoder encoder;
    struct es_cuda_decoder decoder;
    struct es_cuda_graph encode_graphs[ES_CUDA_GRAPH_COUNT]; /* of 1 << i positions */
    struct es_cuda_graph decode_graph;
    /* what the device holds for more than one stream */
    uint32_t conditioned_delay; /* that the ada norms are made for; 0: none */
    uint32_t silent_delay;      /* that the kept silence is made for; 0: none */
    /* state */
    uint64_t encoded_count; /* positions since reset, silence included */
    uint64_t decoded_count;
    struct es_patience patience;
    bool is_in_flight; /* an encoder run may still read its mel frames */
    bool has_choice;   /* state.last_id is one */
};

struct es_cuda_layout {
    uint32_t backend_region;
    uint32_t shared_region;
    uint32_t state_region;
    uint32_t tap_region;
    struct es_cuda_workspace_layout workspace;
    struct es_cuda_encoder_layout encoder;
    struct es_cuda_decoder_layout decoder;
};
_Static_assert(sizeof(struct es_cuda_layout) <= sizeof(struct es_backend_layout),
               "the layout of this backend fits into the seam's");

/* Of mel, per position. */
size_t es_cuda_position_floats(const struct es_model *model);

/* The mel frames of a run with graph `index`, or with none (ES_CUDA_GRAPH_COUNT). */
float *es_cuda_mel_of(const struct es_backend *backend, uint32_t index);

/* Until the stream has done everything. */
ES_MUST_CHECK enum es_status es_cuda_backend_wait(struct es_backend *backend,
                                                  struct es_error *error);

/* Enqueues the encoder over `position_count` positions. */
ES_MUST_CHECK enum es_status es_cuda_run_encoder(struct es_backend *backend, const float *mel,
                                                 uint32_t position_count, struct es_error *error);

/* The same from the caller's frames, with graphs where there are some. `mel` NULL: silence. */
ES_MUST_CHECK enum es_status es_cuda_encode(struct es_backend *backend, const float *mel,
                                            uint32_t position_count, struct es_error *error);

/* `id_count` rows of the decoder at once, and their choice. */
ES_MUST_CHECK enum es_status es_cuda_run_prompt(struct es_backend *backend, const int32_t *ids,
                                                uint32_t id_count, float bias,
                                                struct es_choice *choice, struct es_error *error);

/* As the seam has them (engine/backend.h). */
void es_cuda_backend_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan, struct es_backend_layout *layout);
ES_MUST_CHECK enum es_status
es_cuda_backend_init(struct es_backend **backend, const struct es_model *model,
                     const struct es_backend_config *config, const struct es_backend_layout *layout,
                     const struct es_arena *arena, const struct es_weights *weights,
                     struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_backend_reset(struct es_backend *backend,
                                                   uint32_t delay_positions, uint32_t *silent_count,
                                                   struct es_error *error);
void es_cuda_backend_close(struct es_backend *backend);
