/* clock.h - time as this program counts it: unsigned 64-bit nanoseconds of CLOCK_MONOTONIC. */
#pragma once

#include <stdint.h>

uint64_t es_clock_ns(void);

/* Sleeps until es_clock_ns() reaches `deadline_ns`; a signal ends it early. */
void es_clock_sleep_until(uint64_t deadline_ns);
