#include "platform/clock.h"
#include "tests/support/test.h"

ES_TEST("time never goes back") {
    uint64_t last_ns = es_clock_ns();
    for (int i = 0; i < 100000; i++) {
        uint64_t now_ns = es_clock_ns();
        ES_EXPECT(now_ns >= last_ns);
        last_ns = now_ns;
    }
}

ES_TEST("a sleep does not end before its deadline") {
    for (int i = 0; i < 20; i++) {
        uint64_t deadline_ns = es_clock_ns() + 1000000;
        es_clock_sleep_until(deadline_ns);
        ES_EXPECT(es_clock_ns() >= deadline_ns);
    }
}

ES_TEST("a deadline that has passed does not wait for the next one") {
    es_clock_sleep_until(0);
    es_clock_sleep_until(es_clock_ns() - 1);
    ES_EXPECT(es_clock_ns() > 0);
}

ES_TEST("the clock that counts sleep, too, is never behind the other, and its sleeps end as late") {
    const uint64_t here_ns = es_clock_ns();
    ES_EXPECT(es_clock_boot_ns() >= here_ns);
    const uint64_t deadline_ns = es_clock_boot_ns() + 1000000;
    es_clock_boot_sleep_until(deadline_ns);
    ES_EXPECT(es_clock_boot_ns() >= deadline_ns);
}
