#include "engine/cuda/backend_inner.h"
#include "engine/time_embedding.h"
#include "engine/tokenizer.h"
#include "platform/assert.h"

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
        status = es_cuda_encode(backend, NULL, count, error);
        done += count;
    }
    struct es_choice choice;
    if (status == ES_OK) {
        status = es_cuda_run_prompt(backend, ids, ES_SILENT_POSITIONS, 0.0f, &choice, error);
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

enum es_status es_cuda_backend_reset(struct es_backend *backend, uint32_t delay_positions,
                                     uint32_t *silent_count, struct es_error *error) {
    ES_ASSERT(delay_positions >= 1);
    ES_ASSERT(delay_positions <= ES_DELAY_POSITIONS_MAX);
    /* A tap wants to see every row. */
    bool has_silence = silent_count != NULL && backend->tap.tap == NULL;
    if (silent_count != NULL) {
        *silent_count = has_silence ? ES_SILENT_POSITIONS : 0;
    }
    enum es_status status = es_cuda_backend_wait(backend, error); /* the staging areas are free */
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
        status = es_cuda_backend_wait(backend, error);
    }
    if (status == ES_OK && has_silence) {
        status = begin_behind_silence(backend, delay_positions, error);
    }
    return status == ES_OK ? es_cuda_backend_wait(backend, error) : status;
}
