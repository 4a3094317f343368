#include "tests/support/capture_rig.h"
#include "tests/support/test.h"

static void start_16k(void) {
    const struct es_card_setup setup = es_fake_setup(16000, 1, ES_SAMPLE_S16);
    es_rig_start(&setup);
}

ES_TEST("deaf after hours while the status looks healthy: a card that delivers nothing is no mic") {
    start_16k();
    es_rig_run(5.0);
    es_rig_fault(0.0, ES_FAKE_STUCK, 20.0);
    const double found_s = es_rig_run_until(ES_CAPTURE_NO_MIC, 10.0);
    ES_EXPECT(found_s < 1.3);
    ES_EXPECT_CONTAINS(rig.report.reason.text, "delivers nothing");
    /* Opened anew it still gives nothing: it must not look healthy in between. */
    const uint64_t end_ns = rig.fake.now_ns + 17 * ES_RIG_S;
    while (rig.fake.now_ns < end_ns) {
        es_rig_step();
        ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_NO_MIC);
    }
    ES_EXPECT(rig.report.open_count > 3);
    ES_EXPECT(es_rig_run_until(ES_CAPTURE_LISTENING, 20.0) < 5.0);
    es_rig_run(5.0);
    es_rig_expect_books();
    ES_EXPECT((rig.last_loss.causes & ES_LOSS_STALLED) != 0);
    ES_EXPECT_NEAR((double)(rig.sample_count + rig.lost_samples) / 16000.0,
                   (double)(rig.fake.now_ns - 1000 * ES_RIG_S) / 1e9, 0.1);
    es_rig_stop();
}

ES_TEST("packets that a card loses without a word are found by the clock") {
    start_16k();
    es_rig_run(5.0);
    rig.checks_world = false; /* found a second later: its place is known to that */
    es_rig_fault(0.0, ES_FAKE_STUCK, 0.3);
    es_rig_run(5.0);
    ES_EXPECT_EQ(rig.loss_count, 1);
    ES_EXPECT_EQ(rig.last_loss.causes, ES_LOSS_PACKETS);
    ES_EXPECT_NEAR((double)rig.lost_samples, 4800.0, (double)rig.last_loss.bound_samples);
    ES_EXPECT_EQ(rig.report.open_count, 1);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    es_rig_expect_books();
    es_rig_stop();
}

ES_TEST("a driver that lies about being ready costs no processor time") {
    start_16k();
    es_rig_run(5.0);
    es_rig_fault(0.0, ES_FAKE_LIES, 10.0);
    const uint64_t calls = rig.fake.call_count;
    es_rig_run(10.0);
    ES_EXPECT(rig.fake.call_count - calls < 10 * 1000 * 3);
    ES_EXPECT(rig.report.turn_count > 100);
    (void)es_rig_run_until(ES_CAPTURE_LISTENING, 10.0);
    es_rig_run(2.0);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    es_rig_stop();
}

ES_TEST("a driver that stops again and again is opened anew, slowly") {
    start_16k();
    es_rig_run(5.0);
    const uint64_t starts = rig.fake.start_count, opens = rig.fake.open_count;
    const uint64_t end_ns = rig.fake.now_ns + 10 * ES_RIG_S;
    while (rig.fake.now_ns < end_ns) {
        rig.fake.is_stopped = rig.fake.is_open;
        rig.fake.is_running = false;
        es_rig_step();
    }
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_NO_MIC);
    ES_EXPECT(rig.fake.start_count - starts < 250);
    ES_EXPECT(rig.fake.open_count - opens < 25);
    ES_EXPECT(es_rig_run_until(ES_CAPTURE_LISTENING, 10.0) < 2.0);
    es_rig_run(1.0);
    es_rig_expect_books();
    es_rig_stop();
}

ES_TEST("a card that opens and does not start is no microphone") {
    start_16k();
    es_rig_fault(0.0, ES_FAKE_NO_START, 5.0);
    es_rig_run(3.0);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_NO_MIC);
    ES_EXPECT_CONTAINS(rig.report.reason.text, "does not start");
    ES_EXPECT(es_rig_run_until(ES_CAPTURE_LISTENING, 10.0) < 4.0);
    ES_EXPECT_EQ(rig.fake.open_count, rig.fake.close_count + 1);
    es_rig_stop();
}

ES_TEST("a microphone that delivers digital zero for 10 s is reported, and only then") {
    start_16k();
    es_rig_run(5.0);
    es_rig_fault(0.0, ES_FAKE_FLAT, 12.0);
    es_rig_run(9.8);
    ES_EXPECT(!rig.report.is_flat);
    es_rig_run(0.4);
    ES_EXPECT(rig.report.is_flat);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    es_rig_run(3.0);
    ES_EXPECT(!rig.report.is_flat);
    es_rig_stop();
}

ES_TEST("short reads lose nothing") {
    start_16k();
    es_rig_fault(0.5, ES_FAKE_SHORT, 10.0);
    es_rig_run(5.0);
    es_rig_expect_books();
    ES_EXPECT_EQ(rig.lost_samples, 0);
    ES_EXPECT(rig.sample_count > 79000);
    es_rig_stop();
}

ES_TEST("a clock that jumps neither stops capture nor goes unsaid") {
    start_16k();
    es_rig_run(5.0);
    es_rig_fault(0.0, ES_FAKE_JUMP, 100.0);
    es_rig_run(100.5);
    es_rig_run(4.0);
    ES_EXPECT_EQ(rig.report.open_count, 1);
    ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
    ES_EXPECT_EQ(rig.loss_count, 1);
    ES_EXPECT_NEAR((double)rig.lost_samples / 16000.0, 100.0, 0.2);
    es_rig_stop();
}
