/* capture_turn.h - the capture thread's own: one turn with the card; private to audio/capture*.c.
 *
 *   es_capture_turn(capture);      opens, or waits and reads, or resumes: at most 100 ms
 *
 * The card is closed (to be opened when the time has come), running, or suspended with the
 * machine. The capture thread alone calls. */
#pragma once

#include "audio/capture.h"
#include "audio/drift.h"
#include "audio/intake.h"

enum es_capture_phase {
    ES_PHASE_CLOSED,   /* to be opened at retry_ns */
    ES_PHASE_RUNNING,  /* the stream was started */
    ES_PHASE_SUSPENDED /* the machine slept: the driver is asked until it is back */
};

/* What is published: copied under the mutex at the end of a turn. */
struct es_capture_published {
    struct es_capture_report report;
    uint64_t position;    /* samples in the ring, the last of which ... */
    uint64_t position_ns; /* ... left the microphone then; 0: none yet */
};

struct es_capture { /* NOLINT(clang-analyzer-optin.performance.Padding): in order of owners */
    /* configuration */
    struct es_card *card;
    struct es_card_want want;
    struct es_thread thread;
    pthread_mutex_t mutex;
    /* shared */
    struct es_ring ring;
    struct es_loss_queue losses;
    atomic_bool is_stopping;
    atomic_bool mute_wanted;
    struct es_capture_published published;
    /* the capture thread's */
    struct es_capture_published own;
    struct es_intake intake;
    enum es_capture_phase phase;
    bool is_muted;
    bool has_time;        /* a first attempt was made: time counts */
    bool has_gap;         /* before the stream's first frame; not before the very first one */
    bool is_placed;       /* the stream's first frame came, and with it its place in time */
    uint64_t gap_from_ns; /* while not placed: all time up to here is in the books */
    enum es_loss_cause gap_cause;
    uint64_t taken_frames;  /* read or skipped since the stream was started */
    struct es_drift drift;  /* since it was placed */
    uint64_t muted_left;    /* frames that the card held when mute ended */
    uint64_t heard_ns;      /* the last look at the card's position ... */
    uint64_t unread_frames; /* ... and what was captured before it and not read */
    uint64_t progress_ns;   /* when frames last came, or the stream was started */
    uint64_t started_ns;
    uint32_t empty_turns;   /* in a row */
    uint32_t restart_count; /* stops in a row without a frame between them */
    uint64_t retry_ns, retry_ms;
    unsigned char frames[ES_CARD_BLOCK_FRAMES * ES_CARD_CHANNEL_COUNT_MAX * 4u];
};

/* One turn of the loop. Never spins: where there is nothing to do, the card's wait or sleep is
 * called. */
void es_capture_turn(struct es_capture *capture);
