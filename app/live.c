#include "app/live.h"

#include "platform/assert.h"
#include "platform/clock.h"

#include <stdio.h>
#include <string.h>

#define SAMPLES_PER_MS (ES_SAMPLE_RATE / 1000u)
#define NS_PER_MS 1000000ull
/* A position is whole when the window of its last mel frame is. */
#define LAST_FRAME_SAMPLES (ES_MEL_WINDOW / 2u - ES_MEL_HOP)

static void set(_Atomic uint64_t *counter, uint64_t value) {
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t value) {
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* -- what the stream and the transcript give --------------------------------------------------- */

static uint64_t recording_ms(const struct es_live *live, uint64_t stream_ms) {
    return es_timeline_time(&live->timeline, stream_ms * SAMPLES_PER_MS) / SAMPLES_PER_MS;
}

static void on_frames(void *context, const float *frames, size_t frame_count, uint32_t bin_count) {
    struct es_live *live = context;
    es_transcript_hear(&live->transcript, frames, frame_count, bin_count);
}

static void on_token(void *context, const struct es_token *token) {
    struct es_live *live = context;
    es_transcript_token(&live->transcript, token);
    add(&live->step_count, 1);
}

static bool has_letters(const char *bytes, size_t byte_count) {
    for (size_t i = 0; i < byte_count; i++) {
        if (strchr(" \t\r\n", bytes[i]) == NULL) {
            return true;
        }
    }
    return false;
}

static void on_text(void *context, const char *bytes, size_t byte_count) {
    struct es_live *live = context;
    const struct es_live_sink *sink = &live->config.sink;
    while (byte_count > 0 && bytes[byte_count - 1u] == '\n') {
        byte_count--; /* the transcript's own end; a line is the console's affair */
    }
    add(&live->piece_count, has_letters(bytes, byte_count));
    if (byte_count > 0 && sink->on_piece != NULL) {
        uint64_t end_ms =
            live->transcript.is_open ? live->transcript.end_ms : live->transcript.last_end_ms;
        sink->on_piece(sink->context, bytes, (uint32_t)byte_count, recording_ms(live, end_ms));
    }
}

static void on_word(void *context, const char *text, uint32_t byte_count, uint64_t start_ms,
                    uint64_t end_ms) {
    struct es_live *live = context;
    const struct es_live_sink *sink = &live->config.sink;
    add(&live->word_count, 1);
    struct es_word word = {.text = text,
                           .text_bytes = byte_count,
                           .start_ms = recording_ms(live, start_ms),
                           .end_ms = recording_ms(live, end_ms)};
    if (sink->on_word != NULL) {
        sink->on_word(sink->context, &word);
    }
}

/* -- samples in -------------------------------------------------------------------------------- */

static enum es_status push(struct es_live *live, const float *pcm, size_t sample_count,
                           struct es_error *error) {
    struct es_pipeline *pipeline = live->config.pipeline;
    live->transcript.audio_ms = (pipeline->sample_count + sample_count) / SAMPLES_PER_MS;
    enum es_status status = es_pipeline_push(pipeline, pcm, sample_count, error);
    set(&live->stream_samples, pipeline->sample_count);
    set(&live->recording_ms,
        es_timeline_time(&live->timeline, pipeline->sample_count) / SAMPLES_PER_MS);
    return status;
}

/* In pieces of a position, so that an end is not far. 0: no deadline. */
static enum es_status push_silence(struct es_live *live, uint64_t sample_count,
                                   uint64_t deadline_ns, struct es_error *error) {
    static const float silence[ES_POSITION_SAMPLES];
    while (sample_count > 0 && (deadline_ns == 0 || es_clock_ns() < deadline_ns)) {
        size_t count =
            sample_count < ES_POSITION_SAMPLES ? (size_t)sample_count : (size_t)ES_POSITION_SAMPLES;
        enum es_status status = push(live, silence, count, error);
        if (status != ES_OK) {
            return status;
        }
        add(&live->silence_samples, count);
        sample_count -= count;
    }
    return ES_OK;
}

/* What completes the position at hand, its last frame's window included; at least 1. */
static uint32_t missing_samples(const struct es_live *live) {
    uint64_t over =
        (live->config.pipeline->sample_count + ES_POSITION_SAMPLES - LAST_FRAME_SAMPLES) %
        ES_POSITION_SAMPLES;
    return ES_POSITION_SAMPLES - (uint32_t)over;
}

/* Silence that brings out every word inside the delay, as at a recording's end. */
static uint64_t flush_samples(const struct es_live *live) {
    return missing_samples(live) +
           (uint64_t)(live->config.delay_positions + ES_RIGHT_PAD_EXTRA_POSITIONS) *
               ES_POSITION_SAMPLES;
}

/* -- gaps -------------------------------------------------------------------------------------- */

static void tell_gap(struct es_live *live, uint64_t lost_samples, uint64_t bound_samples,
                     const char *cause) {
    const struct es_live_sink *sink = &live->config.sink;
    add(&live->gap_count, 1);
    if (sink->on_event == NULL) {
        return;
    }
    char text[128];
    double seconds = (double)lost_samples / ES_SAMPLE_RATE;
    if (bound_samples > 0) {
        (void)snprintf(text, sizeof text, "%.3f s not heard, give or take %.3f: %s", seconds,
                       (double)bound_samples / ES_SAMPLE_RATE, cause);
    } else {
        (void)snprintf(text, sizeof text, "%.3f s not heard: %s", seconds, cause);
    }
    struct es_event event = {.name = "gap", .text = text, .at_ms = get(&live->recording_ms)};
    sink->on_event(sink->context, &event);
}

/* A gap of known length, here. */
static enum es_status bridge(struct es_live *live, uint64_t lost_samples, struct es_error *error) {
    uint32_t silence = es_timeline_silence(lost_samples);
    es_timeline_gap(&live->timeline, live->config.pipeline->sample_count, silence, lost_samples);
    return push_silence(live, silence, 0, error);
}

static enum es_status meet_loss(struct es_live *live, const struct es_loss *loss,
                                struct es_error *error) {
    uint64_t stream_sample = live->config.pipeline->sample_count;
    enum es_status status = ES_OK;
    switch (loss->phase) {
    case ES_LOSS_WHOLE:
        status = bridge(live, loss->lost_samples, error);
        break;
    case ES_LOSS_BEGINS: {
        uint64_t silence = flush_samples(live);
        es_timeline_gap(&live->timeline, stream_sample, silence, 0);
        status = push_silence(live, silence, 0, error);
        if (status == ES_OK) {
            status = es_stream_flush(&live->config.pipeline->stream, error);
        }
        return status; /* told when it ends */
    }
    case ES_LOSS_ENDS:
        es_timeline_gap(&live->timeline, stream_sample, 0, loss->lost_samples);
        set(&live->recording_ms, es_timeline_time(&live->timeline, stream_sample) / SAMPLES_PER_MS);
        break;
    }
    tell_gap(live, loss->lost_samples, loss->bound_samples, es_loss_cause_name(loss->causes));
    return status;
}

/* The oldest samples go, until ES_LAG_KEEP_MS are left or a loss lies in the way. */
static enum es_status drop_oldest(struct es_live *live, struct es_error *error) {
    struct es_pipeline *pipeline = live->config.pipeline;
    uint64_t dropped_samples = 0;
    struct es_loss loss = {0};
    while (loss.causes == 0 && es_capture_waiting_count(live->config.capture) >
                                   (uint64_t)ES_LAG_KEEP_MS * SAMPLES_PER_MS) {
        size_t count =
            es_capture_take(live->config.capture, pipeline->pcm, pipeline->block_samples, &loss);
        dropped_samples += count;
        if (count == 0 && loss.causes == 0) {
            break;
        }
    }
    enum es_status status = ES_OK;
    if (dropped_samples > 0) {
        add(&live->drop_count, 1);
        add(&live->dropped_samples, dropped_samples);
        status = bridge(live, dropped_samples, error);
        tell_gap(live, dropped_samples, 0, "the engine is too slow, the oldest audio was dropped");
    }
    return status == ES_OK && loss.causes != 0 ? meet_loss(live, &loss, error) : status;
}

/* -- the loop ---------------------------------------------------------------------------------- */

/* Up to `want` samples, and the loss behind them if one lies there. */
static enum es_status take(struct es_live *live, size_t want, struct es_error *error) {
    float *pcm = live->config.pipeline->pcm;
    struct es_loss loss;
    size_t count = es_capture_take(live->config.capture, pcm, want, &loss);
    enum es_status status = count > 0 ? push(live, pcm, count, error) : ES_OK;
    return status == ES_OK && loss.causes != 0 ? meet_loss(live, &loss, error) : status;
}

enum es_status es_live_step(struct es_live *live, uint64_t deadline_ns, struct es_error *error) {
    struct es_capture *capture = live->config.capture;
    add(&live->turn_count, 1);
    if (es_capture_waiting_count(capture) > (uint64_t)ES_LAG_DROP_MS * SAMPLES_PER_MS) {
        enum es_status status = drop_oldest(live, error);
        if (status != ES_OK) {
            return status;
        }
    }
    size_t want = missing_samples(live);
    if (!es_capture_wait(capture, want, deadline_ns)) {
        return ES_OK;
    }
    /* All whole positions that wait: a late engine gets larger chunks. */
    uint64_t waiting_count = es_capture_waiting_count(capture);
    while (want + ES_POSITION_SAMPLES <= waiting_count &&
           want + ES_POSITION_SAMPLES <= live->config.pipeline->block_samples) {
        want += ES_POSITION_SAMPLES;
    }
    return take(live, want, error);
}

enum es_status es_live_finish(struct es_live *live, uint64_t deadline_ns, struct es_error *error) {
    enum es_status status = ES_OK;
    /* Half of the time is kept for the words inside the delay. */
    uint64_t now_ns = es_clock_ns();
    uint64_t half_ns = deadline_ns > now_ns ? now_ns + (deadline_ns - now_ns) / 2u : now_ns;
    while (status == ES_OK && es_clock_ns() < half_ns &&
           es_capture_wait(live->config.capture, 1, 0)) {
        status = take(live, ES_POSITION_SAMPLES, error); /* so that a slow engine sees the clock */
    }
    if (status == ES_OK) { /* time stands still: nobody speaks in it */
        uint64_t silence = flush_samples(live);
        es_timeline_gap(&live->timeline, live->config.pipeline->sample_count, silence, 0);
        status = push_silence(live, silence, deadline_ns, error);
    }
    if (status == ES_OK) {
        status = es_stream_flush(&live->config.pipeline->stream, error);
    }
    if (status == ES_OK) {
        es_transcript_finish(&live->transcript);
    }
    return status;
}

static void body(void *context) {
    struct es_live *live = context;
    enum es_status status = ES_OK;
    uint64_t stop_ns = 0;
    while (status == ES_OK && (stop_ns = atomic_load(&live->stop_deadline_ns)) == 0) {
        status = es_live_step(live, es_clock_ns() + ES_LIVE_SLICE_MS * NS_PER_MS, &live->error);
    }
    if (status == ES_OK) {
        status = es_live_finish(live, stop_ns, &live->error);
    }
    live->status = status;
    atomic_store_explicit(&live->has_ended, true, memory_order_release);
}

enum es_status es_live_init(struct es_live *live, const struct es_live_config *config,
                            struct es_error *error) {
    memset(live, 0, sizeof *live);
    live->config = *config;
    es_timeline_reset(&live->timeline);
    es_output_init_sink(&live->output, on_text, live);
    struct es_transcript_config transcript = {.format = ES_TRANSCRIPT_TEXT,
                                              .delay_positions = config->delay_positions,
                                              .tokenizer = config->tokenizer,
                                              .output = &live->output,
                                              .on_word = on_word,
                                              .context = live};
    es_transcript_start(&live->transcript, &transcript);
    struct es_pipeline_options options = {
        .stream = {.delay_positions = config->delay_positions,
                   .cadence_positions = config->cadence_positions,
                   .blank_guard = config->blank_guard,
                   .on_token = on_token,
                   .context = live},
        .on_frames = on_frames,
    };
    return es_pipeline_start(config->pipeline, &options, error);
}

enum es_status es_live_start(struct es_live *live, struct es_error *error) {
    return es_thread_start(&live->thread, "es-engine", 0, body, live, error);
}

bool es_live_stop(struct es_live *live, uint64_t deadline_ns) {
    atomic_store(&live->stop_deadline_ns, deadline_ns > 0 ? deadline_ns : 1u);
    if (live->config.capture != NULL) {
        es_capture_wake(live->config.capture);
    }
    return es_thread_join_until(&live->thread, deadline_ns + ES_STOP_GRACE_MS * NS_PER_MS);
}

void es_live_report(const struct es_live *live, struct es_live_report *report) {
    *report = (struct es_live_report){
        .turn_count = get(&live->turn_count),
        .step_count = get(&live->step_count),
        .word_count = get(&live->word_count),
        .piece_count = get(&live->piece_count),
        .gap_count = get(&live->gap_count),
        .drop_count = get(&live->drop_count),
        .dropped_samples = get(&live->dropped_samples),
        .silence_samples = get(&live->silence_samples),
        .stream_samples = get(&live->stream_samples),
        .recording_ms = get(&live->recording_ms),
        .has_ended = atomic_load_explicit(&live->has_ended, memory_order_acquire),
    };
    if (report->has_ended) {
        report->status = live->status;
        report->error = live->error;
    }
}
