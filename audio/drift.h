/* drift.h - finds samples that a card lost without a word, by comparing it with the clock.
 *
 *   es_drift_reset(&drift, now_ns - unread_ns);              the stream's first frame
 *   lost_ns = es_drift_follow(&drift, now_ns, captured_ns);  after each look at the card's position
 *   end_ns = es_drift_time(&drift, taken_ns);                when a frame sounded
 *
 * A cheap USB microphone may drop packets and report nothing: its position then falls behind the
 * clock, at once and for good. What falls behind slowly is the card's own clock (a quartz is off by
 * less than 0.1 %), and what falls behind for a moment is a reader that was interrupted between two
 * calls; so the least lag of one second is compared with that of the second before. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_drift {
    uint64_t start_ns; /* where captured_ns counts from */
    uint64_t window_start_ns;
    int64_t window_lag_ns; /* the least of this window */
    int64_t last_lag_ns;   /* and of the one before */
};

/* `start_ns` is when the stream's first frame sounded. */
void es_drift_reset(struct es_drift *drift, uint64_t start_ns);

/* captured_ns: frames that the card has captured since the reset, read or not, as time at its
 * nominal rate. Returns 0, or the time that is missing: ES_DRIFT_LOSS_MS at least, known a second
 * or two after it happened; the card's lag then counts from here. */
uint64_t es_drift_follow(struct es_drift *drift, uint64_t now_ns, uint64_t captured_ns);

/* The clock's time of a frame, given as time at the card's nominal rate since the reset. A reader
 * that was late lately does not disturb it, and what the card has dropped lies behind it. */
uint64_t es_drift_time(const struct es_drift *drift, uint64_t captured_ns);
