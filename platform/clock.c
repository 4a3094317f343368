#include "platform/clock.h"

#include "platform/assert.h"

#include <time.h>

#define NS_PER_S 1000000000u

static uint64_t read_ns(clockid_t clock) {
    struct timespec now;
    int result = clock_gettime(clock, &now);
    ES_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void sleep_until(clockid_t clock, uint64_t deadline_ns) {
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    (void)clock_nanosleep(clock, TIMER_ABSTIME, &deadline, NULL);
}

uint64_t es_clock_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

void es_clock_sleep_until(uint64_t deadline_ns) {
    sleep_until(CLOCK_MONOTONIC, deadline_ns);
}

uint64_t es_clock_boot_ns(void) {
    return read_ns(CLOCK_BOOTTIME);
}

void es_clock_boot_sleep_until(uint64_t deadline_ns) {
    sleep_until(CLOCK_BOOTTIME, deadline_ns);
}
