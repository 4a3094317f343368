#include "platform/arena.h"
#include "tests/support/allocation_watch.h"
#include "tests/support/capture_rig.h"
#include "tests/support/test.h"

/* Memory that creeps: not one allocation in an hour of everything that may happen to a card that
 * comes back with the rate that it had. */
ES_TEST("memory that creeps: capture allocates nothing after the freeze, replugs included") {
    const struct es_card_setup setup = es_fake_setup(48000, 2, ES_SAMPLE_S24_3);
    const struct es_capture_config config = {.gain = {.mode = ES_GAIN_AUTO}};
    es_rig_start_with(&setup, &config);
    es_rig_run(1.0); /* opened: the resampler is there */
    for (uint32_t i = 0; i < 3590; i += 2) {
        static const enum es_fake_kind kinds[] = {ES_FAKE_LATE, ES_FAKE_STOP,    ES_FAKE_UNPLUG,
                                                  ES_FAKE_BUSY, ES_FAKE_SUSPEND, ES_FAKE_STUCK};
        es_rig_fault(i, kinds[i / 2 % 6], 0.4);
    }
    es_freeze();
    es_allocation_watch_start();
    for (uint32_t i = 0; i < 60; i++) {
        es_capture_set_muted(rig.capture, i % 5 == 0);
        es_rig_run(60.0);
    }
    const struct es_allocation_counts counts = es_allocation_watch_counts();
    ES_EXPECT_EQ(counts.product_count, 0);
    es_test_note("%llu opens, %llu losses", (unsigned long long)rig.report.open_count,
                 (unsigned long long)rig.loss_count);
    ES_EXPECT(rig.report.open_count > 100);
    es_rig_stop();
}
