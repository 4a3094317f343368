#include "app/walltime.h"

#include "platform/bounds.h"

#include <stdio.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static uint64_t milliseconds(clockid_t id) {
    struct timespec now = {0};
    (void)clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static bool is_synchronised(const char *root) {
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);
    if (result >= 0) {
        return result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    }
    char path[ES_FILE_PATH_BYTES];
    int count = snprintf(path, sizeof path, "%s/run/systemd/timesync/synchronized", root);
    return count > 0 && (size_t)count < sizeof path && access(path, F_OK) == 0;
}

void es_walltime_read(struct es_walltime_reading *reading, const char *root) {
    *reading = (struct es_walltime_reading){
        .boot_ms = milliseconds(CLOCK_BOOTTIME),
        .monotonic_ms = milliseconds(CLOCK_MONOTONIC),
        .unix_ms = (int64_t)milliseconds(CLOCK_REALTIME),
        .is_synchronised = is_synchronised(root),
    };
    time_t seconds = (time_t)(reading->unix_ms / 1000);
    struct tm local;
    if (localtime_r(&seconds, &local) != NULL) {
        reading->utc_offset_ms = (int64_t)local.tm_gmtoff * 1000;
    }
}

enum es_walltime_change es_walltime_next(struct es_walltime *walltime,
                                         const struct es_walltime_reading *reading) {
    int64_t base_ms = reading->unix_ms - (int64_t)reading->boot_ms;
    if (!walltime->is_known) {
        if (!reading->is_synchronised) {
            return ES_WALLTIME_SAME;
        }
        walltime->is_known = true;
        walltime->base_ms = base_ms;
        walltime->jump_ms = 0;
        return ES_WALLTIME_SYNCHRONISED;
    }
    int64_t jump_ms = base_ms - walltime->base_ms;
    if (jump_ms > (int64_t)ES_CLOCK_JUMP_MS || jump_ms < -(int64_t)ES_CLOCK_JUMP_MS) {
        walltime->jump_ms = jump_ms;
        walltime->base_ms = base_ms;
        return ES_WALLTIME_JUMPED;
    }
    return ES_WALLTIME_SAME;
}
