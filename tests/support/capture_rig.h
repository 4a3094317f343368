/* capture_rig.h - capture over a fake card, with a consumer that keeps its own books.
 *
 *   es_rig_start(&setup);                      nothing read yet
 *   es_rig_run(3.5);                           seconds of the card's clock
 *   ES_EXPECT_EQ(rig.sample_count + rig.lost_samples, ...);
 *   es_rig_stop();
 *
 * The consumer checks every sample that it takes: the fake's world tells frames apart, and at
 * 16 kHz each must be the one that its recording time says, exactly until a loss is an estimate and
 * within that one's bound afterwards. It feeds a timeline, too, and compares. */
#pragma once

#include "audio/capture.h"
#include "audio/timeline.h"
#include "tests/support/fake_card.h"

#define ES_RIG_MS 1000000ull
#define ES_RIG_S 1000000000ull

struct es_rig {
    struct es_fake_card fake;
    struct es_capture *capture;
    struct es_capture_report report; /* after the last run */
    struct es_timeline timeline;
    bool may_owe;      /* the card may end with a full ring: a loss that no sample follows */
    bool checks_world; /* 16 kHz, the fake's own world, no gain */
    /* The consumer's books. */
    uint64_t sample_count, lost_samples, bound_samples;
    uint64_t stream_samples; /* samples and silence */
    uint64_t loss_count, begin_count, end_count, estimated_count;
    uint32_t causes; /* of all losses */
    struct es_loss last_loss;
    uint16_t offset; /* of the world against recording time, modulo 2^16 */
    bool has_offset;
    uint64_t slack_samples; /* of losses since the last sample */
    uint64_t bad_count;     /* samples that are not where they belong */
    uint64_t open_stream;   /* stream position behind the silence of a gap that has begun */
    float last_sample;
};

extern struct es_rig rig;

void es_rig_start(const struct es_card_setup *setup);
void es_rig_start_with(const struct es_card_setup *setup, const struct es_capture_config *config);
/* Steps until the fake's clock has moved on by `seconds`, taking after each step; then reports. */
void es_rig_run(double seconds);
/* The same, without taking. */
void es_rig_run_deaf(double seconds);
/* The same, until the state is reached or `seconds` have passed. Returns the seconds it took. */
double es_rig_run_until(enum es_capture_state state, double seconds);
/* One step that does not take; the report follows. */
void es_rig_step(void);
/* Takes one block, or what there is. False when that is nothing. */
bool es_rig_take_some(void);
/* Takes all that can be taken. */
void es_rig_take(void);
void es_rig_fault(double after_s, enum es_fake_kind kind, double length_s);
/* The books of capture and consumer agree with each other, and with what the fake gave. */
void es_rig_expect_books(void);
void es_rig_stop(void);
