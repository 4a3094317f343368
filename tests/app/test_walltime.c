#include "app/walltime.h"

#include "tests/support/test.h"

#define DAY_MS 86400000ll

static struct es_walltime walltime;

static struct es_walltime_reading at(uint64_t boot_ms, int64_t unix_ms, bool is_synchronised) {
    return (struct es_walltime_reading){
        .boot_ms = boot_ms, .unix_ms = unix_ms, .is_synchronised = is_synchronised};
}

static enum es_walltime_change next(uint64_t boot_ms, int64_t unix_ms, bool is_synchronised) {
    struct es_walltime_reading reading = at(boot_ms, unix_ms, is_synchronised);
    return es_walltime_next(&walltime, &reading);
}

ES_TEST("a board without a battery has no time of day until it is synchronised") {
    walltime = (struct es_walltime){0};
    ES_EXPECT_EQ(next(5000, 0, false), ES_WALLTIME_SAME);
    ES_EXPECT(!walltime.is_known);
    ES_EXPECT_EQ(next(65000, 60000, false), ES_WALLTIME_SAME);
    ES_EXPECT_EQ(next(66000, 20000 * DAY_MS, true), ES_WALLTIME_SYNCHRONISED);
    ES_EXPECT(walltime.is_known);
    ES_EXPECT_EQ(walltime.base_ms, 20000 * DAY_MS - 66000);
    ES_EXPECT_EQ(next(67000, 20000 * DAY_MS + 1000, true), ES_WALLTIME_SAME);
}

ES_TEST("a clock that somebody sets is a jump, in either direction, and once") {
    walltime = (struct es_walltime){0};
    (void)next(1000, 20000 * DAY_MS, true);
    ES_EXPECT_EQ(next(2000, 20000 * DAY_MS + 1000 + 3600000, true), ES_WALLTIME_JUMPED);
    ES_EXPECT_EQ(walltime.jump_ms, 3600000);
    ES_EXPECT_EQ(next(3000, 20000 * DAY_MS + 2000 + 3600000, true), ES_WALLTIME_SAME);
    ES_EXPECT_EQ(next(4000, 20000 * DAY_MS + 3000, true), ES_WALLTIME_JUMPED);
    ES_EXPECT_EQ(walltime.jump_ms, -3600000);
}

ES_TEST("a clock that is slewed is none, and its drift is followed when it adds up") {
    walltime = (struct es_walltime){0};
    (void)next(1000, 20000 * DAY_MS, true);
    int64_t unix_ms = 20000 * DAY_MS;
    uint32_t jumps = 0;
    for (uint64_t s = 1; s <= 100000; s++) { /* 28 hours at 50 ppm: 5 s */
        unix_ms += 1000;
        jumps += next(1000 + s * 1000, unix_ms + (int64_t)(s / 20u), true) == ES_WALLTIME_JUMPED;
    }
    ES_EXPECT(jumps >= 9 && jumps <= 10);
}

ES_TEST("a time that was known stays known when the network is gone") {
    walltime = (struct es_walltime){0};
    (void)next(1000, 20000 * DAY_MS, true);
    ES_EXPECT_EQ(next(2000, 20000 * DAY_MS + 1000, false), ES_WALLTIME_SAME);
    ES_EXPECT(walltime.is_known);
}

ES_TEST("the system's clocks can be read") {
    struct es_walltime_reading reading;
    es_walltime_read(&reading, "");
    ES_EXPECT(reading.unix_ms > 0 && reading.monotonic_ms > 0);
    ES_EXPECT(reading.boot_ms >= reading.monotonic_ms);
    ES_EXPECT(reading.utc_offset_ms > -DAY_MS && reading.utc_offset_ms < DAY_MS);
}
