/* stream.h - the decode schedule: mel frames in, one token per 80 ms position out.
 *
 *   es_stream_layout(&model, &plan, &layout);
 *   es_stream_init(&stream, &model, ops, backend, &layout, &arena);
 *   es_stream_reset(&stream, &options, &error);
 *   es_stream_push(&stream, frames, frame_count, &error);      tokens come through options.on_token
 *   es_stream_flush(&stream, &error);                          what a cadence held back
 *
 * Gathers whole positions of mel frames, encodes them, runs the prompt as soon as its last audio
 * position is there, then one decoder step per position; never steps past the audio. A file is
 * encoded in chunks as large as they come; a live stream in its cadence, and where it is late in
 * the largest power of two that waits. EOS is an id like any other. What comes before and after
 * the audio (padding) is the caller's: a stream has no end here. A stream works on any backend;
 * tests use a fake one. Engine thread only. */
#pragma once

#include "engine/backend.h"

struct es_token {
    int32_t id;        /* what the model chose */
    int32_t fed_id;    /* what the next position gets: id, or the forced id */
    float margin;      /* logits */
    uint64_t position; /* the position whose audio it belongs to: the decision was made at the end
                        * of `position`; the first is 32 + delay */
};

/* The guard against blank ruts (docs/ARCHITECTURE.md): from a run of ES_BLANK_RUN_START ids 32 on,
 * subtract min(7, 0.5 * (run - start)) from the logit of id 32. Off unless asked for. */
struct es_stream_options {
    uint32_t delay_positions; /* 1..15 or 30 */
    /* 0: a file, chunks as they come. 1, 2, 4 or 8: a live stream, whose encoder runs when that
     * many positions are there. */
    uint32_t cadence_positions;
    /* The first ES_LEFT_PAD_POSITIONS positions are silence, as the pipeline makes it: a backend
     * may skip what it knows of them. Their frames are pushed all the same. */
    bool begins_with_silence;
    bool blank_guard;
    void (*on_token)(void *context, const struct es_token *token);
    /* The id to feed instead of the choice, or -1 for none; NULL for no forcing. */
    int32_t (*forced_id)(void *context, uint64_t decision_index);
    void *context;
};

struct es_stream_layout {
    uint32_t mel_region;
};

struct es_stream {
    /* configuration */
    const struct es_model *model;
    const struct es_backend_ops *ops;
    struct es_backend *backend;
    struct es_stream_options options;
    uint32_t encode_positions_max;
    float *mel; /* [encode_positions_max * frames_per_position, mel_bin_count] frames not yet
                   encoded */
    /* state, cleared by reset */
    uint32_t skip_frame_count; /* frames of silence that the backend has heard already */
    uint32_t mel_frame_count;  /* frames in mel */
    uint32_t waiting_count;    /* embeddings that the backend holds */
    uint64_t position_count;   /* positions decoded: prompt and silence included */
    uint64_t decision_count;   /* tokens given out */
    uint32_t blank_run;
    int32_t next_id; /* fed at the next position */
};

void es_stream_layout(const struct es_model *model, uint32_t encode_positions_max,
                      struct es_plan *plan, struct es_stream_layout *layout);
void es_stream_init(struct es_stream *stream, const struct es_model *model,
                    uint32_t encode_positions_max, const struct es_backend_ops *ops,
                    struct es_backend *backend, const struct es_stream_layout *layout,
                    const struct es_arena *arena);

/* Starts a stream; resets the backend. */
ES_MUST_CHECK enum es_status es_stream_reset(struct es_stream *stream,
                                             const struct es_stream_options *options,
                                             struct es_error *error);

/* frames [frame_count, mel_bin_count]; any count. */
ES_MUST_CHECK enum es_status es_stream_push(struct es_stream *stream, const float *frames,
                                            size_t frame_count, struct es_error *error);

/* Encodes and decodes what a cadence holds back: the end of a live stream, or a pause in it. Frames
 * of an incomplete position stay. */
ES_MUST_CHECK enum es_status es_stream_flush(struct es_stream *stream, struct es_error *error);
