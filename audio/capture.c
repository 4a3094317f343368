#include "audio/capture.h"

#include "audio/capture_turn.h"
#include "platform/assert.h"
#include "platform/clock.h"

#include <string.h>

#define NS_PER_S 1000000000ull

const char *es_capture_state_name(enum es_capture_state state) {
    static const char *const names[] = {"opening", "listening", "muted", "no microphone", "failed"};
    return names[state];
}

void es_capture_layout(struct es_plan *plan, struct es_capture_layout *layout) {
    layout->region = es_plan_add(plan, ES_MEM_HOST, "capture", sizeof(struct es_capture));
    es_ring_layout("capture ring", ES_RING_SAMPLES, plan, &layout->ring);
}

void es_capture_init(struct es_capture **capture, const struct es_capture_config *config,
                     const struct es_capture_layout *layout, const struct es_arena *arena) {
    struct es_capture *self = es_arena_region(arena, layout->region);
    ES_ASSERT(self != NULL);
    memset(self, 0, sizeof *self);
    self->card = config->card;
    self->want = config->want;
    self->is_muted = config->is_muted;
    self->retry_ms = ES_CAPTURE_RETRY_MS_MIN;
    atomic_store(&self->mute_wanted, config->is_muted);
    es_ring_init(&self->ring, &layout->ring, arena);
    es_loss_reset(&self->losses);
    self->intake.ring = &self->ring;
    self->intake.losses = &self->losses;
    self->intake.channel = config->channel;
    self->intake.gain_config = config->gain;
    es_intake_reset(&self->intake);
    self->own.report.is_muted = config->is_muted;
    self->published = self->own;
    int result = pthread_mutex_init(&self->mutex, NULL);
    ES_ASSERT(result == 0);
    *capture = self;
}

static void publish(struct es_capture *capture) {
    struct es_capture_published *own = &capture->own;
    const struct es_intake *intake = &capture->intake;
    own->report.turn_count++;
    own->report.is_muted = capture->is_muted;
    own->report.frame_count = intake->counts.frame_count + intake->counts.muted_frame_count;
    own->report.muted_frame_count = intake->counts.muted_frame_count;
    own->report.overrun_frame_count = intake->counts.overrun_frame_count;
    own->report.sample_count = intake->counts.sample_count;
    own->report.lost_samples = intake->counts.lost_samples;
    own->report.muted_samples = intake->counts.muted_samples;
    memcpy(own->report.loss_counts, intake->counts.loss_counts, sizeof own->report.loss_counts);
    own->report.level = intake->level.window;
    own->report.gain_db = es_gain_db(&intake->gain);
    own->report.is_flat = own->report.state == ES_CAPTURE_LISTENING &&
                          own->report.level.flat_ms >= ES_CAPTURE_FLAT_MS;
    if (intake->counts.sample_count > own->position && intake->stretch_samples > 0) {
        const uint64_t behind_frames = intake->stretch_frames -
                                       es_intake_frame_of_last_sample(intake) +
                                       capture->unread_frames;
        own->position = intake->counts.sample_count;
        own->position_ns = capture->heard_ns - behind_frames * NS_PER_S / own->report.setup.rate;
    }
    /* Never waits for a reader: what is not told now is told after the next turn. */
    if (pthread_mutex_trylock(&capture->mutex) == 0) {
        capture->published = *own;
        pthread_mutex_unlock(&capture->mutex);
    }
}

void es_capture_step(struct es_capture *capture) {
    es_capture_turn(capture);
    publish(capture);
}

static void thread_body(void *context) {
    struct es_capture *capture = context;
    while (!atomic_load_explicit(&capture->is_stopping, memory_order_acquire)) {
        es_capture_step(capture);
    }
}

enum es_status es_capture_start(struct es_capture *capture, struct es_error *error) {
    ES_ASSERT(!capture->thread.is_started);
    atomic_store(&capture->is_stopping, false);
    return es_thread_start(&capture->thread, "es-capture", ES_CAPTURE_PRIORITY, thread_body,
                           capture, error);
}

bool es_capture_stop(struct es_capture *capture) {
    atomic_store(&capture->is_stopping, true);
    if (!es_thread_join_until(&capture->thread, es_clock_ns() + ES_STOP_GRACE_MS * 1000000ull)) {
        return false;
    }
    if (capture->phase != ES_PHASE_CLOSED) {
        capture->card->ops->close(capture->card);
        capture->phase = ES_PHASE_CLOSED;
    }
    es_intake_close(&capture->intake);
    publish(capture);
    return true;
}

/* -- the consumer ----------------------------------------------------------------------------- */

void es_capture_set_muted(struct es_capture *capture, bool is_muted) {
    atomic_store_explicit(&capture->mute_wanted, is_muted, memory_order_release);
}

bool es_capture_wait(struct es_capture *capture, size_t sample_count, uint64_t deadline_ns) {
    struct es_loss loss;
    return es_loss_peek(&capture->losses, &loss) ||
           es_ring_wait(&capture->ring, sample_count, deadline_ns) ||
           es_loss_peek(&capture->losses, &loss);
}

void es_capture_wake(struct es_capture *capture) {
    es_ring_wake(&capture->ring);
}

size_t es_capture_take(struct es_capture *capture, float *samples, size_t sample_count,
                       struct es_loss *loss) {
    /* The count first: whatever loss lies before one of these samples was queued before it. */
    const uint64_t pushed = es_ring_pushed_count(&capture->ring);
    const uint64_t popped = es_ring_popped_count(&capture->ring);
    size_t count = pushed - popped < sample_count ? (size_t)(pushed - popped) : sample_count;
    const bool has_loss =
        es_loss_peek(&capture->losses, loss) && loss->stream_sample - popped <= (uint64_t)count;
    if (has_loss) {
        count = (size_t)(loss->stream_sample - popped);
        es_loss_drop(&capture->losses);
    } else {
        loss->causes = 0;
    }
    return es_ring_pop(&capture->ring, samples, count);
}

uint64_t es_capture_waiting_count(const struct es_capture *capture) {
    /* In this order the difference is never negative. */
    const uint64_t popped = es_ring_popped_count(&capture->ring);
    return es_ring_pushed_count(&capture->ring) - popped;
}

bool es_capture_sample_ns(struct es_capture *capture, uint64_t position, uint64_t *ns) {
    pthread_mutex_lock(&capture->mutex);
    const uint64_t known = capture->published.position;
    const uint64_t known_ns = capture->published.position_ns;
    pthread_mutex_unlock(&capture->mutex);
    const int64_t ahead = (int64_t)(position - known);
    const int64_t ahead_ns =
        ahead * (int64_t)(NS_PER_S / 1000u) / (int64_t)(ES_SAMPLE_RATE / 1000u);
    *ns = known_ns + (uint64_t)ahead_ns;
    return known > 0;
}

void es_capture_report(struct es_capture *capture, struct es_capture_report *report) {
    pthread_mutex_lock(&capture->mutex);
    *report = capture->published.report;
    pthread_mutex_unlock(&capture->mutex);
    report->is_realtime = capture->thread.is_realtime;
    report->realtime_note = capture->thread.note;
}
