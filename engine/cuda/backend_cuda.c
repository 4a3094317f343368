#include "engine/cuda/backend_cuda.h"

#include "engine/cuda/decoder_cuda.h"
#include "engine/cuda/encoder_cuda.h"
#include "engine/cuda/flags.h"
#include "engine/cuda/patience.h"
#include "engine/cuda/workspace.h"
#include "engine/time_embedding.h"
#include "engine/tokenizer.h"
#include "platform/assert.h"
#include "platform/deal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GRAPH_COUNT 4u /* 1, 2, 4 and 8 positions: ES_CADENCE_POSITIONS_MAX and its halves */
/* Mel frames of each graph lie apart, largest first: a call of up to 15 positions is one launch of
 * each at most, and none overwrites what another has yet to read. */
#define GRAPH_POSITIONS (2u * ES_CADENCE_POSITIONS_MAX - 1u)
#define WARM_UP_ROWS (ES_CUDA_FEW_ROWS_MAX + 1u) /* a prompt that is many rows */
_Static_assert(1u << (GRAPH_COUNT - 1u) == ES_CADENCE_POSITIONS_MAX, "one graph per cadence");

/* Small things that both sides see. */
struct shared {
    struct es_cuda_step_input *input;
    struct es_cuda_step_output *output;
    struct es_cuda_stream_state *state; /* staging of what reset writes */
    uint64_t *encoder_turns;            /* staging at init */
    uint64_t *decoder_turns;
    float *time;  /* [decoder.dim] staging of a delay's embedding */
    int32_t *ids; /* [ES_PROMPT_POSITIONS_MAX] of a prompt */
    float *mel;   /* [GRAPH_POSITIONS + encode_positions_max positions] */
};

struct es_backend {
    /* configuration */
    const struct es_model *model;
    struct es_cuda *cuda;
    uint32_t encode_positions_max;
    uint64_t start_position;
    struct es_cuda_ops ops;
    struct es_cuda_tap tap;
    struct shared shared;
    struct es_cuda_encoder encoder;
    struct es_cuda_decoder decoder;
    struct es_cuda_graph encode_graphs[GRAPH_COUNT]; /* of 1 << i positions */
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

struct cuda_layout {
    uint32_t backend_region;
    uint32_t shared_region;
    uint32_t state_region;
    uint32_t tap_region;
    struct es_cuda_workspace_layout workspace;
    struct es_cuda_encoder_layout encoder;
    struct es_cuda_decoder_layout decoder;
};
_Static_assert(sizeof(struct cuda_layout) <= sizeof(struct es_backend_layout),
               "the layout of this backend fits into the seam's");

enum es_status es_backend_cuda_check(const struct es_model *model, enum es_dtype dtype,
                                     struct es_error *error) {
    if (dtype != ES_DTYPE_BF16) {
        return es_fail(error, ES_ERR_INPUT,
                       "the GPU engine reads BF16 weights and this model has %s; use --backend cpu",
                       es_dtype_name(dtype));
    }
    const struct es_stack *stacks[] = {&model->encoder, &model->decoder};
    for (size_t i = 0; i < 2; i++) {
        if (es_cuda_head_stride(stacks[i]->head_dim) == 0) {
            return es_fail(error, ES_ERR_INPUT,
                           "the GPU engine has kernels for heads of up to 128 values and the %s's "
                           "have %u; use --backend cpu",
                           i == 0 ? "encoder" : "decoder", stacks[i]->head_dim);
        }
    }
    return ES_OK;
}

/* -- memory ------------------------------------------------------------------------------------- */

static size_t position_floats(const struct es_model *model) {
    return (size_t)model->frames_per_position * model->mel_bin_count;
}

static void deal_shared(struct shared *shared, const struct es_model *model,
                        const struct es_backend_config *config, struct es_deal *deal) {
    size_t mel_positions = GRAPH_POSITIONS + config->encode_positions_max;
    shared->input = es_deal_bytes(deal, sizeof *shared->input);
    shared->output = es_deal_bytes(deal, sizeof *shared->output);
    shared->state = es_deal_bytes(deal, sizeof *shared->state);
    shared->encoder_turns =
        es_deal_bytes(deal, model->encoder.head_dim / 2u * sizeof *shared->encoder_turns);
    shared->decoder_turns =
        es_deal_bytes(deal, model->decoder.head_dim / 2u * sizeof *shared->decoder_turns);
    shared->time = es_deal_floats(deal, model->decoder.dim);
    shared->ids = es_deal_bytes(deal, ES_PROMPT_POSITIONS_MAX * sizeof *shared->ids);
    shared->mel = es_deal_floats(deal, mel_positions * position_floats(model));
}

static void cuda_layout(const struct es_model *model, const struct es_backend_config *config,
                        struct es_plan *plan, struct es_backend_layout *layout) {
    ES_ASSERT(config->encode_positions_max >= 1);
    ES_ASSERT(config->encode_positions_max <= ES_ENCODE_POSITIONS_MAX);
    struct cuda_layout cuda;
    struct shared shared;
    struct es_deal deal = {NULL, 0};
    deal_shared(&shared, model, config, &deal);
    cuda.backend_region = es_plan_add(plan, ES_MEM_HOST, "cuda backend", sizeof(struct es_backend));
    cuda.shared_region =
        es_plan_add(plan, ES_MEM_SHARED, "step input and output, mel frames", deal.used_bytes);
    cuda.state_region =
        es_plan_add(plan, ES_MEM_DEVICE, "stream state", sizeof(struct es_cuda_stream_state));
    cuda.tap_region = es_cuda_tap_layout(model, config, plan);
    es_cuda_workspace_layout(model, config, plan, &cuda.workspace);
    es_cuda_encoder_layout(model, config, plan, &cuda.encoder);
    es_cuda_decoder_layout(model, config, plan, &cuda.decoder);
    memset(layout, 0, sizeof *layout);
    memcpy(layout, &cuda, sizeof cuda);
}

/* -- running ------------------------------------------------------------------------------------ */

/* Where the frames of a run of `position_count` positions lie; `index` of its graph, or
 * GRAPH_COUNT for a run without one. */
static float *mel_of(const struct es_backend *backend, uint32_t index) {
    uint32_t first = 0;
    for (uint32_t i = GRAPH_COUNT; i > index + 1u; i--) {
        first += 1u << (i - 1u);
    }
    first = index == GRAPH_COUNT ? GRAPH_POSITIONS : first;
    return backend->shared.mel + first * position_floats(backend->model);
}

static enum es_status wait(struct es_backend *backend, struct es_error *error) {
    backend->is_in_flight = false;
    return es_cuda_wait(backend->cuda, error);
}

/* Enqueues the encoder over `position_count` positions. */
static enum es_status run_encoder(struct es_backend *backend, const float *mel,
                                  uint32_t position_count, struct es_error *error) {
    return es_cuda_encoder_run(&backend->encoder, mel, position_count, &backend->tap,
                               backend->start_position + backend->encoded_count,
                               backend->encoded_count, error);
}

/* `mel` NULL: silence. */
static void fill_mel(const struct es_backend *backend, float *target, const float *mel,
                     uint32_t position_count) {
    size_t floats = position_count * position_floats(backend->model);
    if (mel != NULL) {
        memcpy(target, mel, floats * sizeof *target);
        return;
    }
    /* As audio/mel.h computes it: the log of the least energy, floored, moved and scaled. */
    float silence = (fmaxf(-10.0f, backend->model->log_mel_max - 8.0f) + 4.0f) / 4.0f;
    for (size_t i = 0; i < floats; i++) {
        target[i] = silence;
    }
}

/* The largest piece that has a graph, and that graph's index; returns its positions. */
static uint32_t piece_size(uint32_t position_count, uint32_t *index) {
    uint32_t i = GRAPH_COUNT - 1u;
    while (1u << i > position_count) {
        i--;
    }
    *index = i;
    return 1u << i;
}

static enum es_status encode_piece(struct es_backend *backend, const float *mel,
                                   uint32_t position_count, uint32_t index,
                                   struct es_error *error) {
    float *target = mel_of(backend, index);
    fill_mel(backend, target, mel, position_count);
    backend->is_in_flight = true;
    enum es_status status =
        index < GRAPH_COUNT && backend->encode_graphs[index].executable != NULL
            ? es_cuda_graph_launch(backend->cuda, &backend->encode_graphs[index], error)
            : run_encoder(backend, target, position_count, error);
    backend->encoded_count += position_count;
    return status;
}

/* `mel` NULL: silence. Up to 8 positions in pieces that have a graph, more at once. */
static enum es_status encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                             struct es_error *error) {
    enum es_status status = ES_OK;
    if (backend->is_in_flight) {
        status = wait(backend, error);
    }
    if (status == ES_OK && position_count > ES_CADENCE_POSITIONS_MAX) {
        return encode_piece(backend, mel, position_count, GRAPH_COUNT, error);
    }
    for (uint32_t done = 0; status == ES_OK && done < position_count;) {
        uint32_t index = 0;
        uint32_t count = piece_size(position_count - done, &index);
        const float *piece = mel != NULL ? mel + done * position_floats(backend->model) : NULL;
        status = encode_piece(backend, piece, count, index, error);
        done += count;
    }
    return status;
}

/* Waits for the run that chooses, and takes what it says. */
static enum es_status finish(struct es_backend *backend, uint32_t row_count,
                             struct es_choice *choice, struct es_error *error) {
    const struct es_cuda_step_output *output = backend->shared.output;
    uint64_t position = backend->start_position + backend->decoded_count + row_count - 1u;
    if (es_patience_sees(&backend->patience, &output->position, position)) {
        backend->is_in_flight = false; /* the choice is the last thing of all that was begun */
    } else {
        enum es_status status = wait(backend, error);
        if (status != ES_OK) {
            return status;
        }
    }
    es_patience_end(&backend->patience);
    backend->decoded_count += row_count;
    backend->has_choice = true;
    if (output->flags != 0) {
        return es_cuda_flags_fail(output->flags, position, error);
    }
    choice->id = output->id;
    choice->margin = output->margin;
    return ES_OK;
}

static enum es_status run_prompt(struct es_backend *backend, const int32_t *ids, uint32_t id_count,
                                 float bias, struct es_choice *choice, struct es_error *error) {
    backend->patience = (struct es_patience){0};
    memcpy(backend->shared.ids, ids, id_count * sizeof *ids);
    *backend->shared.input =
        (struct es_cuda_step_input){.id = ES_STEP_LAST, .streaming_pad_bias = bias};
    enum es_status status =
        es_cuda_decoder_run(&backend->decoder, backend->shared.ids, id_count, &backend->tap,
                            backend->start_position + backend->decoded_count, error);
    status = status == ES_OK ? finish(backend, id_count, choice, error) : status;
    backend->patience = (struct es_patience){0}; /* what a prompt takes is not what a step takes */
    return status;
}

static enum es_status check_id(const struct es_backend *backend, int32_t id, uint64_t index,
                               struct es_error *error) {
    if (id >= 0 && (uint32_t)id < backend->model->vocab_size) {
        return ES_OK;
    }
    return es_fail(error, ES_ERR_INPUT,
                   "id %" PRId32 " at position %" PRIu64
                   ": is not in the vocabulary; give an id of 0..%" PRIu32,
                   id, backend->start_position + backend->decoded_count + index,
                   backend->model->vocab_size - 1u);
}

/* -- a new stream ------------------------------------------------------------------------------- */

static enum es_status write_state(struct es_backend *backend, uint32_t silent_count,
                                  struct es_error *error) {
    uint64_t start = backend->start_position;
    uint64_t downsample = backend->model->downsample;
    *backend->shared.state = (struct es_cuda_stream_state){
        .encoder_frame = (start + silent_count) * downsample,
        .encoder_oldest = start * downsample,
        .decoder_position = start + silent_count,
        .decoder_oldest = start,
        .last_id = ES_ID_STREAMING_PAD,
        .embeddings_written = silent_count,
    };
    backend->shared.output->position = UINT64_MAX; /* nothing runs: reset waits before */
    backend->encoded_count = silent_count;
    backend->decoded_count = silent_count;
    backend->has_choice = false;
    return es_cuda_copy(backend->cuda, backend->ops.state, backend->shared.state,
                        sizeof *backend->shared.state, ES_CUDA_TO_DEVICE, error);
}

static enum es_status condition(struct es_backend *backend, uint32_t delay_positions,
                                struct es_error *error) {
    if (backend->conditioned_delay == delay_positions) {
        return ES_OK;
    }
    backend->conditioned_delay = 0;
    backend->silent_delay = 0;
    es_time_embedding(delay_positions, backend->model->decoder.dim, backend->shared.time);
    enum es_status status =
        es_cuda_decoder_condition(&backend->decoder, backend->shared.time, error);
    if (status == ES_OK) {
        backend->conditioned_delay = delay_positions;
    }
    return status;
}

/* Hears the silence for the first time with this delay, and keeps what it left behind. */
static enum es_status hear_silence(struct es_backend *backend, struct es_error *error) {
    int32_t ids[ES_SILENT_POSITIONS];
    for (uint32_t i = 0; i < ES_SILENT_POSITIONS; i++) {
        ids[i] = i == 0 ? ES_ID_BOS : ES_ID_STREAMING_PAD;
    }
    enum es_status status = ES_OK;
    for (uint32_t done = 0; status == ES_OK && done < ES_SILENT_POSITIONS;) {
        uint32_t left = ES_SILENT_POSITIONS - done;
        uint32_t count =
            left < backend->encode_positions_max ? left : backend->encode_positions_max;
        status = encode(backend, NULL, count, error);
        done += count;
    }
    struct es_choice choice;
    if (status == ES_OK) {
        status = run_prompt(backend, ids, ES_SILENT_POSITIONS, 0.0f, &choice, error);
    }
    if (status == ES_OK) {
        status = es_cuda_encoder_keep(&backend->encoder, backend->start_position,
                                      ES_SILENT_POSITIONS, error);
    }
    if (status == ES_OK) {
        status = es_cuda_rings_keep(&backend->decoder.stack.rings, &backend->ops,
                                    backend->start_position, ES_SILENT_POSITIONS, error);
    }
    backend->has_choice = false;
    return status;
}

static enum es_status begin_behind_silence(struct es_backend *backend, uint32_t delay_positions,
                                           struct es_error *error) {
    if (backend->silent_delay != delay_positions) {
        enum es_status status = hear_silence(backend, error);
        backend->silent_delay = status == ES_OK ? delay_positions : 0;
        return status;
    }
    enum es_status status = es_cuda_encoder_restore(&backend->encoder, error);
    if (status == ES_OK) {
        status = es_cuda_rings_restore(&backend->decoder.stack.rings, &backend->ops, error);
    }
    return status == ES_OK ? write_state(backend, ES_SILENT_POSITIONS, error) : status;
}

static enum es_status cuda_reset(struct es_backend *backend, uint32_t delay_positions,
                                 uint32_t *silent_count, struct es_error *error) {
    ES_ASSERT(delay_positions >= 1);
    ES_ASSERT(delay_positions <= ES_DELAY_POSITIONS_MAX);
    /* A tap wants to see every row. */
    bool has_silence = silent_count != NULL && backend->tap.tap == NULL;
    if (silent_count != NULL) {
        *silent_count = has_silence ? ES_SILENT_POSITIONS : 0;
    }
    enum es_status status = wait(backend, error); /* the staging areas are free */
    if (status == ES_OK) {
        status = condition(backend, delay_positions, error);
    }
    if (status == ES_OK) {
        status = write_state(backend, 0, error);
    }
    if (status == ES_OK) {
        status = es_cuda_encoder_clear(&backend->encoder, error);
    }
    if (status == ES_OK) {
        status = wait(backend, error);
    }
    if (status == ES_OK && has_silence) {
        status = begin_behind_silence(backend, delay_positions, error);
    }
    return status == ES_OK ? wait(backend, error) : status;
}

/* -- boot --------------------------------------------------------------------------------------- */

static enum es_status bind(struct es_backend *self, const struct cuda_layout *layout,
                           const struct es_backend_config *config, const struct es_arena *arena,
                           const struct es_weights *weights, struct es_error *error) {
    struct es_deal deal = {es_arena_region(arena, layout->shared_region), 0};
    self->ops.cuda = self->cuda;
    self->ops.state = es_arena_region(arena, layout->state_region);
    if (deal.base == NULL || self->ops.state == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuda backend: its memory is not reserved; free some memory of the GPU");
    }
    deal_shared(&self->shared, self->model, config, &deal);
    *self->shared.output = (struct es_cuda_step_output){0};
    es_cuda_tap_init(&self->tap, self->model, config, layout->tap_region, arena);
    enum es_status status = es_cuda_workspace_open(&self->ops, self->model, config,
                                                   &layout->workspace, arena, weights, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_cuda_encoder_init(&self->encoder, self->model, config, &self->ops, &layout->encoder,
                                  arena, weights, self->shared.encoder_turns, error);
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_decoder_io io = {
        .input = self->shared.input,
        .output = self->shared.output,
        .queue = self->encoder.queue,
        .queue_slot_count = self->encoder.queue_slot_count,
    };
    return es_cuda_decoder_init(&self->decoder, self->model, &self->ops, &layout->decoder, arena,
                                weights, &io, self->shared.decoder_turns, error);
}

/* Everything that a stream runs, once without graphs: code is loaded, libraries choose their
 * algorithms, and a fault shows where its name is known. The frames are silence. */
static enum es_status warm_up(struct es_backend *self, struct es_error *error) {
    static const int32_t ids[WARM_UP_ROWS];
    struct es_choice choice;
    enum es_status status = cuda_reset(self, 1, NULL, error);
    for (uint32_t i = 0; status == ES_OK && i < GRAPH_COUNT; i++) {
        if (1u << i <= self->encode_positions_max) {
            status = encode(self, NULL, 1u << i, error);
        }
    }
    if (status == ES_OK && self->encode_positions_max > ES_CADENCE_POSITIONS_MAX) {
        status = encode(self, NULL, ES_CADENCE_POSITIONS_MAX + 1u, error);
    }
    while (status == ES_OK && self->encoded_count < 1u + 2u + WARM_UP_ROWS) {
        status = encode(self, NULL, 1, error);
    }
    if (status == ES_OK) {
        status = run_prompt(self, ids, WARM_UP_ROWS, 0.0f, &choice, error);
    }
    if (status == ES_OK) {
        status = run_prompt(self, ids, 2, 0.0f, &choice, error);
    }
    if (status == ES_OK) {
        status = es_cuda_decoder_run(&self->decoder, NULL, 1, &self->tap,
                                     self->start_position + self->decoded_count, error);
    }
    return status == ES_OK ? wait(self, error) : status;
}

static enum es_status capture_encode(struct es_backend *self, uint32_t index,
                                     struct es_error *error) {
    static const char *const names[GRAPH_COUNT] = {"encoder, 1 position", "encoder, 2 positions",
                                                   "encoder, 4 positions", "encoder, 8 positions"};
    enum es_status status = es_cuda_graph_begin(self->cuda, error);
    if (status != ES_OK) {
        return status;
    }
    status = run_encoder(self, mel_of(self, index), 1u << index, error);
    if (status != ES_OK) {
        es_cuda_graph_abandon(self->cuda);
        return status;
    }
    return es_cuda_graph_end(self->cuda, &self->encode_graphs[index], names[index], error);
}

static enum es_status capture(struct es_backend *self, struct es_error *error) {
    enum es_status status = ES_OK;
    for (uint32_t i = 0; status == ES_OK && i < GRAPH_COUNT; i++) {
        if (1u << i <= self->encode_positions_max) {
            status = capture_encode(self, i, error);
        }
    }
    if (status == ES_OK) {
        status = es_cuda_graph_begin(self->cuda, error);
    }
    if (status != ES_OK) {
        return status;
    }
    status = es_cuda_decoder_run(&self->decoder, NULL, 1, &self->tap, 0, error);
    if (status != ES_OK) {
        es_cuda_graph_abandon(self->cuda);
        return status;
    }
    return es_cuda_graph_end(self->cuda, &self->decode_graph, "decoder step", error);
}

static void cuda_close(struct es_backend *backend) {
    if (backend == NULL) {
        return;
    }
    /* From a lost device, too, the handles are given back. */
    enum es_status ignored = es_cuda_wait(backend->cuda, NULL);
    (void)ignored;
    for (uint32_t i = 0; i < GRAPH_COUNT; i++) {
        es_cuda_graph_close(backend->cuda, &backend->encode_graphs[i]);
    }
    es_cuda_graph_close(backend->cuda, &backend->decode_graph);
    es_cuda_workspace_close(&backend->ops);
}

static enum es_status cuda_init(struct es_backend **backend, const struct es_model *model,
                                const struct es_backend_config *config,
                                const struct es_backend_layout *layout,
                                const struct es_arena *arena, const struct es_weights *weights,
                                struct es_error *error) {
    struct cuda_layout cuda;
    memcpy(&cuda, layout, sizeof cuda);
    ES_ASSERT(config->cuda != NULL);
    struct es_backend *self = es_arena_region(arena, cuda.backend_region);
    if (self == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuda backend: host memory is not reserved; free some memory");
    }
    memset(self, 0, sizeof *self);
    self->model = model;
    self->cuda = config->cuda;
    self->encode_positions_max = config->encode_positions_max;
    self->start_position = config->start_position;
    enum es_status status = bind(self, &cuda, config, arena, weights, error);
    self->tap.tap = NULL; /* it is not a stream yet */
    if (status == ES_OK) {
        status = warm_up(self, error);
    }
    self->tap.tap = config->tap;
    if (status == ES_OK && config->tap == NULL) {
        status = capture(self, error);
    }
    if (status != ES_OK) {
        cuda_close(self);
        return status;
    }
    *backend = self;
    return ES_OK;
}

/* -- the seam ----------------------------------------------------------------------------------- */

static int cuda_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                       struct es_error *error) {
    ES_ASSERT(position_count >= 1);
    ES_ASSERT(position_count <= backend->encode_positions_max);
    ES_ASSERT(backend->encoded_count - backend->decoded_count + position_count <=
              backend->encoder.queue_slot_count);
    enum es_status status = encode(backend, mel, position_count, error);
    return status == ES_OK ? (int)(backend->encoded_count - backend->decoded_count) : (int)status;
}

static enum es_status cuda_prefill(struct es_backend *backend, const int32_t *ids,
                                   uint32_t id_count, float streaming_pad_bias,
                                   struct es_choice *choice, struct es_error *error) {
    ES_ASSERT(!backend->has_choice);
    ES_ASSERT(id_count >= 1 && id_count <= ES_PROMPT_POSITIONS_MAX);
    ES_ASSERT(id_count <= backend->encoded_count - backend->decoded_count);
    for (uint32_t i = 0; i < id_count; i++) {
        enum es_status status = check_id(backend, ids[i], i, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return run_prompt(backend, ids, id_count, streaming_pad_bias, choice, error);
}

static enum es_status cuda_decode(struct es_backend *backend, const struct es_step *step,
                                  struct es_choice *choice, struct es_error *error) {
    ES_ASSERT(step->id != ES_STEP_LAST || backend->has_choice);
    ES_ASSERT(backend->decoded_count < backend->encoded_count);
    enum es_status status =
        step->id == ES_STEP_LAST ? ES_OK : check_id(backend, step->id, 0, error);
    if (status != ES_OK) {
        return status;
    }
    *backend->shared.input =
        (struct es_cuda_step_input){.id = step->id, .streaming_pad_bias = step->streaming_pad_bias};
    es_patience_begin(&backend->patience);
    status = backend->decode_graph.executable != NULL
                 ? es_cuda_graph_launch(backend->cuda, &backend->decode_graph, error)
                 : es_cuda_decoder_run(&backend->decoder, NULL, 1, &backend->tap,
                                       backend->start_position + backend->decoded_count, error);
    return status == ES_OK ? finish(backend, 1, choice, error) : status;
}

const struct es_backend_ops *es_backend_cuda(void) {
    static const struct es_backend_ops ops = {
        .name = "cuda",
        .cache_value_bytes = sizeof(uint16_t),
        .layout = cuda_layout,
        .init = cuda_init,
        .reset = cuda_reset,
        .encode = cuda_encode,
        .prefill = cuda_prefill,
        .decode = cuda_decode,
        .wait = wait,
        .close = cuda_close,
    };
    return &ops;
}

/* -- measuring ---------------------------------------------------------------------------------- */

/* Far enough into a stream that both windows are full. */
static enum es_status stand_far_in(void *context, struct es_error *error) {
    struct es_backend *backend = context;
    const struct es_model *model = backend->model;
    uint64_t position = model->decoder.window + (uint64_t)model->encoder.window;
    *backend->shared.state = (struct es_cuda_stream_state){
        .encoder_frame = position * model->downsample,
        .decoder_position = position,
        .last_id = ES_ID_STREAMING_PAD,
        .embeddings_written = position + 1u,
    };
    *backend->shared.input = (struct es_cuda_step_input){.id = ES_STEP_LAST};
    enum es_status status = es_cuda_copy(backend->cuda, backend->ops.state, backend->shared.state,
                                         sizeof *backend->shared.state, ES_CUDA_TO_DEVICE, error);
    return status == ES_OK ? wait(backend, error) : status;
}

static enum es_status enqueue_encoder(void *context, struct es_error *error) {
    struct es_backend *backend = context;
    return run_encoder(backend, mel_of(backend, 0), 1, error);
}

static enum es_status enqueue_decoder(void *context, struct es_error *error) {
    struct es_backend *backend = context;
    return es_cuda_decoder_run(&backend->decoder, NULL, 1, &backend->tap, 0, error);
}

enum es_status es_backend_cuda_measure(struct es_backend *backend,
                                       struct es_cuda_measured *measured, uint32_t *measured_count,
                                       struct es_error *error) {
    const struct es_cuda_measured_run runs[] = {
        {"encoder", backend, stand_far_in, enqueue_encoder},
        {"decoder", backend, stand_far_in, enqueue_decoder},
    };
    enum es_status status = ES_OK;
    *measured_count = 0;
    for (size_t i = 0; status == ES_OK && i < sizeof runs / sizeof runs[0]; i++) {
        status = es_cuda_measure_run(backend->cuda, &runs[i], measured, measured_count, error);
    }
    return status;
}
