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

ES_TEST("every rate, channel count and format arrives as 16 kHz mono, nothing lost") {
    static const uint32_t rates[] = {8000, 16000, 22050, 44100, 48000, 96000, 192000};
    for (uint32_t format = 0; format < ES_SAMPLE_FORMAT_COUNT; format++) {
        for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
            const struct es_card_setup setup =
                es_fake_setup(rates[r], 1 + format % 3, (enum es_sample_format)format);
            es_rig_start(&setup);
            rig.fake.source = tone;
            rig.checks_world = false;
            es_rig_run(1.0);
            es_rig_expect_books();
            ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
            ES_EXPECT_EQ(rig.lost_samples, 0);
            const double due = frames_to_samples(rig.report.frame_count);
            ES_EXPECT((double)rig.sample_count <= due);
            /* The resampler's 40 taps are 2.5 ms at 16 kHz and above. */
            ES_EXPECT((double)rig.sample_count >= due - (rates[r] < 16000 ? 81.0 : 41.0));
            ES_EXPECT_NEAR(rig.report.level.peak, 0.5, 0.01);
            ES_EXPECT_EQ(rig.report.setup.rate, rates[r]);
            es_rig_stop();
        }
    }
}

ES_TEST("samples are the microphone's, bit for bit where no resampling is asked for") {
    start_16k();
    es_rig_run(10.0);
    es_rig_expect_books();
    ES_EXPECT(rig.sample_count > 159000);
    es_rig_stop();
}

ES_TEST("the position's time is when the sample left the microphone") {
    const struct es_card_setup setup = es_fake_setup(48000, 2, ES_SAMPLE_S16);
    es_rig_start(&setup);
    uint64_t ns = 0;
    ES_EXPECT(!es_capture_sample_ns(rig.capture, 0, &ns));
    const uint64_t start_ns = rig.fake.now_ns;
    es_rig_run(2.0);
    for (uint64_t position = 0; position < rig.sample_count; position += 997) {
        ES_EXPECT(es_capture_sample_ns(rig.capture, position, &ns));
        ES_EXPECT_NEAR((double)(ns - start_ns) / 1e6, (double)position / 16.0, 0.2);
    }
    es_rig_stop();
}

ES_TEST("slow boards that drop audio silently: an overrun is counted to the sample, in its place") {
    start_16k();
    es_rig_run(1.0);
    es_rig_fault(0.0, ES_FAKE_LATE, 0.450); /* the buffer holds 500 ms: nothing is lost */
    es_rig_run(1.0);
    ES_EXPECT_EQ(rig.lost_samples, 0);
    es_rig_fault(0.0, ES_FAKE_LATE, 2.345);
    es_rig_run(4.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.loss_count, 1);
    ES_EXPECT_EQ(rig.last_loss.causes, ES_LOSS_OVERRUN);
    ES_EXPECT_EQ(rig.last_loss.phase, ES_LOSS_WHOLE);
    ES_EXPECT_EQ(rig.last_loss.bound_samples, 0);
    ES_EXPECT_EQ(rig.lost_samples, rig.report.overrun_frame_count);
    ES_EXPECT(rig.lost_samples > 1845 * 16);
    ES_EXPECT_EQ(rig.report.open_count, 1);
    es_test_note("2345 ms late: %llu samples lost", (unsigned long long)rig.lost_samples);
    es_rig_stop();
}

ES_TEST("losses at 44.1 kHz add up without a rounding error, however many and small they are") {
    const struct es_card_setup setup = es_fake_setup(44100, 2, ES_SAMPLE_S24_3);
    es_rig_start(&setup);
    for (uint32_t i = 0; i < 300; i++) {
        es_rig_fault(0.0, ES_FAKE_LATE, 0.490 + i * 0.0001);
        es_rig_run(0.6);
    }
    es_rig_expect_books();
    ES_EXPECT(rig.loss_count > 250);
    ES_EXPECT_EQ(rig.estimated_count, 0);
    const double due = frames_to_samples(rig.fake.read_frames + rig.fake.skipped_frames);
    ES_EXPECT((double)(rig.sample_count + rig.lost_samples) <= due);
    ES_EXPECT((double)(rig.sample_count + rig.lost_samples) > due - 41.0);
    es_rig_stop();
}

ES_TEST("what was heard before an overrun is delivered, down to what the resampler held") {
    const struct es_card_setup setup = es_fake_setup(48000, 1, ES_SAMPLE_S16);
    es_rig_start(&setup);
    es_rig_run(1.0);
    es_rig_fault(0.0, ES_FAKE_LATE, 0.8);
    es_rig_run(2.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.loss_count, 1);
    ES_EXPECT_NEAR((double)rig.lost_samples, (double)rig.report.overrun_frame_count / 3.0, 1.0);
    es_rig_stop();
}

ES_TEST("frames that were overwritten while they were read are lost, not heard") {
    start_16k();
    es_rig_run(1.0);
    for (uint32_t i = 0; i < 50; i++) {
        es_rig_fault(0.0, ES_FAKE_LATE_READ, 0.3 + 0.01 * i);
        es_rig_run(1.0);
    }
    es_rig_expect_books();
    ES_EXPECT(rig.loss_count > 30);
    ES_EXPECT_EQ(rig.estimated_count, 0);
    es_rig_stop();
}

ES_TEST("capture that never restarts after an overrun: a driver that stops is started again") {
    start_16k();
    rig.fake.stops_itself = true;
    es_rig_run(1.0);
    const uint64_t starts = rig.fake.start_count;
    es_rig_fault(0.0, ES_FAKE_LATE, 1.0);
    es_rig_run(2.0);
    es_rig_expect_books(); /* every sample within the loss's own bound of its true place */
    ES_EXPECT_EQ(rig.fake.start_count, starts + 1);
    ES_EXPECT_EQ(rig.report.open_count, 1);
    ES_EXPECT_EQ(rig.loss_count, 1);
    ES_EXPECT_EQ(rig.last_loss.causes, ES_LOSS_STOPPED);
    ES_EXPECT(rig.last_loss.bound_samples > 0);
    ES_EXPECT_NEAR((double)rig.lost_samples, 16000.0, (double)rig.last_loss.bound_samples);
    ES_EXPECT(rig.last_loss.bound_samples < 16 * 25);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    es_rig_stop();
}

ES_TEST("a machine that slept goes on, and the time it slept is in the recording") {
    start_16k();
    es_rig_run(1.0);
    es_rig_fault(0.1, ES_FAKE_SUSPEND, 3600.0);
    (void)es_rig_run_until(ES_CAPTURE_NO_MIC, 4000.0);
    ES_EXPECT_CONTAINS(rig.report.reason.text, "suspended");
    ES_EXPECT(es_rig_run_until(ES_CAPTURE_LISTENING, 10.0) < 2.0);
    es_rig_run(1.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.last_loss.phase, ES_LOSS_ENDS);
    ES_EXPECT((rig.last_loss.causes & ES_LOSS_SUSPENDED) != 0);
    ES_EXPECT_NEAR((double)rig.lost_samples / 16000.0, 3600.3, 0.3);
    ES_EXPECT_EQ(rig.report.open_count, 1);
    es_rig_stop();
}

ES_TEST("a microphone replug that needs a restart: it is back within 2 s, with another index") {
    start_16k();
    es_rig_run(3.0);
    static const double lengths_s[] = {0.0, 0.2, 0.9, 1.7, 5.0, 33.3};
    for (size_t i = 0; i < sizeof lengths_s / sizeof lengths_s[0]; i++) {
        es_rig_fault(0.0, ES_FAKE_UNPLUG, lengths_s[i]);
        (void)es_rig_run_until(ES_CAPTURE_NO_MIC, 1.0);
        ES_EXPECT_CONTAINS(rig.report.reason.text, "plug it in");
        const double back_s = es_rig_run_until(ES_CAPTURE_LISTENING, 60.0) - lengths_s[i];
        es_test_note("away for %.1f s: back %.2f s after its return", lengths_s[i], back_s);
        ES_EXPECT(back_s < 2.0);
        ES_EXPECT_TEXT(rig.report.reason.text, "");
        ES_EXPECT_EQ(rig.report.open_count, i + 2);
        es_rig_run(3.0);
        ES_EXPECT_EQ(rig.last_loss.phase, ES_LOSS_ENDS);
        ES_EXPECT_EQ(rig.begin_count, i + 1);
        ES_EXPECT_EQ(rig.end_count, i + 1);
    }
    ES_EXPECT_CONTAINS(rig.report.setup.name, "index 6");
    es_rig_expect_books();
    es_rig_stop();
}

ES_TEST("another microphone in its place may have another rate") {
    const struct es_card_setup first = es_fake_setup(48000, 2, ES_SAMPLE_S16);
    es_rig_start(&first);
    es_rig_run(2.0);
    es_rig_fault(0.0, ES_FAKE_UNPLUG, 1.0);
    (void)es_rig_run_until(ES_CAPTURE_NO_MIC, 1.0);
    const uint64_t frames = rig.fake.read_frames;
    rig.fake.setup = es_fake_setup(44100, 1, ES_SAMPLE_S32);
    es_rig_run(5.0);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    ES_EXPECT_EQ(rig.report.setup.rate, 44100);
    const double due = (double)frames / 3.0 + (double)(rig.fake.read_frames - frames) * 16.0 / 44.1;
    ES_EXPECT_NEAR((double)rig.sample_count, due, 90.0);
    ES_EXPECT_NEAR((double)(rig.sample_count + rig.lost_samples) / 16000.0, 7.0, 0.05);
    es_rig_expect_books();
    es_rig_stop();
}

ES_TEST(
    "a card that is busy, not permitted or unusable is a failure with its reason, and retried") {
    static const struct {
        enum es_fake_kind kind;
        const char *text;
    } cases[] = {{ES_FAKE_BUSY, "in use by other (pid 7)"},
                 {ES_FAKE_DENIED, "group audio"},
                 {ES_FAKE_UNUSABLE, "no format"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_16k();
        es_rig_fault(0.0, cases[i].kind, 10.0);
        es_rig_run(9.0);
        ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_FAILED);
        ES_EXPECT_CONTAINS(rig.report.reason.text, cases[i].text);
        ES_EXPECT(rig.report.attempt_count > 5);
        ES_EXPECT(rig.report.attempt_count < 25);
        ES_EXPECT(es_rig_run_until(ES_CAPTURE_LISTENING, 5.0) < 1.0 + 2.0);
        es_rig_run(1.0);
        es_rig_expect_books();
        es_rig_stop();
    }
}

ES_TEST("a recording that begins without a microphone says so at once, and begins late") {
    start_16k();
    es_rig_fault(0.0, ES_FAKE_UNPLUG, 10.0);
    es_rig_step();
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_NO_MIC);
    ES_EXPECT_CONTAINS(rig.report.reason.text, "plug it in");
    es_rig_take();
    ES_EXPECT_EQ(rig.begin_count, 1);
    (void)es_rig_run_until(ES_CAPTURE_LISTENING, 20.0);
    es_rig_run(1.0);
    es_rig_expect_books();
    ES_EXPECT_NEAR((double)rig.lost_samples / 16000.0, 10.5, 0.6);
    ES_EXPECT_EQ(rig.last_loss.stream_sample, 0);
    es_rig_stop();
}

ES_TEST("an hour without a microphone queues nothing and moves the map by an hour") {
    start_16k();
    es_rig_run(2.0);
    const uint64_t before = rig.sample_count;
    es_rig_fault(0.0, ES_FAKE_UNPLUG, 3600.0);
    es_rig_run_deaf(3599.0); /* nobody even takes */
    ES_EXPECT(es_capture_waiting_count(rig.capture) < 200);
    const uint64_t calls = rig.fake.call_count;
    es_test_note("%llu calls of the card in that hour", (unsigned long long)calls);
    ES_EXPECT(calls < 50000);
    es_rig_run(10.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.begin_count, 1);
    ES_EXPECT_EQ(rig.loss_count, 1);
    ES_EXPECT_NEAR((double)rig.lost_samples / 16000.0, 3600.5, 1.0);
    ES_EXPECT_NEAR((double)(rig.stream_samples - before) / 16000.0, 21760 / 16000.0 + 9.0, 1.2);
    es_rig_stop();
}

/* -- the consumer ----------------------------------------------------------------------------- */

ES_TEST("a consumer that stands still loses the newest samples, counted, and nothing it was due") {
    start_16k();
    es_rig_run(1.0);
    es_rig_run_deaf(60.0);
    ES_EXPECT_EQ(es_capture_waiting_count(rig.capture), ES_RING_SAMPLES);
    es_rig_take();
    es_rig_run(1.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.last_loss.causes, ES_LOSS_BACKLOG);
    ES_EXPECT_EQ(rig.estimated_count, 0);
    ES_EXPECT_EQ(rig.sample_count + rig.lost_samples, rig.report.frame_count);
    es_rig_stop();
}

ES_TEST("more losses than the queue holds become one, and none is forgotten") {
    start_16k();
    for (uint32_t i = 0; i < 2 * ES_LOSS_COUNT_MAX; i++) {
        es_rig_fault(0.0, ES_FAKE_LATE, 0.55);
        es_rig_run_deaf(0.03);
    }
    es_rig_take();
    es_rig_run(1.0);
    es_rig_expect_books();
    ES_EXPECT(rig.loss_count > ES_LOSS_COUNT_MAX);
    ES_EXPECT_EQ(rig.sample_count + rig.lost_samples,
                 rig.report.frame_count + rig.report.overrun_frame_count);
    es_rig_stop();
}

ES_TEST("one channel of several may be chosen, and one that is not there is a failure") {
    const struct es_card_setup setup = es_fake_setup(16000, 2, ES_SAMPLE_S16);
    const struct es_capture_config second = {.channel = 2};
    es_rig_start_with(&setup, &second);
    es_rig_run(1.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    es_rig_stop();
    const struct es_capture_config third = {.channel = 3};
    es_rig_start_with(&setup, &third);
    es_rig_run(1.0);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_FAILED);
    ES_EXPECT_CONTAINS(rig.report.reason.text, "channel 3");
    es_rig_stop();
}

ES_TEST("gain is applied behind the level meter") {
    const struct es_card_setup setup = es_fake_setup(48000, 1, ES_SAMPLE_S16);
    const struct es_capture_config config = {.gain = {.mode = ES_GAIN_FIXED, .fixed_db = -20.0f}};
    es_rig_start_with(&setup, &config);
    rig.fake.source = tone;
    es_rig_run(2.0);
    ES_EXPECT_NEAR(rig.report.level.peak, 0.5, 0.01);
    ES_EXPECT_NEAR(rig.report.gain_db, -20.0, 1e-4);
    ES_EXPECT(fabsf(rig.last_sample) <= 0.0501f);
    es_rig_stop();
}

ES_TEST("states and causes have names") {
    ES_EXPECT_TEXT(es_capture_state_name(ES_CAPTURE_NO_MIC), "no microphone");
    ES_EXPECT_TEXT(es_loss_cause_name(ES_LOSS_OVERRUN), "overrun");
    ES_EXPECT_TEXT(es_loss_cause_name(ES_LOSS_BACKLOG), "backlog");
    ES_EXPECT_TEXT(es_loss_cause_name(ES_LOSS_MUTED | ES_LOSS_NO_CARD), "no microphone");
}
