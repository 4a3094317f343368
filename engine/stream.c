#include "engine/stream.h"

#include "engine/tokenizer.h"
#include "platform/assert.h"

#include <string.h>

void es_stream_layout(const struct es_model *model, uint32_t encode_positions_max,
                      struct es_plan *plan, struct es_stream_layout *layout) {
    size_t frame_count = (size_t)encode_positions_max * model->frames_per_position;
    layout->mel_region = es_plan_add(plan, ES_MEM_HOST, "stream mel frames",
                                     frame_count * model->mel_bin_count * sizeof(float));
}

void es_stream_init(struct es_stream *stream, const struct es_model *model,
                    uint32_t encode_positions_max, const struct es_backend_ops *ops,
                    struct es_backend *backend, const struct es_stream_layout *layout,
                    const struct es_arena *arena) {
    ES_ASSERT(encode_positions_max >= 1u && encode_positions_max <= ES_ENCODE_POSITIONS_MAX);
    *stream = (struct es_stream){
        .model = model,
        .ops = ops,
        .backend = backend,
        .encode_positions_max = encode_positions_max,
        .mel = es_arena_region(arena, layout->mel_region),
    };
}

enum es_status es_stream_reset(struct es_stream *stream, const struct es_stream_options *options,
                               struct es_error *error) {
    ES_ASSERT(options->delay_positions >= 1u && options->delay_positions <= ES_DELAY_POSITIONS_MAX);
    ES_ASSERT(options->on_token != NULL);
    stream->options = *options;
    stream->mel_frame_count = 0;
    stream->waiting_count = 0;
    stream->position_count = 0;
    stream->decision_count = 0;
    stream->blank_run = 0;
    stream->next_id = ES_STEP_LAST;
    return stream->ops->reset(stream->backend, options->delay_positions, error);
}

static uint32_t prompt_count(const struct es_stream *stream) {
    return 1u + ES_LEFT_PAD_POSITIONS + stream->options.delay_positions;
}

static float streaming_pad_bias(const struct es_stream *stream) {
    if (!stream->options.blank_guard || stream->blank_run < ES_BLANK_RUN_START) {
        return 0.0f;
    }
    float penalty = ES_BLANK_PENALTY_PER_POSITION * (float)(stream->blank_run - ES_BLANK_RUN_START);
    return penalty < ES_BLANK_PENALTY_MAX ? -penalty : -ES_BLANK_PENALTY_MAX;
}

/* A choice was made at the end of the position before position_count. */
static void give_out(struct es_stream *stream, const struct es_choice *choice) {
    int32_t forced_id = -1;
    if (stream->options.forced_id != NULL) {
        forced_id = stream->options.forced_id(stream->options.context, stream->decision_count);
        ES_ASSERT(forced_id < (int32_t)stream->model->vocab_size);
    }
    struct es_token token = {
        .id = choice->id,
        .fed_id = forced_id >= 0 ? forced_id : choice->id,
        .margin = choice->margin,
        .position = stream->position_count - 1u,
    };
    stream->next_id = forced_id >= 0 ? forced_id : ES_STEP_LAST;
    if (token.fed_id != ES_ID_STREAMING_PAD) {
        stream->blank_run = 0;
    } else if (stream->blank_run < UINT32_MAX) {
        stream->blank_run++;
    }
    stream->decision_count++;
    stream->options.on_token(stream->options.context, &token);
}

static enum es_status run_prompt(struct es_stream *stream, struct es_error *error) {
    int32_t ids[ES_PROMPT_POSITIONS_MAX];
    uint32_t id_count = prompt_count(stream);
    ids[0] = ES_ID_BOS;
    for (uint32_t i = 1; i < id_count; i++) {
        ids[i] = ES_ID_STREAMING_PAD;
    }
    struct es_choice choice;
    enum es_status status = stream->ops->prefill(stream->backend, ids, id_count,
                                                 streaming_pad_bias(stream), &choice, error);
    if (status != ES_OK) {
        return status;
    }
    stream->waiting_count -= id_count;
    stream->position_count = id_count;
    give_out(stream, &choice);
    return ES_OK;
}

static enum es_status step(struct es_stream *stream, struct es_error *error) {
    struct es_step next = {.id = stream->next_id, .streaming_pad_bias = streaming_pad_bias(stream)};
    struct es_choice choice;
    enum es_status status = stream->ops->decode(stream->backend, &next, &choice, error);
    if (status != ES_OK) {
        return status;
    }
    stream->waiting_count--;
    stream->position_count++;
    give_out(stream, &choice);
    return ES_OK;
}

/* As far as the audio reaches, never past it: a step without an embedding would invent text. */
static enum es_status decode_waiting(struct es_stream *stream, struct es_error *error) {
    if (stream->position_count == 0) {
        if (stream->waiting_count < prompt_count(stream)) {
            return ES_OK;
        }
        enum es_status status = run_prompt(stream, error);
        if (status != ES_OK) {
            return status;
        }
    }
    while (stream->waiting_count > 0) {
        enum es_status status = step(stream, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}

static enum es_status encode_whole_positions(struct es_stream *stream, struct es_error *error) {
    uint32_t position_count = stream->mel_frame_count / stream->model->frames_per_position;
    if (position_count == 0) {
        return ES_OK;
    }
    int waiting_count = stream->ops->encode(stream->backend, stream->mel, position_count, error);
    if (waiting_count < 0) {
        return (enum es_status)waiting_count;
    }
    stream->waiting_count += position_count;
    ES_ASSERT((uint32_t)waiting_count == stream->waiting_count);

    /* What is left is less than a position: a few kilobytes. */
    size_t bin_count = stream->model->mel_bin_count;
    uint32_t taken_count = position_count * stream->model->frames_per_position;
    stream->mel_frame_count -= taken_count;
    memmove(stream->mel, stream->mel + taken_count * bin_count,
            stream->mel_frame_count * bin_count * sizeof(float));
    return decode_waiting(stream, error);
}

enum es_status es_stream_push(struct es_stream *stream, const float *frames, size_t frame_count,
                              struct es_error *error) {
    size_t bin_count = stream->model->mel_bin_count;
    uint32_t frame_count_max = stream->encode_positions_max * stream->model->frames_per_position;
    while (frame_count > 0) {
        size_t room = frame_count_max - stream->mel_frame_count;
        size_t count = frame_count < room ? frame_count : room;
        memcpy(stream->mel + stream->mel_frame_count * bin_count, frames,
               count * bin_count * sizeof(float));
        stream->mel_frame_count += (uint32_t)count;
        frames += count * bin_count;
        frame_count -= count;
        enum es_status status = encode_whole_positions(stream, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}
