#include "platform/clock.h"
#include "tests/support/capture_rig.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"

#include <sched.h>

#ifdef ES_UNDER_SANITIZER
#define SECONDS 200u
#else
#define SECONDS 2000u
#endif

/* The card's clock runs as fast as the processor allows, so that the thread meets a consumer that
 * is too slow, somebody who asks for reports, and the mute switch, all at once. */
ES_TEST("capture thread, consumer, reader of reports and mute switch at once: the books agree") {
    const struct es_card_setup setup = es_fake_setup(16000, 1, ES_SAMPLE_S16);
    es_rig_start(&setup);
    rig.fake.end_ns = rig.fake.now_ns + SECONDS * ES_RIG_S;
    for (uint32_t i = 1; i < SECONDS; i += 3) {
        es_rig_fault(i, i % 2 == 0 ? ES_FAKE_LATE : ES_FAKE_SHORT, 0.9);
        es_rig_fault(i + 1.0, i % 4 == 0 ? ES_FAKE_UNPLUG : ES_FAKE_STOP, 0.3);
    }
    struct es_error error;
    ES_EXPECT_EQ(es_capture_start(rig.capture, &error), ES_OK);
    uint64_t last_turn_count = 0, taken_count = 0;
    for (uint32_t turn = 0; !atomic_load(&rig.fake.has_ended); turn++) {
        if (es_capture_wait(rig.capture, 160, es_clock_ns() + 50 * ES_RIG_MS)) {
            es_rig_take_some();
            taken_count++;
        }
        if (turn % 8 == 0) {
            es_capture_set_muted(rig.capture, turn % 16 == 0);
        }
        es_capture_report(rig.capture, &rig.report);
        ES_EXPECT(rig.report.turn_count >= last_turn_count);
        last_turn_count = rig.report.turn_count;
        uint64_t ns;
        (void)es_capture_sample_ns(rig.capture, rig.sample_count, &ns);
    }
    es_capture_stop(rig.capture);
    rig.may_owe = true;
    es_rig_expect_books();
    es_test_note("%.0f s of card: %llu samples in %llu takes, %llu lost, %llu muted", SECONDS * 1.0,
                 (unsigned long long)rig.sample_count, (unsigned long long)taken_count,
                 (unsigned long long)rig.report.lost_samples,
                 (unsigned long long)rig.report.muted_samples);
    ES_EXPECT(rig.sample_count > 0);
    es_rig_stop();
}

ES_TEST("a thread that waits for a missing card ends when it is asked to") {
    const struct es_card_setup setup = es_fake_setup(48000, 2, ES_SAMPLE_S16);
    es_rig_start(&setup);
    es_rig_fault(0.0, ES_FAKE_UNPLUG, 1e9);
    struct es_error error;
    ES_EXPECT_EQ(es_capture_start(rig.capture, &error), ES_OK);
    while (rig.report.attempt_count < 3) {
        es_capture_report(rig.capture, &rig.report);
        sched_yield();
    }
    es_rig_stop();
    ES_EXPECT_EQ(rig.fake.open_count, 0);
}
