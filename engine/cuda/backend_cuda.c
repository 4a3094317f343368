#include "engine/cuda/backend_inner.h"
#include "engine/cuda/flags.h"
#include "engine/tokenizer.h"
#include "platform/assert.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

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

/* -- running ----------------------------------------------------------------------------------- */

/* Where the frames of a run of `position_count` positions lie; `index` of its graph, or
 * ES_CUDA_GRAPH_COUNT for a run without one. */
float *es_cuda_mel_of(const struct es_backend *backend, uint32_t index) {
    uint32_t first = 0;
    for (uint32_t i = ES_CUDA_GRAPH_COUNT; i > index + 1u; i--) {
        first += 1u << (i - 1u);
    }
    first = index == ES_CUDA_GRAPH_COUNT ? ES_CUDA_GRAPH_POSITIONS : first;
    return backend->shared.mel + first * es_cuda_position_floats(backend->model);
}

enum es_status es_cuda_backend_wait(struct es_backend *backend, struct es_error *error) {
    backend->is_in_flight = false;
    return es_cuda_wait(backend->cuda, error);
}

/* Enqueues the encoder over `position_count` positions. */
enum es_status es_cuda_run_encoder(struct es_backend *backend, const float *mel,
                                   uint32_t position_count, struct es_error *error) {
    return es_cuda_encoder_run(&backend->encoder, mel, position_count, &backend->tap,
                               backend->start_position + backend->encoded_count,
                               backend->encoded_count, error);
}

/* `mel` NULL: silence. */
static void fill_mel(const struct es_backend *backend, float *target, const float *mel,
                     uint32_t position_count) {
    size_t floats = position_count * es_cuda_position_floats(backend->model);
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
    uint32_t i = ES_CUDA_GRAPH_COUNT - 1u;
    while (1u << i > position_count) {
        i--;
    }
    *index = i;
    return 1u << i;
}

static enum es_status encode_piece(struct es_backend *backend, const float *mel,
                                   uint32_t position_count, uint32_t index,
                                   struct es_error *error) {
    float *target = es_cuda_mel_of(backend, index);
    fill_mel(backend, target, mel, position_count);
    backend->is_in_flight = true;
    enum es_status status =
        index < ES_CUDA_GRAPH_COUNT && backend->encode_graphs[index].executable != NULL
            ? es_cuda_graph_launch(backend->cuda, &backend->encode_graphs[index], error)
            : es_cuda_run_encoder(backend, target, position_count, error);
    backend->encoded_count += position_count;
    return status;
}

/* `mel` NULL: silence. Up to 8 positions in pieces that have a graph, more at once. */
enum es_status es_cuda_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                              struct es_error *error) {
    enum es_status status = ES_OK;
    if (backend->is_in_flight) {
        status = es_cuda_backend_wait(backend, error);
    }
    if (status == ES_OK && position_count > ES_CADENCE_POSITIONS_MAX) {
        return encode_piece(backend, mel, position_count, ES_CUDA_GRAPH_COUNT, error);
    }
    for (uint32_t done = 0; status == ES_OK && done < position_count;) {
        uint32_t index = 0;
        uint32_t count = piece_size(position_count - done, &index);
        const float *piece =
            mel != NULL ? mel + done * es_cuda_position_floats(backend->model) : NULL;
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
        enum es_status status = es_cuda_backend_wait(backend, error);
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

enum es_status es_cuda_run_prompt(struct es_backend *backend, const int32_t *ids, uint32_t id_count,
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

/* -- the seam ---------------------------------------------------------------------------------- */

static int cuda_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                       struct es_error *error) {
    ES_ASSERT(position_count >= 1);
    ES_ASSERT(position_count <= backend->encode_positions_max);
    ES_ASSERT(backend->encoded_count - backend->decoded_count + position_count <=
              backend->encoder.queue_slot_count);
    enum es_status status = es_cuda_encode(backend, mel, position_count, error);
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
    return es_cuda_run_prompt(backend, ids, id_count, streaming_pad_bias, choice, error);
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
        .layout = es_cuda_backend_layout,
        .init = es_cuda_backend_init,
        .reset = es_cuda_backend_reset,
        .encode = cuda_encode,
        .prefill = cuda_prefill,
        .decode = cuda_decode,
        .wait = es_cuda_backend_wait,
        .close = es_cuda_backend_close,
    };
    return &ops;
}

/* -- measuring --------------------------------------------------------------------------------- */

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
    return status == ES_OK ? es_cuda_backend_wait(backend, error) : status;
}

static enum es_status enqueue_encoder(void *context, struct es_error *error) {
    struct es_backend *backend = context;
    return es_cuda_run_encoder(backend, es_cuda_mel_of(backend, 0), 1, error);
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
