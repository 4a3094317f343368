#include "tests/support/capture_rig.h"

#include "tests/support/test.h"

#include <math.h>
#include <string.h>

struct es_rig rig;
static struct es_plan plan;
static struct es_arena arena;

void es_rig_start_with(const struct es_card_setup *setup, const struct es_capture_config *config) {
    memset(&rig, 0, sizeof rig);
    es_fake_card_init(&rig.fake, setup);
    rig.fake.now_ns = rig.fake.frame_ns = 1000 * ES_RIG_S;
    rig.checks_world = setup->rate == ES_SAMPLE_RATE && config->gain.mode == ES_GAIN_OFF;
    es_timeline_reset(&rig.timeline);
    struct es_capture_config own = *config;
    own.card = &rig.fake.base;
    struct es_capture_layout layout;
    struct es_error error;
    es_plan_init(&plan);
    es_capture_layout(&plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_capture_init(&rig.capture, &own, &layout, &arena);
}

void es_rig_start(const struct es_card_setup *setup) {
    const struct es_capture_config config = {.channel = 0};
    es_rig_start_with(setup, &config);
}

void es_rig_fault(double after_s, enum es_fake_kind kind, double length_s) {
    es_fake_card_add(&rig.fake, (struct es_fake_fault){
                                    .at_ns = rig.fake.now_ns + (uint64_t)(after_s * 1e9),
                                    .length_ns = (uint64_t)(length_s * 1e9),
                                    .kind = kind,
                                });
}

static uint64_t recording_time(void) {
    return rig.sample_count + rig.lost_samples;
}

static void check_sample(float sample) {
    const uint16_t world = (uint16_t)((int32_t)lrintf(sample * 32768.0f) + 32768);
    const uint16_t offset = (uint16_t)(world - (uint16_t)recording_time());
    const int32_t moved = (int16_t)(uint16_t)(offset - rig.offset);
    const uint64_t distance = (uint64_t)(moved < 0 ? -moved : moved);
    if (rig.has_offset && distance > rig.slack_samples) {
        rig.bad_count++;
    }
    if (es_timeline_time(&rig.timeline, rig.stream_samples) != recording_time()) {
        rig.bad_count++;
    }
    rig.offset = offset;
    rig.has_offset = true;
    rig.slack_samples = 0;
}

static void meet_loss(const struct es_loss *loss) {
    ES_EXPECT_EQ(loss->stream_sample, rig.sample_count);
    rig.last_loss = *loss;
    rig.causes |= loss->causes;
    rig.lost_samples += loss->lost_samples;
    rig.bound_samples += loss->bound_samples;
    rig.slack_samples += loss->bound_samples;
    if (loss->phase == ES_LOSS_BEGINS) {
        ES_EXPECT_EQ(loss->lost_samples, 0);
        rig.begin_count++;
        /* A flush, as the appliance does: longer than the gap may turn out to be. */
        es_timeline_gap(&rig.timeline, rig.stream_samples, 21760, 0);
        rig.stream_samples += 21760;
        return;
    }
    rig.end_count += loss->phase == ES_LOSS_ENDS ? 1 : 0;
    rig.loss_count++;
    rig.estimated_count += loss->bound_samples > 0 ? 1 : 0;
    const uint32_t fed = loss->phase == ES_LOSS_ENDS ? 0 : es_timeline_silence(loss->lost_samples);
    es_timeline_gap(&rig.timeline, rig.stream_samples, fed, loss->lost_samples);
    rig.stream_samples += fed;
}

bool es_rig_take_some(void) {
    static float samples[1280];
    struct es_loss loss;
    const size_t count = es_capture_take(rig.capture, samples, 1280, &loss);
    for (size_t i = 0; i < count; i++) {
        if (rig.checks_world) {
            check_sample(samples[i]);
        }
        rig.sample_count++;
        rig.stream_samples++;
        rig.last_sample = samples[i];
    }
    if (loss.causes != 0) {
        meet_loss(&loss);
    }
    return count > 0 || loss.causes != 0;
}

void es_rig_take(void) {
    while (es_rig_take_some()) {
    }
}

void es_rig_step(void) {
    es_capture_step(rig.capture);
    es_capture_report(rig.capture, &rig.report);
}

static void run(double seconds, bool takes) {
    const uint64_t end_ns = rig.fake.now_ns + (uint64_t)(seconds * 1e9);
    while (rig.fake.now_ns < end_ns) {
        es_capture_step(rig.capture);
        if (takes) {
            es_rig_take();
        }
    }
    es_capture_report(rig.capture, &rig.report);
}

void es_rig_run(double seconds) {
    run(seconds, true);
}

void es_rig_run_deaf(double seconds) {
    run(seconds, false);
}

double es_rig_run_until(enum es_capture_state state, double seconds) {
    const uint64_t start_ns = rig.fake.now_ns;
    const uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    do {
        es_rig_step();
        es_rig_take();
    } while (rig.report.state != state && rig.fake.now_ns < end_ns);
    return (double)(rig.fake.now_ns - start_ns) * 1e-9;
}

void es_rig_expect_books(void) {
    es_rig_take();
    es_capture_report(rig.capture, &rig.report);
    const struct es_capture_report *report = &rig.report;
    ES_EXPECT_EQ(report->frame_count + report->overrun_frame_count,
                 rig.fake.read_frames + rig.fake.skipped_frames);
    ES_EXPECT_EQ(rig.sample_count, report->sample_count);
    /* Losses since the last sample are not told yet. */
    ES_EXPECT(rig.lost_samples <= report->lost_samples + report->muted_samples);
    if (report->state == ES_CAPTURE_LISTENING && !rig.may_owe) {
        ES_EXPECT_EQ(rig.lost_samples, report->lost_samples + report->muted_samples);
    }
    ES_EXPECT_EQ(rig.bad_count, 0);
}

void es_rig_stop(void) {
    es_capture_stop(rig.capture);
    es_arena_release(&arena);
}
