/* clock.h - time as this program counts it: unsigned 64-bit nanoseconds of CLOCK_MONOTONIC. */
#pragma once

#include <stdint.h>

uint64_t es_clock_ns(void);

/* Sleeps until es_clock_ns() reaches `deadline_ns`; a signal ends it early. */
void es_clock_sleep_until(uint64_t deadline_ns);

/* The same of CLOCK_BOOTTIME, which goes on while the machine sleeps: for what the world did
 * meanwhile. */
uint64_t es_clock_boot_ns(void);
void es_clock_boot_sleep_until(uint64_t deadline_ns);
