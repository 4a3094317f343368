#include "tests/support/capture_rig.h"
#include "tests/support/test.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double tone(uint64_t frame) {
    return 0.5 * sin(2.0 * pi * 440.0 * (double)frame / 48000.0);
}

static void start_16k(void) {
    const struct es_card_setup setup = es_fake_setup(16000, 1, ES_SAMPLE_S16);
    es_rig_start(&setup);
}

static double frames_to_samples(uint64_t frames) {
    return (double)frames * 16000.0 / rig.fake.setup.rate;
}

ES_TEST("mute that breaks capture: no sample reaches the ring, and unmute keeps the time") {
    start_16k();
    es_rig_run(2.0);
    es_capture_set_muted(rig.capture, true);
    const uint64_t before = rig.sample_count;
    es_rig_run(30.0);
    ES_EXPECT_EQ(rig.sample_count, before);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_MUTED);
    ES_EXPECT(rig.report.is_muted);
    ES_EXPECT_EQ(rig.begin_count, 1);
    ES_EXPECT_EQ(rig.last_loss.causes, ES_LOSS_MUTED);
    es_capture_set_muted(rig.capture, false);
    es_rig_run(2.0);
    es_rig_expect_books(); /* every sample stands at its true time */
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    ES_EXPECT_EQ(rig.last_loss.phase, ES_LOSS_ENDS);
    ES_EXPECT_EQ(rig.last_loss.bound_samples, 0);
    ES_EXPECT_EQ(rig.lost_samples, rig.report.muted_samples);
    ES_EXPECT_EQ(rig.lost_samples, rig.report.muted_frame_count);
    ES_EXPECT_NEAR((double)rig.lost_samples / 16000.0, 30.0, 0.03);
    ES_EXPECT_EQ(rig.report.lost_samples, 0);
    ES_EXPECT_EQ(rig.report.open_count, 1);
    es_rig_stop();
}

ES_TEST("what was said before unmute is never heard, though the card still held it") {
    const struct es_card_setup setup = es_fake_setup(16000, 1, ES_SAMPLE_S16);
    const struct es_capture_config config = {.is_muted = true};
    es_rig_start_with(&setup, &config);
    es_rig_run(1.0);
    ES_EXPECT_EQ(rig.sample_count, 0);
    es_rig_fault(0.0, ES_FAKE_LATE, 0.4); /* 400 ms lie in the card's buffer ... */
    const struct es_card_ops *ops = rig.fake.base.ops;
    ES_EXPECT_EQ(ops->wait(&rig.fake.base, 1), 1);
    const uint64_t unmuted_frame = es_fake_frame_at(&rig.fake, rig.fake.frame_ns);
    es_capture_set_muted(rig.capture, false); /* ... when the switch moves */
    while (rig.sample_count == 0) {
        es_rig_step();
        static float first[1];
        struct es_loss loss;
        if (es_capture_take(rig.capture, first, 1, &loss) == 1) {
            const uint16_t heard = (uint16_t)((int32_t)lrintf(first[0] * 32768.0f) + 32768);
            ES_EXPECT((int16_t)(uint16_t)(heard - (uint16_t)unmuted_frame) >= 0);
            ES_EXPECT((int16_t)(uint16_t)(heard - (uint16_t)unmuted_frame) < 16 * 30);
            break;
        }
    }
    es_rig_stop();
}

ES_TEST("what the resampler held when mute began is not heard either") {
    const struct es_card_setup setup = es_fake_setup(48000, 1, ES_SAMPLE_S16);
    es_rig_start(&setup);
    rig.fake.source = tone;
    es_rig_run(1.0);
    const uint64_t before = rig.sample_count;
    es_capture_set_muted(rig.capture, true);
    es_rig_run(1.0);
    ES_EXPECT_EQ(rig.sample_count, before);
    es_capture_set_muted(rig.capture, false);
    es_rig_run(1.0);
    es_rig_expect_books();
    const double due = frames_to_samples(rig.report.frame_count);
    ES_EXPECT((double)(rig.sample_count + rig.lost_samples) <= due);
    ES_EXPECT((double)(rig.sample_count + rig.lost_samples) > due - 41.0);
    es_rig_stop();
}

ES_TEST("mute and unplug may come in any order, and the time is kept") {
    start_16k();
    es_rig_run(1.0);
    es_capture_set_muted(rig.capture, true);
    es_rig_run(1.0);
    es_rig_fault(0.0, ES_FAKE_UNPLUG, 5.0);
    es_rig_run(1.0);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_NO_MIC);
    ES_EXPECT(rig.report.is_muted);
    es_rig_run(7.0);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_MUTED);
    es_capture_set_muted(rig.capture, false);
    es_rig_run(1.0);
    ES_EXPECT_EQ(rig.begin_count, 1);
    ES_EXPECT_EQ(rig.last_loss.causes, ES_LOSS_MUTED | ES_LOSS_NO_CARD);
    es_rig_fault(0.0, ES_FAKE_UNPLUG, 5.0);
    es_rig_run(1.0);
    es_capture_set_muted(rig.capture, true);
    es_rig_run(1.0);
    es_capture_set_muted(rig.capture, false); /* while it is still away */
    es_rig_run(6.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    ES_EXPECT_NEAR((double)(rig.sample_count + rig.lost_samples) / 16000.0,
                   (double)(rig.fake.now_ns - 1000 * ES_RIG_S) / 1e9, 0.1);
    es_rig_stop();
}

/* The world in which somebody moves the switch while the frames are being read. */
static double muting(uint64_t frame) {
    es_capture_set_muted(rig.capture, true);
    return es_fake_world(frame);
}

ES_TEST("frames that are in hand when mute comes do not reach the ring any more") {
    start_16k();
    es_rig_run(1.0);
    const uint64_t before = rig.sample_count;
    rig.fake.source = muting;
    es_rig_step();
    es_rig_take();
    ES_EXPECT_EQ(rig.sample_count, before);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_MUTED);
    ES_EXPECT_EQ(rig.begin_count, 1);
    es_rig_stop();
}
