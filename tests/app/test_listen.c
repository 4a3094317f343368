/* The whole appliance with its threads, in virtual time, and the complaints that people have about
 * such devices. One appliance for all: a freeze is for ever, and so is a stream. */
#include "platform/clock.h"
#include "tests/support/allocation_watch.h"
#include "tests/support/appliance_rig.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull
#define SIX_WORDS "off left yes no right up"
#define UNIT_MS 9000u /* more than the recording lasts */

/* Sanitizers make every tick ten times slower. */
#ifdef ES_UNDER_SANITIZER
#define HOUR_MS 120000u
#define STUCK_MS 60000u
#else
#define HOUR_MS 3600000u
#define STUCK_MS 300000u
#endif

static struct es_appliance_rig rig;
static bool is_open;

static struct es_appliance *appliance(void) {
    static const char *const recordings[] = {"commands_one_speaker"};
    static const char *const settings[] = {"uart=pty"};
    if (!is_open) {
        static char lines[BUFSIZ]; /* of the test's own output */
        (void)setvbuf(stdout, lines, _IOFBF, sizeof lines);
        es_allocation_watch_start();
        struct es_appliance_rig_setup setup = {.settings = settings,
                                               .setting_count = 1,
                                               .recordings = recordings,
                                               .recording_count = 1,
                                               .rate = 48000,
                                               .tick_ms = 20,
                                               .watchdog_us = 10000000};
        es_appliance_rig_open(&rig, &setup);
        is_open = true;
    }
    return &rig.appliance;
}

static void forget_text(void) {
    rig.text_bytes = 0;
    rig.text[0] = '\0';
}

/* The words alone: lines with # and stamps taken off. */
static const char *words(void) {
    static char found[ES_RIG_TEXT_BYTES];
    size_t used = 0;
    bool is_skipped = false;
    for (size_t i = 0; i < rig.text_bytes; i++) {
        char c = rig.text[i];
        if (c == '#' || c == '[') {
            is_skipped = true;
        }
        bool is_double = c == ' ' && used > 0 && found[used - 1] == ' ';
        if (!is_skipped && !is_double && !(c == '\r' || c == '\n')) {
            found[used++] = c;
        } else if ((c == '\n' || c == ']') && used > 0 && found[used - 1] != ' ') {
            found[used++] = ' ';
        }
        if (c == '\n' || c == ']') {
            is_skipped = false;
        }
    }
    found[used] = '\0';
    return found;
}

static uint32_t count_of(const char *text, const char *part) {
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        count++;
    }
    return count;
}

static uint32_t word_count(void) {
    return count_of(words(), "left") + count_of(words(), "yes") + count_of(words(), "right");
}

static void add_fault(enum es_fake_kind kind, uint64_t in_ms, uint64_t length_ms) {
    es_fake_card_add(&rig.card.fake,
                     (struct es_fake_fault){.at_ns = rig.card.fake.now_ns + in_ms * NS_PER_MS,
                                            .length_ns = length_ms * NS_PER_MS,
                                            .kind = kind});
}

/* Runs until the state is there; how long that took, in ms. */
static uint64_t run_until(enum es_state state, uint64_t ms_max) {
    uint64_t began_ms = rig.now_ms;
    while (rig.appliance.machine.state != state && rig.now_ms - began_ms < ms_max) {
        es_appliance_rig_run(&rig, rig.setup.tick_ms);
    }
    return rig.now_ms - began_ms;
}

static bool is_hearing(void) {
    return rig.appliance.machine.state == ES_STATE_LISTENING ||
           rig.appliance.machine.state == ES_STATE_HEARING;
}

ES_TEST("what is said comes out of the serial line, and the manager is told READY once") {
    (void)appliance();
    es_appliance_rig_run(&rig, UNIT_MS);
    ES_EXPECT_CONTAINS(words(), SIX_WORDS);
    ES_EXPECT_EQ(rig.ready_count, 1);
    ES_EXPECT(rig.state_ticks[ES_STATE_HEARING] > 0);
    ES_EXPECT(rig.watchdog_count >= 1);
    double frames_per_s = 0;
    double steps_per_s = 0;
    char state[32];
    ES_EXPECT_EQ(sscanf(rig.first_status, "%31[^;]; %lf frames/s from the microphone, %lf steps/s",
                        state, &frames_per_s, &steps_per_s),
                 3);
    ES_EXPECT_NEAR(frames_per_s, 48000, 2400); /* from the first line on */
    ES_EXPECT_NEAR(steps_per_s, 12.5, 6);
    ES_EXPECT_EQ(rig.appliance.capture_report.lost_samples, 0);
    es_test_note("STATUS=%s", rig.first_status);
}

ES_TEST("which microphone auto chose, and which others there are, is said once") {
    (void)appliance();
    es_appliance_rig_run(&rig, 2000);
    ES_EXPECT_EQ(count_of(rig.text, "hw:CARD=Fake (index 0)"), 1);
    ES_EXPECT_EQ(count_of(rig.text, "chosen by auto; other microphones here: PCH, APE"), 1);
}

ES_TEST("a pause of any length never restarts the stream, and words come after it") {
    (void)appliance();
    uint64_t steps = rig.appliance.live_report.step_count;
    add_fault(ES_FAKE_FLAT, 10, 60000);
    es_appliance_rig_run(&rig, 60000);
    forget_text();
    es_appliance_rig_run(&rig, UNIT_MS);
    ES_EXPECT(word_count() >= 3);
    ES_EXPECT(rig.appliance.live_report.step_count > steps + 800u);
}

ES_TEST("a microphone that gives digital zero is reported") {
    (void)appliance();
    add_fault(ES_FAKE_FLAT, 10, 20000);
    forget_text();
    es_appliance_rig_run(&rig, 15000);
    ES_EXPECT_EQ(rig.appliance.machine.state, ES_STATE_NO_MIC);
    ES_EXPECT_CONTAINS(rig.text, "silent: nothing but one number comes");
    es_appliance_rig_run(&rig, 10000);
    ES_EXPECT(is_hearing());
    ES_EXPECT_CONTAINS(rig.text, "gives sound");
}

ES_TEST("a microphone replug that needs a restart: back within 2 s, with words and true times") {
    (void)appliance();
    uint64_t opened = rig.appliance.capture_report.open_count;
    uint64_t gaps = rig.appliance.live_report.gap_count;
    add_fault(ES_FAKE_UNPLUG, 100, HOUR_MS);
    ES_EXPECT(run_until(ES_STATE_NO_MIC, 2000) < 500u);
    uint64_t began_ms = rig.now_ms;
    uint64_t stream_samples = rig.appliance.live_report.stream_samples;
    es_appliance_rig_run(&rig, HOUR_MS - 1000);
    ES_EXPECT_EQ(rig.appliance.machine.state, ES_STATE_NO_MIC);
    ES_EXPECT(rig.watchdog_count > (rig.now_ms - began_ms) / 5000u); /* looked for all the time */
    /* An hour without a microphone queues nothing. */
    ES_EXPECT(rig.appliance.live_report.stream_samples - stream_samples < 3u * 16000u);
    while (rig.card.fake.now_ns < rig.card.fake.until_ns[ES_FAKE_UNPLUG]) {
        es_appliance_rig_run(&rig, rig.setup.tick_ms);
    }
    uint64_t back_ms = run_until(ES_STATE_LISTENING, 5000);
    ES_EXPECT(back_ms <= 2000u);
    es_test_note("listening %llu ms after the return", (unsigned long long)back_ms);
    forget_text();
    es_appliance_rig_run(&rig, UNIT_MS);
    ES_EXPECT(word_count() >= 2);
    ES_EXPECT_EQ(rig.appliance.capture_report.open_count, opened + 1u);
    ES_EXPECT_EQ(rig.appliance.live_report.gap_count, gaps + 1u);
    /* Recording time has gone on as the world's did. */
    ES_EXPECT_NEAR(rig.appliance.live_report.recording_ms, rig.now_ms, 300);
}

ES_TEST("capture that never restarts after an overrun: it does, and the loss is told") {
    (void)appliance();
    uint64_t lost = rig.appliance.capture_report.lost_samples;
    add_fault(ES_FAKE_LATE, 100, 2000);
    add_fault(ES_FAKE_STOP, 3000, 0);
    forget_text();
    es_appliance_rig_run(&rig, 6000);
    ES_EXPECT(is_hearing() || rig.appliance.machine.state == ES_STATE_LAGGING);
    ES_EXPECT(rig.appliance.capture_report.lost_samples > lost + 16000u);
    ES_EXPECT_CONTAINS(rig.text, "not heard: overrun");
    ES_EXPECT_NEAR(rig.appliance.live_report.recording_ms, rig.now_ms, 300);
    es_appliance_rig_run(&rig, 6000);
    forget_text();
    es_appliance_rig_run(&rig, UNIT_MS);
    ES_EXPECT(word_count() >= 2);
}

ES_TEST("mute that breaks capture: words inside the delay come out, nothing after, and back") {
    (void)appliance();
    uint64_t stream_before;
    /* In the middle of the recording: words are inside the delay. */
    run_until(ES_STATE_HEARING, UNIT_MS);
    rig.is_muted = true;
    forget_text();
    es_appliance_rig_run(&rig, 400);
    ES_EXPECT_EQ(rig.appliance.machine.state, ES_STATE_MUTED);
    es_appliance_rig_run(&rig, 1000);
    ES_EXPECT_CONTAINS(rig.text, "# muted");
    stream_before = rig.appliance.live_report.stream_samples;
    uint64_t samples = rig.appliance.capture_report.sample_count;
    uint64_t frames = rig.appliance.capture_report.frame_count;
    uint32_t pets = rig.watchdog_count;
    forget_text();
    es_appliance_rig_run(&rig, 60000);
    ES_EXPECT_EQ(rig.appliance.capture_report.sample_count, samples); /* none reaches the ring */
    ES_EXPECT_EQ(rig.appliance.live_report.stream_samples, stream_before);
    ES_EXPECT(rig.appliance.capture_report.frame_count > frames + 48000u * 59u); /* and is read */
    ES_EXPECT_EQ(word_count(), 0);
    ES_EXPECT(rig.watchdog_count > pets + 10u);
    rig.is_muted = false;
    ES_EXPECT(run_until(ES_STATE_LISTENING, 3000) < 2000u);
    es_appliance_rig_run(&rig, UNIT_MS);
    ES_EXPECT(word_count() >= 2);
    ES_EXPECT_NEAR(rig.appliance.live_report.recording_ms, rig.now_ms, 300);
}

ES_TEST("slow boards drop audio silently: larger chunks first, then the oldest goes, and is told") {
    (void)appliance();
    uint32_t pets = rig.watchdog_count;
    atomic_store(&rig.is_engine_stalled, true);
    es_appliance_rig_run(&rig, 4000);
    ES_EXPECT_EQ(rig.appliance.machine.state, ES_STATE_LAGGING);
    atomic_store(&rig.is_engine_stalled, false);
    es_appliance_rig_run(&rig, 7000);
    ES_EXPECT_EQ(rig.appliance.live_report.drop_count, 0); /* four seconds were caught up */
    ES_EXPECT(is_hearing());
    atomic_store(&rig.is_engine_stalled, true);
    es_appliance_rig_run(&rig, 20000);
    ES_EXPECT(rig.appliance.is_stalled);
    ES_EXPECT_EQ(rig.appliance.machine.state, ES_STATE_FAULT);
    ES_EXPECT(rig.watchdog_count - pets <= 6u); /* of eleven seconds that moved, not of twenty */
    ES_EXPECT_CONTAINS(rig.text, "the engine has made no step for");
    pets = rig.watchdog_count;
    atomic_store(&rig.is_engine_stalled, false);
    forget_text();
    es_appliance_rig_run(&rig, 15000);
    ES_EXPECT_EQ(rig.appliance.live_report.drop_count, 1);
    ES_EXPECT(rig.appliance.live_report.dropped_samples > 15u * 16000u);
    ES_EXPECT_CONTAINS(rig.text, "the engine is too slow, the oldest audio was dropped");
    ES_EXPECT(rig.watchdog_count > pets);
    ES_EXPECT(is_hearing());
    ES_EXPECT_NEAR(rig.appliance.live_report.recording_ms, rig.now_ms, 300);
}

ES_TEST("a stuck serial line never delays the engine, and what waited comes when it flows again") {
    (void)appliance();
    uint64_t steps = rig.appliance.live_report.step_count;
    rig.is_uart_stuck = true;
    es_appliance_rig_run(&rig, STUCK_MS);
    ES_EXPECT(rig.appliance.live_report.step_count > steps + STUCK_MS / 84u);
    ES_EXPECT_EQ(rig.appliance.capture_report.loss_counts[6], 0); /* no backlog */
    rig.is_uart_stuck = false;
    forget_text();
    for (int i = 0; i < 50; i++) { /* the writer comes back in real time */
        es_appliance_rig_run(&rig, 20);
        (void)usleep(10000);
    }
    ES_EXPECT(word_count() > STUCK_MS / 5000u);
    ES_EXPECT_EQ(es_console_counters(&rig.appliance.console).lost_bytes, 0);
}

ES_TEST("a clock that was never set says so; then it is, and then somebody turns it") {
    (void)appliance();
    forget_text();
    rig.unix_ms = 20000ll * 86400000ll;
    rig.is_synchronised = true;
    es_appliance_rig_run(&rig, 3000);
    ES_EXPECT_CONTAINS(rig.text, "synchronised; stamps are the time of day");
    rig.unix_ms += 3600000;
    es_appliance_rig_run(&rig, 3000);
    ES_EXPECT_CONTAINS(rig.text, "was set by +3600.0 s");
}

ES_TEST("in all of this nothing was allocated; the end writes out what was said, within a second") {
    (void)appliance();
    run_until(ES_STATE_HEARING, UNIT_MS);
    struct es_allocation_counts counts = es_allocation_watch_counts();
    if (counts.product_count != 0) {
        es_test_fail(__FILE__, __LINE__, "%llu allocations after the freeze, first %zu bytes by %p",
                     (unsigned long long)counts.product_count, counts.product_bytes,
                     counts.product_caller);
    }
    uint64_t began_ns = es_clock_ns();
    es_appliance_rig_close(&rig);
    es_test_note("%.0f ms", (double)(es_clock_ns() - began_ns) / 1e6);
    ES_EXPECT_EQ(rig.stopping_count, 1);
    ES_EXPECT(rig.text_bytes > 2u && memcmp(rig.text + rig.text_bytes - 2u, "\r\n", 2) == 0);
    ES_EXPECT(!es_gpio_is_open(&rig.appliance.leds.state));
    ES_EXPECT_EQ(rig.appliance.live_report.status, ES_OK);
    ES_EXPECT(rig.appliance.live_report.has_ended);
}
