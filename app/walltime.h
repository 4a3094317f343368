/* walltime.h - the time of day, as soon as it can be believed.
 *
 *   es_walltime_read(&reading);                                     the system's clocks
 *   switch (es_walltime_next(&walltime, &reading)) { case ES_WALLTIME_SYNCHRONISED: ... }
 *
 * A board without a battery starts in the past and learns the time from the network, minutes or
 * days later, or never. Until the kernel says that its clock is synchronised, stamps count from the
 * start and carry the boot's id; then, and whenever somebody sets the clock, they are put right,
 * and a line says so. Zero is the empty state. next is pure. Control thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_walltime_reading {
    uint64_t boot_ms;      /* CLOCK_BOOTTIME: sleep of the machine included */
    uint64_t monotonic_ms; /* es_clock_ns */
    int64_t unix_ms;       /* CLOCK_REALTIME */
    int64_t utc_offset_ms; /* of the local time zone, now */
    bool is_synchronised;
};

enum es_walltime_change {
    ES_WALLTIME_SAME,
    ES_WALLTIME_SYNCHRONISED, /* for the first time: `base_ms` counts from here on */
    ES_WALLTIME_JUMPED        /* somebody has set it by jump_ms */
};

struct es_walltime {
    bool is_known;
    int64_t base_ms; /* unix_ms when the machine started (boot_ms 0); valid when is_known */
    int64_t jump_ms;
};

/* Asks the kernel (adjtimex); where a sandbox forbids that, whether systemd-timesyncd has
 * synchronised. `root` before /run ("" usually). Allocates nothing once the time zone was read:
 * call it once before the freeze. */
void es_walltime_read(struct es_walltime_reading *reading, const char *root);

enum es_walltime_change es_walltime_next(struct es_walltime *walltime,
                                         const struct es_walltime_reading *reading);
