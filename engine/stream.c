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
    uint32_t cadence = options->cadence_positions;
    ES_ASSERT(cadence <= ES_CADENCE_POSITIONS_MAX && (cadence & (cadence - 1u)) == 0);
    ES_ASSERT(cadence <= stream->encode_positions_max);
    stream->options = *options;
    stream->mel_frame_count = 0;
    stream->waiting_count = 0;
    stream->position_count = 0;
    stream->decision_count = 0;
    stream->blank_run = 0;
    stream->next_id = ES_STEP_LAST;
    uint32_t silent_count = 0;
    enum es_status status =
        stream->ops->reset(stream->backend, options->delay_positions,
                           options->begins_with_silence ? &silent_count : NULL, error);
    ES_ASSERT(silent_count <= ES_SILENT_POSITIONS);
    stream->skip_frame_count = silent_count * stream->model->frames_per_position;
    stream->position_count = silent_count;
    return status;
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

/* What is left of it, at once. */
static enum es_status run_prompt(struct es_stream *stream, struct es_error *error) {
    int32_t ids[ES_PROMPT_POSITIONS_MAX];
    uint32_t id_count = prompt_count(stream) - (uint32_t)stream->position_count;
    for (uint32_t i = 0; i < id_count; i++) {
        ids[i] = stream->position_count + i == 0 ? ES_ID_BOS : ES_ID_STREAMING_PAD;
    }
    struct es_choice choice;
    enum es_status status = stream->ops->prefill(stream->backend, ids, id_count,
                                                 streaming_pad_bias(stream), &choice, error);
    if (status != ES_OK) {
        return status;
    }
    stream->waiting_count -= id_count;
    stream->position_count += id_count;
    give_out(stream, &choice);
    return ES_OK;
}

/* One position; its choice is given out from the prompt's last position on. */
static enum es_status step(struct es_stream *stream, struct es_error *error) {
    bool is_prompt = stream->position_count < prompt_count(stream);
    struct es_step next = {.id = is_prompt ? ES_ID_STREAMING_PAD : stream->next_id,
                           .streaming_pad_bias = streaming_pad_bias(stream)};
    struct es_choice choice;
    enum es_status status = stream->ops->decode(stream->backend, &next, &choice, error);
    if (status != ES_OK) {
        return status;
    }
    stream->waiting_count--;
    stream->position_count++;
    if (stream->position_count >= prompt_count(stream)) {
        give_out(stream, &choice);
    }
    return ES_OK;
}

/* As far as the audio reaches, never past it: a step without an embedding would invent text. */
static enum es_status decode_waiting(struct es_stream *stream, struct es_error *error) {
    uint32_t count = prompt_count(stream);
    /* A live stream that begins behind the silence steps through the rest of its prompt as the
     * audio comes: no frame pays for all of it. */
    bool has_steps = stream->options.cadence_positions > 0 && stream->position_count > 0;
    if (stream->position_count < count && !has_steps) {
        if (stream->position_count + stream->waiting_count < count) {
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

/* The first `position_count` positions of mel from `first` on. */
static enum es_status encode_chunk(struct es_stream *stream, uint32_t first,
                                   uint32_t position_count, struct es_error *error) {
    size_t position_floats = stream->model->frames_per_position * stream->model->mel_bin_count;
    int waiting_count = stream->ops->encode(stream->backend, stream->mel + first * position_floats,
                                            position_count, error);
    if (waiting_count < 0) {
        return (enum es_status)waiting_count;
    }
    stream->waiting_count += position_count;
    ES_ASSERT((uint32_t)waiting_count == stream->waiting_count);
    return decode_waiting(stream, error);
}

/* How many of `position_count` positions the encoder takes now; 0: it waits for more. */
static uint32_t chunk_size(const struct es_stream *stream, uint32_t position_count,
                           bool is_flushed) {
    uint32_t cadence = stream->options.cadence_positions;
    if (cadence == 0) {
        return position_count;
    }
    if (position_count < cadence && !is_flushed) {
        return 0;
    }
    uint32_t count = position_count > 0 ? 1u : 0u;
    while (count > 0 && 2u * count <= position_count && count < ES_CADENCE_POSITIONS_MAX) {
        count *= 2u;
    }
    return count;
}

static enum es_status encode_whole_positions(struct es_stream *stream, bool is_flushed,
                                             struct es_error *error) {
    uint32_t frames_per_position = stream->model->frames_per_position;
    uint32_t position_count = stream->mel_frame_count / frames_per_position;
    uint32_t done = 0;
    for (;;) {
        uint32_t count = chunk_size(stream, position_count - done, is_flushed);
        if (count == 0) {
            break;
        }
        enum es_status status = encode_chunk(stream, done, count, error);
        if (status != ES_OK) {
            return status;
        }
        done += count;
    }
    /* What is left is less than a cadence: a few kilobytes. */
    size_t bin_count = stream->model->mel_bin_count;
    uint32_t taken_count = done * frames_per_position;
    stream->mel_frame_count -= taken_count;
    if (taken_count > 0) {
        memmove(stream->mel, stream->mel + taken_count * bin_count,
                stream->mel_frame_count * bin_count * sizeof(float));
    }
    return ES_OK;
}

enum es_status es_stream_push(struct es_stream *stream, const float *frames, size_t frame_count,
                              struct es_error *error) {
    size_t bin_count = stream->model->mel_bin_count;
    uint32_t frame_count_max = stream->encode_positions_max * stream->model->frames_per_position;
    size_t skipped =
        frame_count < stream->skip_frame_count ? frame_count : stream->skip_frame_count;
    stream->skip_frame_count -= (uint32_t)skipped;
    frames += skipped * bin_count;
    frame_count -= skipped;
    while (frame_count > 0) {
        size_t room = frame_count_max - stream->mel_frame_count;
        size_t count = frame_count < room ? frame_count : room;
        memcpy(stream->mel + stream->mel_frame_count * bin_count, frames,
               count * bin_count * sizeof(float));
        stream->mel_frame_count += (uint32_t)count;
        frames += count * bin_count;
        frame_count -= count;
        enum es_status status = encode_whole_positions(stream, false, error);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}

enum es_status es_stream_flush(struct es_stream *stream, struct es_error *error) {
    return encode_whole_positions(stream, true, error);
}
