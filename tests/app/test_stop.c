/* The end of an appliance whose engine hangs: in time, told, and dark. A program of its own: what
 * hangs keeps its memory. */
#include "platform/clock.h"
#include "tests/support/appliance_rig.h"
#include "tests/support/test.h"

#define NS_PER_MS 1000000ull

static struct es_appliance_rig rig;

ES_TEST("an engine that hangs does not hold up the end: what was heard is out, and it says who") {
    static const char *const recordings[] = {"commands_one_speaker"};
    static const char *const settings[] = {"uart=pty"};
    struct es_appliance_rig_setup setup = {.settings = settings,
                                           .setting_count = 1,
                                           .recordings = recordings,
                                           .recording_count = 1,
                                           .rate = 16000,
                                           .tick_ms = 20,
                                           .watchdog_us = 10000000};
    struct es_error error = {""};
    es_appliance_rig_open(&rig, &setup);
    es_appliance_rig_run(&rig, 4000);
    atomic_store(&rig.is_engine_stalled, true);
    es_appliance_rig_run(&rig, 1000);
    es_paced_card_free(&rig.card);
    const uint64_t began_ns = es_clock_ns();
    ES_EXPECT_EQ(es_appliance_close(&rig.appliance, &error), ES_ERR_HARDWARE);
    const uint64_t took_ms = (es_clock_ns() - began_ns) / NS_PER_MS;
    es_test_note("%llu ms; %s", (unsigned long long)took_ms, error.text);
    ES_EXPECT(took_ms >= ES_STOP_FINISH_MS + ES_STOP_GRACE_MS); /* it was given its time */
    ES_EXPECT(rig.appliance.is_abandoned);
    ES_EXPECT_CONTAINS(error.text, "the engine does not end");
    ES_EXPECT(!es_gpio_is_open(&rig.appliance.leds.state));
    /* Its memory is still there: it may go on, and nothing breaks. */
    atomic_store(&rig.is_engine_stalled, false);
    ES_EXPECT(es_thread_join_until(&rig.appliance.live.thread, es_clock_ns() + 60000u * NS_PER_MS));
    es_boot_stop(&rig.appliance.boot);
}
