#include "audio/capture_turn.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define SLICE_NS (ES_CAPTURE_SLICE_MS * NS_PER_MS)

static uint64_t now_ns(struct es_capture *capture) {
    return capture->card->ops->now_ns(capture->card);
}

static void set_state(struct es_capture *capture, enum es_capture_state state) {
    capture->own.report.state = state;
    if (state != ES_CAPTURE_NO_MIC && state != ES_CAPTURE_FAILED) {
        capture->own.report.reason.text[0] = '\0';
    }
}

static void try_later(struct es_capture *capture, uint64_t now) {
    capture->phase = ES_PHASE_CLOSED;
    capture->retry_ns = now + capture->retry_ms * NS_PER_MS;
    capture->retry_ms = capture->retry_ms * 2 < ES_CAPTURE_RETRY_MS_MAX ? capture->retry_ms * 2
                                                                        : ES_CAPTURE_RETRY_MS_MAX;
}

/* -- streams and time ------------------------------------------------------------------------- */

static uint64_t frames_ns(const struct es_card_setup *setup, uint64_t frame_count) {
    return frame_count / setup->rate * NS_PER_S +
           frame_count % setup->rate * NS_PER_S / setup->rate;
}

static void begin_stream(struct es_capture *capture) {
    const uint64_t now = now_ns(capture);
    capture->phase = ES_PHASE_RUNNING;
    capture->is_placed = false;
    capture->heard_ns = now;
    capture->unread_frames = 0;
    capture->muted_left = 0;
    capture->started_ns = now;
    capture->taken_frames = 0;
    capture->progress_ns = now;
    capture->empty_turns = 0;
}

/* The stream's first frames are there, `avail` of them at `now`: what lies between the last stream
 * and this one is lost. Where a card takes its time to start, that is seen here. */
static void place_stream(struct es_capture *capture, uint64_t now, uint64_t avail) {
    const struct es_card_setup *setup = &capture->own.report.setup;
    const uint64_t first_ns = now - frames_ns(setup, avail);
    if (capture->has_gap) {
        const uint64_t lost_ns =
            first_ns > capture->gap_from_ns ? first_ns - capture->gap_from_ns : 0;
        es_intake_lost_time(&capture->intake, capture->gap_cause, lost_ns,
                            2 * frames_ns(setup, setup->period_frames) + NS_PER_MS);
    }
    capture->has_gap = true;
    capture->is_placed = true;
    es_drift_reset(&capture->drift, first_ns);
}

/* The card's position is worth nothing from here on: time is lost after the last frame taken. */
static void end_stream(struct es_capture *capture, enum es_loss_cause cause) {
    capture->gap_cause = cause;
    if (capture->is_placed) {
        const struct es_card_setup *setup = &capture->own.report.setup;
        capture->gap_from_ns =
            es_drift_time(&capture->drift, frames_ns(setup, capture->taken_frames));
        capture->is_placed = false;
    }
}

/* What the card lost without a word. */
static void follow_drift(struct es_capture *capture) {
    const struct es_card_setup *setup = &capture->own.report.setup;
    const uint64_t captured_ns = frames_ns(setup, capture->taken_frames + capture->unread_frames);
    const uint64_t lost_ns = es_drift_follow(&capture->drift, capture->heard_ns, captured_ns);
    if (lost_ns > 0) {
        es_intake_lost_time(&capture->intake, ES_LOSS_PACKETS, lost_ns,
                            2 * frames_ns(setup, setup->period_frames) + NS_PER_MS);
    }
}

/* -- losing the card -------------------------------------------------------------------------- */

/* The card is closed and looked for again; `what` completes "NAME: ...". */
static void drop_card(struct es_capture *capture, enum es_loss_cause cause, const char *what) {
    end_stream(capture, cause);
    es_intake_begin_gap(&capture->intake, cause);
    capture->card->ops->close(capture->card);
    set_state(capture, ES_CAPTURE_NO_MIC);
    (void)es_fail(&capture->own.report.reason, ES_ERR_HARDWARE, "%s: %s",
                  capture->own.report.setup.name, what);
    try_later(capture, now_ns(capture));
}

/* Prepares and starts anew a stream that stopped. */
static void restart(struct es_capture *capture, enum es_loss_cause cause) {
    end_stream(capture, cause);
    capture->restart_count++;
    if (capture->restart_count > ES_CAPTURE_RESTART_COUNT_MAX) {
        drop_card(capture, cause, "stops again and again; try another port or cable");
    } else if (capture->card->ops->start(capture->card) < 0) {
        drop_card(capture, cause, "cannot be started after a stop; opening it anew");
    } else {
        begin_stream(capture);
    }
}

static void handle_event(struct es_capture *capture, int64_t event) {
    switch (event) {
    case ES_CARD_STOPPED:
        restart(capture, ES_LOSS_STOPPED);
        break;
    case ES_CARD_SUSPENDED:
        end_stream(capture, ES_LOSS_SUSPENDED);
        es_intake_begin_gap(&capture->intake, ES_LOSS_SUSPENDED);
        set_state(capture, ES_CAPTURE_NO_MIC);
        (void)es_fail(&capture->own.report.reason, ES_ERR_HARDWARE,
                      "%s: was suspended with the machine; waiting until it is back",
                      capture->own.report.setup.name);
        capture->phase = ES_PHASE_SUSPENDED;
        break;
    case ES_CARD_GONE:
        drop_card(capture, ES_LOSS_NO_CARD, "is gone; plug it in again");
        break;
    default:
        drop_card(capture, ES_LOSS_NO_CARD, "gave an error; opening it anew");
        break;
    }
}

/* -- turns ------------------------------------------------------------------------------------ */

static void open_turn(struct es_capture *capture) {
    struct es_capture_report *own = &capture->own.report;
    uint64_t now = now_ns(capture);
    if (capture->has_time && now < capture->retry_ns) {
        const uint64_t slice_end = now + SLICE_NS;
        capture->card->ops->sleep_until(
            capture->card, capture->retry_ns < slice_end ? capture->retry_ns : slice_end);
        return;
    }
    if (!capture->has_time) { /* the recording begins with this attempt, or with its first frame */
        capture->has_time = true;
        capture->gap_from_ns = now;
    }
    own->attempt_count++;
    struct es_card_setup setup;
    struct es_error error;
    enum es_card_result result =
        capture->card->ops->open(capture->card, &capture->want, &setup, &error);
    if (result == ES_CARD_OK) {
        const enum es_status status = es_intake_open(&capture->intake, &setup, &error);
        const int started = status == ES_OK ? capture->card->ops->start(capture->card) : 0;
        if (status == ES_OK && started == 0) {
            own->setup = setup;
            own->open_count++;
            own->state = own->state == ES_CAPTURE_FAILED ? ES_CAPTURE_NO_MIC : own->state;
            begin_stream(capture);
            return;
        }
        capture->card->ops->close(capture->card);
        result = ES_CARD_UNUSABLE;
        if (status == ES_OK) {
            result = ES_CARD_ABSENT;
            (void)es_fail(&error, ES_ERR_HARDWARE, "%s: does not start; plug it in again",
                          setup.name);
        }
    }
    capture->has_gap = true;
    capture->gap_cause = ES_LOSS_NO_CARD;
    es_intake_begin_gap(&capture->intake, ES_LOSS_NO_CARD);
    set_state(capture, result == ES_CARD_ABSENT ? ES_CAPTURE_NO_MIC : ES_CAPTURE_FAILED);
    own->reason = error;
    try_later(capture, now_ns(capture));
}

static void suspended_turn(struct es_capture *capture) {
    const int event = capture->card->ops->resume(capture->card);
    capture->own.report.attempt_count++;
    if (event == ES_CARD_AGAIN) {
        capture->card->ops->sleep_until(capture->card, now_ns(capture) + SLICE_NS);
    } else if (event == ES_CARD_GONE) {
        handle_event(capture, event);
    } else { /* whether it runs again or cannot resume: what it held is of unknown age */
        restart(capture, ES_LOSS_SUSPENDED);
    }
}

/* Throws away what was captured before mute ended: it lies in the card, and is not for the ring. */
static void obey_mute(struct es_capture *capture) {
    const bool wanted = atomic_load_explicit(&capture->mute_wanted, memory_order_acquire);
    if (wanted == capture->is_muted) {
        return;
    }
    capture->is_muted = wanted;
    if (wanted) {
        es_intake_begin_gap(&capture->intake, ES_LOSS_MUTED);
    } else if (capture->phase == ES_PHASE_RUNNING) {
        const int64_t held = capture->card->ops->avail(capture->card);
        capture->muted_left = held > 0 ? (uint64_t)held : 0;
    }
}

static void lose_overrun(struct es_capture *capture, uint64_t frame_count) {
    es_intake_lost_frames(&capture->intake, ES_LOSS_OVERRUN, frame_count);
    capture->muted_left -= frame_count < capture->muted_left ? frame_count : capture->muted_left;
}

/* The first `torn` of the frames were overwritten while they were read; the others go on. Mute is
 * looked at once more: these frames were captured before that. */
static void take_frames(struct es_capture *capture, uint32_t frame_count, uint32_t torn) {
    lose_overrun(capture, torn);
    uint32_t left = frame_count - torn;
    uint32_t muted = left;
    if (!capture->is_muted) {
        muted = left < capture->muted_left ? left : (uint32_t)capture->muted_left;
        capture->muted_left -= muted;
    }
    obey_mute(capture);
    muted = capture->is_muted ? left : muted;
    es_intake_lost_frames(&capture->intake, ES_LOSS_MUTED, muted);
    left -= muted;
    if (left > 0) {
        const struct es_card_setup *setup = &capture->own.report.setup;
        const size_t frame_bytes =
            (size_t)es_sample_format_bytes(setup->format) * setup->channel_count;
        es_intake_frames(&capture->intake, capture->frames + frame_bytes * (frame_count - left),
                         left);
    }
    capture->progress_ns = capture->heard_ns;
    capture->empty_turns = 0;
    capture->restart_count = 0;
    if (capture->heard_ns - capture->started_ns > ES_CAPTURE_HEALTHY_MS * NS_PER_MS) {
        capture->retry_ms = ES_CAPTURE_RETRY_MS_MIN;
    }
    set_state(capture, capture->is_muted ? ES_CAPTURE_MUTED : ES_CAPTURE_LISTENING);
}

/* How far the card may run ahead of its reader: hardware that tells its position once per period
 * may already write one period further on. */
static uint32_t safe_frames(const struct es_card_setup *setup) {
    const uint32_t quarter = setup->buffer_frames / 4;
    return setup->buffer_frames - (setup->period_frames < quarter ? setup->period_frames : quarter);
}

/* How many of the `got` frames, the oldest, may have been overwritten while they were read: `left`
 * were unread afterwards. Where the stream has ended meanwhile (left < 0), the clock says whether
 * there was time for that; then none of them is believed. */
static uint64_t torn_frames(struct es_capture *capture, uint64_t got, int64_t left, uint64_t now) {
    const struct es_card_setup *setup = &capture->own.report.setup;
    const uint64_t safe = safe_frames(setup);
    uint64_t ahead = (uint64_t)left + got;
    if (left < 0) {
        ahead = capture->unread_frames + (now - capture->heard_ns) * setup->rate / NS_PER_S;
        capture->unread_frames = 0;
        return ahead > safe ? got : 0;
    }
    capture->heard_ns = now;
    capture->unread_frames = (uint64_t)left;
    return ahead <= safe ? 0 : ahead - safe < got ? ahead - safe : got;
}

/* Reads all of the `avail` frames. Returns 0, or the event that ended it. */
static int64_t read_all(struct es_capture *capture, uint64_t avail) {
    const struct es_card_ops *ops = capture->card->ops;
    const uint32_t safe = safe_frames(&capture->own.report.setup);
    if (avail > safe) {
        /* Room for half the buffer: reading it takes far less time than the card to fill it. */
        const int64_t skipped = ops->skip(capture->card, avail - safe + safe / 2);
        if (skipped < 0) {
            return skipped;
        }
        capture->taken_frames += (uint64_t)skipped;
        capture->unread_frames -= (uint64_t)skipped;
        lose_overrun(capture, (uint64_t)skipped);
        avail -= (uint64_t)skipped;
    }
    while (avail > 0) {
        const uint32_t wanted =
            avail < ES_CARD_BLOCK_FRAMES ? (uint32_t)avail : ES_CARD_BLOCK_FRAMES;
        const int64_t got = ops->read(capture->card, capture->frames, wanted);
        if (got <= 0) {
            return got;
        }
        const int64_t left = ops->avail(capture->card);
        const uint64_t torn = torn_frames(capture, (uint64_t)got, left, now_ns(capture));
        capture->taken_frames += (uint64_t)got;
        take_frames(capture, (uint32_t)got, (uint32_t)torn);
        if (left < 0) {
            return left;
        }
        follow_drift(capture);
        avail -= (uint64_t)got;
    }
    return 0;
}

static void running_turn(struct es_capture *capture) {
    const struct es_card_ops *ops = capture->card->ops;
    const int waited = ops->wait(capture->card, ES_CAPTURE_SLICE_MS);
    const int64_t avail = waited < 0 ? waited : ops->avail(capture->card);
    if (avail > 0) {
        capture->heard_ns = now_ns(capture);
        capture->unread_frames = (uint64_t)avail;
        if (!capture->is_placed) {
            place_stream(capture, capture->heard_ns, (uint64_t)avail);
        }
        const int64_t event = read_all(capture, (uint64_t)avail);
        if (event < 0) {
            handle_event(capture, event);
        }
        return;
    }
    if (avail < 0) {
        handle_event(capture, avail);
        return;
    }
    /* Turns are counted, too: one jump of the clock is no stall. */
    const uint64_t now = now_ns(capture);
    capture->empty_turns++;
    if (now - capture->progress_ns > ES_CAPTURE_STALL_MS * NS_PER_MS &&
        capture->empty_turns > ES_CAPTURE_STALL_MS / ES_CAPTURE_SLICE_MS / 2) {
        drop_card(capture, ES_LOSS_STALLED, "delivers nothing; plug it in again");
    } else if (waited > 0) { /* ready, it said: never spin on that */
        ops->sleep_until(capture->card, now + NS_PER_MS);
    }
}

void es_capture_turn(struct es_capture *capture) {
    obey_mute(capture);
    switch (capture->phase) {
    case ES_PHASE_CLOSED:
        open_turn(capture);
        break;
    case ES_PHASE_SUSPENDED:
        suspended_turn(capture);
        break;
    case ES_PHASE_RUNNING:
        running_turn(capture);
        break;
    }
}
