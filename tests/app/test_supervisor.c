#include "app/supervisor.h"

#include "tests/support/test.h"

#include <string.h>

#define WATCHDOG_US 10000000u
#define TICK_MS 20u

static struct es_supervisor supervisor;
static struct es_vitals vitals;
static struct es_verdict verdict;
static uint64_t now_ms;
static uint32_t pet_count, news_count;
static char last_reason[sizeof verdict.reason];

/* What grows in each tick of the next run. */
struct motion {
    bool capture, frames, attempts, engine, steps;
};
static const struct motion all = {true, true, false, true, true};

static void start(enum es_capture_state state) {
    now_ms = 1000;
    memset(&vitals, 0, sizeof vitals);
    vitals.capture_state = state;
    es_supervisor_start(&supervisor, WATCHDOG_US, now_ms);
    pet_count = news_count = 0;
    last_reason[0] = '\0';
}

static void run(uint32_t ms, struct motion motion) {
    for (uint32_t done = 0; done < ms; done += TICK_MS) {
        now_ms += TICK_MS;
        vitals.capture_turns += motion.capture;
        vitals.frame_count += motion.frames ? 960u : 0u;
        vitals.attempt_count += motion.attempts && done % 1000u == 0;
        vitals.engine_turns += motion.engine;
        vitals.step_count += motion.steps && done % 80u == 0;
        es_supervisor_next(&supervisor, &vitals, now_ms, &verdict);
        pet_count += verdict.should_pet;
        if (verdict.is_news) {
            news_count++;
            strcpy(last_reason, verdict.reason);
        }
    }
}

ES_TEST("while samples come and steps are made the watchdog is told three times a period") {
    start(ES_CAPTURE_LISTENING);
    run(60000, all);
    ES_EXPECT(pet_count >= 17 && pet_count <= 18);
    ES_EXPECT_EQ(news_count, 0);
}

ES_TEST("without a watchdog nobody is told, and stalls are still found") {
    start(ES_CAPTURE_LISTENING);
    es_supervisor_start(&supervisor, 0, now_ms);
    run(20000, all);
    ES_EXPECT_EQ(pet_count, 0);
    run(20000, (struct motion){.capture = true, .frames = true});
    ES_EXPECT(verdict.has_stalled);
}

ES_TEST("a stalled engine thread: no watchdog, and the reason says so") {
    start(ES_CAPTURE_LISTENING);
    run(20000, all);
    uint32_t before = pet_count;
    vitals.waiting_samples = 48000;
    run(60000, (struct motion){.capture = true, .frames = true});
    ES_EXPECT(pet_count <= before + 1u); /* one may have been due for what moved before */
    ES_EXPECT(verdict.has_stalled);
    ES_EXPECT_EQ(news_count, 1);
    ES_EXPECT_CONTAINS(last_reason, "the engine has made no step for 5.0 s while 3000 ms of audio");
}

ES_TEST("an engine whose loop turns without a step while samples come is stalled all the same") {
    start(ES_CAPTURE_LISTENING);
    run(20000, all);
    uint32_t before = pet_count;
    run(60000, (struct motion){.capture = true, .frames = true, .engine = true});
    ES_EXPECT(pet_count <= before + 1u);
    ES_EXPECT(verdict.has_stalled);
    ES_EXPECT_CONTAINS(last_reason, "the engine has made no step");
}

ES_TEST("deaf after hours while the status looks healthy: frames that stop are no progress") {
    start(ES_CAPTURE_LISTENING);
    run(20000, all);
    uint32_t before = pet_count;
    run(60000, (struct motion){.capture = true, .engine = true});
    ES_EXPECT(pet_count <= before + 1u);
    ES_EXPECT(verdict.has_stalled);
    ES_EXPECT_CONTAINS(last_reason, "no frame from the microphone");
    ES_EXPECT_CONTAINS(last_reason, "\"listening\"");
}

ES_TEST("a capture thread that stands still is named") {
    start(ES_CAPTURE_LISTENING);
    run(20000, all);
    run(60000, (struct motion){.engine = true});
    ES_EXPECT(verdict.has_stalled);
    ES_EXPECT_CONTAINS(last_reason, "the capture thread has stood still");
}

ES_TEST("muted is a known state as long as the card is read") {
    start(ES_CAPTURE_MUTED);
    run(60000, (struct motion){.capture = true, .frames = true, .engine = true});
    ES_EXPECT(pet_count >= 17);
    ES_EXPECT_EQ(news_count, 0);
    run(60000, (struct motion){.capture = true, .engine = true}); /* muted, and nothing is read */
    ES_EXPECT(verdict.has_stalled);
}

ES_TEST("no microphone is a known state as long as it is looked for") {
    start(ES_CAPTURE_NO_MIC);
    run(60000, (struct motion){.capture = true, .attempts = true, .engine = true});
    ES_EXPECT(pet_count >= 14);
    ES_EXPECT_EQ(news_count, 0);
    run(60000, (struct motion){.capture = true, .engine = true});
    ES_EXPECT(verdict.has_stalled);
    ES_EXPECT_CONTAINS(last_reason, "no attempt to find it");
}

ES_TEST("what moves again is told again, with a line") {
    start(ES_CAPTURE_LISTENING);
    run(20000, (struct motion){.capture = true, .frames = true});
    ES_EXPECT(verdict.has_stalled);
    uint32_t before = pet_count;
    run(20000, all);
    ES_EXPECT(!verdict.has_stalled);
    ES_EXPECT(pet_count > before + 4u);
    ES_EXPECT_EQ(news_count, 2);
    ES_EXPECT_CONTAINS(last_reason, "every stage moves again");
}

ES_TEST("no stage can be forgotten: with any one of them still, the watchdog is told nothing") {
    for (int still = 0; still < 4; still++) {
        start(ES_CAPTURE_LISTENING);
        run(20000, all);
        uint32_t before = pet_count;
        struct motion motion = {.capture = still != 0,
                                .frames = still != 1,
                                .engine = still != 2,
                                .steps = still != 2 && still != 3};
        run(3900, motion); /* not yet a stall */
        ES_EXPECT(!verdict.has_stalled);
        ES_EXPECT(pet_count <= before + 1u);
        run(40000, motion);
        ES_EXPECT(verdict.has_stalled);
        ES_EXPECT(pet_count <= before + 1u);
    }
}

ES_TEST("an engine that has ended is no progress") {
    start(ES_CAPTURE_LISTENING);
    vitals.has_engine_ended = true;
    run(20000, all);
    ES_EXPECT_EQ(pet_count, 0);
}
