#include "audio/drift.h"
#include "platform/bounds.h"
#include "tests/support/test.h"

#define MS 1000000ull
#define S (1000u * MS)

static struct es_drift drift;

/* Follows a card that runs `ppm` too slow, read every 10 ms, for `seconds` from `now_ns` on; every
 * `late_every`th look comes 80 ms late. Returns what was found missing. */
static uint64_t follow(uint64_t *now_ns, uint64_t *captured_ns, uint64_t seconds, uint64_t ppm,
                       uint32_t late_every) {
    uint64_t lost_ns = 0;
    for (uint64_t i = 1; i <= seconds * 100; i++) {
        *now_ns += 10 * MS;
        *captured_ns += 10 * MS - 10 * MS * ppm / 1000000u;
        const uint64_t late_ns = late_every > 0 && i % late_every == 0 ? 80 * MS : 0;
        lost_ns += es_drift_follow(&drift, *now_ns + late_ns, *captured_ns);
    }
    return lost_ns;
}

ES_TEST("a card whose clock is off by a thousandth loses nothing in a day") {
    uint64_t now_ns = 5 * S, captured_ns = 0;
    es_drift_reset(&drift, now_ns);
    ES_EXPECT_EQ(follow(&now_ns, &captured_ns, 86400, 1000, 0), 0);
}

ES_TEST("a reader that is often interrupted loses nothing") {
    uint64_t now_ns = 5 * S, captured_ns = 0;
    es_drift_reset(&drift, now_ns);
    ES_EXPECT_EQ(follow(&now_ns, &captured_ns, 600, 100, 3), 0);
}

ES_TEST("packets that vanish without a word are found within two seconds, to the millisecond") {
    uint64_t now_ns = 5 * S, captured_ns = 0;
    es_drift_reset(&drift, now_ns);
    for (uint64_t i = 0; i < 100; i++) {
        ES_EXPECT_EQ(follow(&now_ns, &captured_ns, 3, 100, 7), 0);
        const uint64_t gap_ns = (30 + i * 5) * MS;
        now_ns += gap_ns;
        ES_EXPECT_NEAR((double)follow(&now_ns, &captured_ns, 3, 100, 7) / 1e6, (double)gap_ns / 1e6,
                       1.0);
    }
}
