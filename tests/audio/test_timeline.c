#include "audio/timeline.h"
#include "tests/support/test.h"

static struct es_timeline timeline;

ES_TEST("without gaps time is the stream") {
    es_timeline_reset(&timeline);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 0), 0);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 1ull << 50), 1ull << 50);
    ES_EXPECT(es_timeline_is_exact(&timeline, 0));
}

ES_TEST("a short gap is fed as it is, and moves nothing") {
    es_timeline_reset(&timeline);
    ES_EXPECT_EQ(es_timeline_silence(999), 999);
    es_timeline_gap(&timeline, 5000, 999, 999);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 5998), 5998);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 6000), 6000);
    ES_EXPECT_EQ(timeline.segment_count, 1);
}

ES_TEST("an hour without a microphone feeds a second and moves the map by the rest") {
    es_timeline_reset(&timeline);
    const uint64_t hour = 3600ull * 16000u;
    ES_EXPECT_EQ(es_timeline_silence(hour), 16000);
    es_timeline_gap(&timeline, 48000, 16000, hour);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 47999), 47999);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 48000 + 15999), 63999); /* the silence */
    ES_EXPECT_EQ(es_timeline_time(&timeline, 48000 + 16000), 48000 + hour);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 48000 + 16001), 48001 + hour);
}

ES_TEST("a gap of unknown length is opened with silence and closed with its length") {
    es_timeline_reset(&timeline);
    es_timeline_gap(&timeline, 1000, 30000, 0); /* the flush of the last words */
    ES_EXPECT_EQ(es_timeline_time(&timeline, 999), 999);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 20000), 1000);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 31000), 1000);
    es_timeline_gap(&timeline, 31000, 0, 500000);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 31000), 501000);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 30999), 30999);
    ES_EXPECT_EQ(timeline.segment_count, 2);
}

ES_TEST("more silence than was lost stops time, and time never runs back") {
    es_timeline_reset(&timeline);
    es_timeline_gap(&timeline, 1000, 16000, 100);
    uint64_t last = 0;
    for (uint64_t s = 0; s < 20000; s++) {
        const uint64_t time = es_timeline_time(&timeline, s);
        ES_EXPECT(time >= last);
        last = time;
    }
    ES_EXPECT_EQ(es_timeline_time(&timeline, 1050), 1050);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 16000), 1100);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 17000), 1100);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 17005), 1105);
}

ES_TEST("a recording that begins without a microphone begins late") {
    es_timeline_reset(&timeline);
    es_timeline_gap(&timeline, 0, 0, 160000);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 0), 160000);
    ES_EXPECT_EQ(es_timeline_time(&timeline, 16), 160016);
}

/* A naive map beside it: one entry per stream sample. */
ES_TEST("random gaps map as a table of every sample does") {
    enum { SAMPLES = 60000 };
    static uint64_t expected[SAMPLES + 200000];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        es_timeline_reset(&timeline);
        uint64_t random = seed * 0x9e3779b97f4a7c15u, stream = 0, time = 0;
        while (stream < SAMPLES) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const uint64_t run = random >> 33 & 1023;
            const uint64_t lost =
                (random >> 20 & 7) == 0 ? random >> 44 & 0xffff : random >> 44 & 63;
            for (uint64_t i = 0; i < run; i++) {
                expected[stream++] = time++;
            }
            const uint64_t fed = es_timeline_silence(lost);
            es_timeline_gap(&timeline, stream, fed, lost);
            for (uint64_t i = 0; i < fed; i++) {
                expected[stream++] = time + i;
            }
            time += lost;
        }
        for (uint64_t s = 0; s < SAMPLES; s++) {
            if (es_timeline_is_exact(&timeline, s)) {
                ES_EXPECT_EQ(es_timeline_time(&timeline, s), expected[s]);
            }
        }
    }
}

ES_TEST("the oldest gaps are forgotten, and the newest stay exact") {
    es_timeline_reset(&timeline);
    const uint32_t gap_count = 3 * ES_TIMELINE_SEGMENT_COUNT_MAX;
    for (uint64_t g = 1; g <= gap_count; g++) {
        es_timeline_gap(&timeline, g * 1000, 0, 50);
    }
    ES_EXPECT(!es_timeline_is_exact(&timeline, 0));
    uint64_t last = 0;
    for (uint64_t g = 0; g <= gap_count; g++) {
        const uint64_t time = es_timeline_time(&timeline, g * 1000 + 7);
        ES_EXPECT(time >= last);
        last = time;
        if (es_timeline_is_exact(&timeline, g * 1000 + 7)) {
            ES_EXPECT_EQ(time, g * 1050 + 7);
        }
    }
    ES_EXPECT(
        es_timeline_is_exact(&timeline, (gap_count - ES_TIMELINE_SEGMENT_COUNT_MAX + 2) * 1000ull));
}
