/* fake_card.h - a sound card for tests: virtual time, any rate and format, faults on a schedule.
 *
 *   es_fake_card_init(&fake, &setup);
 *   es_fake_card_add(&fake, (struct es_fake_fault){.at_ns = 3 * S, .kind = ES_FAKE_UNPLUG, ...});
 *   config.card = &fake.base;
 *   while (fake.now_ns < 10 * S) { es_capture_step(capture); }
 *
 * The world has a sample for every moment: frame n of the world sounds at n / rate seconds, and its
 * value is es_fake_world(n), or what `source` says. The card, while it runs, captures the world;
 * what the card captured while nobody read is what was lost. Time passes in wait and sleep_until,
 * and `call_ns` in every other call. */
#pragma once

#include "audio/card.h"

#include <stdatomic.h>

enum es_fake_kind {
    ES_FAKE_LATE,      /* the capture thread does not run for `length_ns` (in its next wait) */
    ES_FAKE_LATE_READ, /* the same, between avail and read */
    ES_FAKE_STOP,      /* the driver stops by itself at at_ns */
    ES_FAKE_SUSPEND,   /* the machine sleeps for length_ns; resume says AGAIN for 300 ms more */
    ES_FAKE_UNPLUG,    /* gone for length_ns, back with another index */
    ES_FAKE_BUSY,      /* open is refused for length_ns; with an unplug that has the same at_ns */
    ES_FAKE_DENIED,
    ES_FAKE_UNUSABLE,
    ES_FAKE_STUCK,    /* delivers nothing, says nothing, for length_ns */
    ES_FAKE_LIES,     /* wait says ready at once, and there is nothing, for length_ns */
    ES_FAKE_SHORT,    /* reads give a third of what is there, for length_ns */
    ES_FAKE_FLAT,     /* digital zero for length_ns */
    ES_FAKE_JUMP,     /* the clock jumps by length_ns; the card does not know */
    ES_FAKE_NO_START, /* start fails for length_ns */
    ES_FAKE_KIND_COUNT
};

struct es_fake_fault {
    uint64_t at_ns;
    uint64_t length_ns;
    enum es_fake_kind kind;
};

#define ES_FAKE_FAULT_COUNT_MAX 20000u

struct es_fake_card {
    struct es_card base;
    struct es_card_setup setup; /* given to whoever opens; may be changed between opens */
    bool stops_itself;          /* an overrun stops the stream, as with a default stop_threshold */
    uint32_t call_ns;           /* what a call costs */
    /* The world: sample of frame n; NULL for es_fake_world. */
    double (*source)(uint64_t frame);
    /* state */
    uint64_t now_ns;
    uint64_t frame_ns; /* time that the card's clock has seen: now less the jumps */
    bool is_open, is_running, is_stopped, is_gone;
    uint64_t start_frame;  /* of the world, when the stream was started */
    uint64_t read_frame;   /* of the world: the next one to read */
    uint64_t frozen_frame; /* UINT64_MAX, or where a stuck or stopped card stands */
    uint64_t last_frame;   /* of the world, that a read gave */
    bool has_read;         /* since the last wait: avail then tells the truth */
    uint32_t index;        /* of the card: grows with every replug */
    uint64_t resumed_ns;   /* from then on resume works */
    uint64_t end_ns;       /* time stands still there: 0 for never */
    atomic_bool has_ended;
    /* Effects of faults, until these times. */
    uint64_t until_ns[ES_FAKE_KIND_COUNT];
    /* Counts, for the tests' own books: frames of the card. */
    uint64_t open_count, close_count, start_count, wait_count, call_count;
    uint64_t read_frames, skipped_frames;
    uint64_t fault_counts[ES_FAKE_KIND_COUNT];
    struct es_fake_fault faults[ES_FAKE_FAULT_COUNT_MAX]; /* rising in time */
    uint32_t fault_count, next_fault;
};

void es_fake_card_init(struct es_fake_card *fake, const struct es_card_setup *setup);
void es_fake_card_add(struct es_fake_card *fake, struct es_fake_fault fault);

/* A setup with 10 ms periods and a buffer of 500 ms. */
struct es_card_setup es_fake_setup(uint32_t rate, uint32_t channel_count,
                                   enum es_sample_format format);

/* The default world: a number in -1..1 that tells frames apart (n mod 65536, as a 16-bit code). */
double es_fake_world(uint64_t frame);

/* The world's frame at a time of the card's clock. */
uint64_t es_fake_frame_at(const struct es_fake_card *fake, uint64_t frame_ns);
