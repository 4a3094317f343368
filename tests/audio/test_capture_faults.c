#include "tests/support/capture_rig.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"

#ifdef ES_UNDER_SANITIZER
#define FAULT_COUNT 400u
#else
#define FAULT_COUNT 4000u
#endif

static uint64_t random_state;

static uint32_t random_below(uint32_t bound) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % bound);
}

/* Faults of the kinds listed, 0.2 to 3 s apart, each up to a second or two long. */
static double schedule(const enum es_fake_kind *kinds, uint32_t kind_count, uint32_t fault_count) {
    double at_s = 1.0;
    for (uint32_t i = 0; i < fault_count; i++) {
        const double length_s =
            random_below(4) == 0 ? random_below(2000) * 1e-3 : random_below(700) * 1e-3;
        es_rig_fault(at_s, kinds[random_below(kind_count)], length_s);
        at_s += 0.2 + random_below(2800) * 1e-3;
    }
    return at_s;
}

/* Runs over `seconds`; the consumer may be late, too, and somebody plays with the mute switch. */
static void run_wildly(double seconds, bool mutes) {
    const uint64_t end_ns = rig.fake.now_ns + (uint64_t)(seconds * 1e9);
    bool is_muted = false;
    while (rig.fake.now_ns < end_ns) {
        es_rig_step();
        if (random_below(7) != 0) {
            es_rig_take();
        }
        if (mutes && random_below(200) == 0) {
            is_muted = !is_muted;
            es_capture_set_muted(rig.capture, is_muted);
        }
    }
    es_capture_set_muted(rig.capture, false);
    es_rig_run(8.0);
}

static uint64_t fault_total(void) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < ES_FAKE_KIND_COUNT; i++) {
        total += rig.fake.fault_counts[i];
    }
    return total;
}

static void note(void) {
    es_test_note("%llu faults in %.0f s: %llu samples heard, %llu in %llu losses, of which %llu "
                 "estimated",
                 (unsigned long long)fault_total(),
                 (double)(rig.fake.now_ns - 1000 * ES_RIG_S) / 1e9,
                 (unsigned long long)rig.sample_count, (unsigned long long)rig.lost_samples,
                 (unsigned long long)rig.loss_count, (unsigned long long)rig.estimated_count);
}

ES_TEST("thousands of faults where the position survives: every lost sample is counted, exactly") {
    static const enum es_fake_kind kinds[] = {ES_FAKE_LATE, ES_FAKE_LATE_READ, ES_FAKE_SHORT};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        random_state = seed;
        const struct es_card_setup setup = es_fake_setup(16000, 1, ES_SAMPLE_S16);
        es_rig_start(&setup);
        const double seconds = schedule(kinds, 3, FAULT_COUNT);
        run_wildly(seconds, true);
        es_rig_expect_books(); /* every sample is the world's at its recording time */
        ES_EXPECT_EQ(fault_total(), FAULT_COUNT);
        ES_EXPECT_EQ(rig.estimated_count, 0);
        ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
        ES_EXPECT_EQ(rig.sample_count + rig.lost_samples,
                     rig.fake.read_frames + rig.fake.skipped_frames);
        note();
        es_rig_stop();
    }
}

ES_TEST("thousands of faults of every kind: the books agree, and time stays within its bounds") {
    static const enum es_fake_kind kinds[] = {
        ES_FAKE_LATE,     ES_FAKE_LATE_READ, ES_FAKE_STOP, ES_FAKE_SUSPEND,
        ES_FAKE_UNPLUG,   ES_FAKE_BUSY,      ES_FAKE_STOP, ES_FAKE_DENIED,
        ES_FAKE_NO_START, ES_FAKE_SHORT,     ES_FAKE_LIES, ES_FAKE_UNUSABLE,
    };
    for (uint64_t seed = 11; seed <= 14; seed++) {
        random_state = seed;
        const struct es_card_setup setup = es_fake_setup(16000, 1 + seed % 2, ES_SAMPLE_S16);
        es_rig_start(&setup);
        rig.fake.stops_itself = seed % 2 == 0;
        const double seconds = schedule(kinds, sizeof kinds / sizeof kinds[0], FAULT_COUNT);
        run_wildly(seconds, seed > 12);
        es_rig_expect_books();
        ES_EXPECT_EQ(fault_total(), FAULT_COUNT);
        ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
        const double world_s = (double)(rig.fake.now_ns - 1000 * ES_RIG_S) / 1e9;
        const double heard_s = (double)(rig.sample_count + rig.lost_samples) / 16000.0;
        es_test_note("recording time is off by %.1f ms after %.0f s", (heard_s - world_s) * 1e3,
                     world_s);
        ES_EXPECT_NEAR(heard_s, world_s, 0.05); /* errors do not add up */
        note();
        es_rig_stop();
    }
}

ES_TEST("the same at 44.1 and 48 kHz, with cards that fall silent") {
    static const enum es_fake_kind kinds[] = {ES_FAKE_LATE,  ES_FAKE_STOP, ES_FAKE_UNPLUG,
                                              ES_FAKE_STUCK, ES_FAKE_LIES, ES_FAKE_SUSPEND};
    static const uint32_t rates[] = {44100, 48000};
    for (size_t r = 0; r < 2; r++) {
        random_state = 21 + r;
        const struct es_card_setup setup = es_fake_setup(rates[r], 2, ES_SAMPLE_S32);
        es_rig_start(&setup);
        const double seconds = schedule(kinds, sizeof kinds / sizeof kinds[0], FAULT_COUNT / 4);
        run_wildly(seconds, true);
        es_rig_expect_books();
        ES_EXPECT_EQ(rig.report.state, ES_CAPTURE_LISTENING);
        const double world_s = (double)(rig.fake.now_ns - 1000 * ES_RIG_S) / 1e9;
        const double heard_s = (double)(rig.sample_count + rig.lost_samples) / 16000.0;
        ES_EXPECT_NEAR(heard_s, world_s, (double)rig.bound_samples / 16000.0 + 0.05);
        note();
        es_rig_stop();
    }
}
