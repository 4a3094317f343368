/* live.h - the engine side of listening: samples from the microphone to words with true times.
 *
 *   es_live_init(&live, &config);
 *   status = es_live_start(&live, &error);             its thread; before the freeze
 *   es_live_report(&live, &report);                    any thread: counters for the control plane
 *   es_live_stop(&live, deadline_ns);                  the words inside the delay come out
 *
 * One endless stream: nothing resets it, neither EOS nor a pause nor a missing microphone. Where
 * the capture has a gap, silence goes the way of audio (a second at most, or as much as brings out
 * the words inside the delay, where nobody knows how long the gap will be), and the time map moves
 * by the rest: word times are recording time.
 *
 * When audio waits: the engine takes all that is there, so that the stream encodes in larger
 * chunks; beyond ES_LAG_DROP_MS the oldest is thrown away down to ES_LAG_KEEP_MS, and that is a gap
 * like any other, counted and told. The engine thread writes to no descriptor: what it has to say
 * goes to the sink, whose calls never wait. */
#pragma once

#include "app/pipeline.h"
#include "app/transcript.h"
#include "audio/capture.h"
#include "audio/timeline.h"
#include "board/word.h"
#include "platform/thread.h"

/* Called from the engine thread, must not wait. Times are recording time. */
struct es_live_sink {
    void (*on_piece)(void *context, const char *text, uint32_t text_bytes, uint64_t end_ms);
    void (*on_word)(void *context, const struct es_word *word);
    void (*on_event)(void *context, const struct es_event *event);
    void *context;
};

struct es_live_config {
    struct es_capture *capture;   /* borrowed, as all of these */
    struct es_pipeline *pipeline; /* bound, not started */
    const struct es_tokenizer *tokenizer;
    uint32_t delay_positions;
    uint32_t cadence_positions; /* 1, 2, 4 or 8 */
    bool blank_guard;
    struct es_live_sink sink;
};

/* Counts since the start; samples are at 16 kHz. */
struct es_live_report {
    uint64_t turn_count;      /* of the thread's loop: grows at least every ES_LIVE_SLICE_MS */
    uint64_t step_count;      /* decoder steps executed */
    uint64_t word_count;      /* words given out */
    uint64_t piece_count;     /* pieces of text: words begin to come */
    uint64_t gap_count;       /* of all causes, those below included */
    uint64_t drop_count;      /* times that the lag grew too long */
    uint64_t dropped_samples; /* then */
    uint64_t silence_samples; /* fed in place of gaps */
    uint64_t stream_samples;  /* pushed into the pipeline, silence included */
    uint64_t recording_ms;    /* recording time of the last sample that was pushed */
    bool has_ended;           /* the thread is over: es_live_stop, or a failure of the engine */
    enum es_status status;    /* when it has ended */
    struct es_error error;
};

struct es_live {
    struct es_live_config config;
    struct es_transcript transcript;
    struct es_output output; /* a sink, never a descriptor */
    struct es_timeline timeline;
    struct es_thread thread;
    /* the engine thread's */
    enum es_status status; /* valid for others once has_ended is seen */
    struct es_error error;
    /* shared */
    _Atomic uint64_t turn_count, step_count, word_count, piece_count, gap_count, drop_count;
    _Atomic uint64_t dropped_samples, silence_samples, stream_samples, recording_ms;
    _Atomic uint64_t stop_deadline_ns; /* 0: goes on */
    _Atomic bool has_ended;
};

/* Copies the configuration and starts the stream (the silence before it goes through the engine:
 * before the freeze, or in a test). */
ES_MUST_CHECK enum es_status es_live_init(struct es_live *live, const struct es_live_config *config,
                                          struct es_error *error);

ES_MUST_CHECK enum es_status es_live_start(struct es_live *live, struct es_error *error);

/* One turn of the thread's loop, waiting until `deadline_ns` (es_clock_ns) at most: for tests and
 * for programs with a loop of their own. */
ES_MUST_CHECK enum es_status es_live_step(struct es_live *live, uint64_t deadline_ns,
                                          struct es_error *error);

/* The end: what waits in the ring and the words inside the delay, as far as the time until
 * `deadline_ns` allows. The same without the thread. */
ES_MUST_CHECK enum es_status es_live_finish(struct es_live *live, uint64_t deadline_ns,
                                            struct es_error *error);

/* Asks the thread to finish and waits for it. A thread that was never started is allowed. false: it
 * hangs in the engine ES_STOP_GRACE_MS after the deadline, and goes on with its memory. */
bool es_live_stop(struct es_live *live, uint64_t deadline_ns);

void es_live_report(const struct es_live *live, struct es_live_report *report);
