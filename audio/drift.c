#include "audio/drift.h"

#include "platform/bounds.h"

#define NS_PER_MS 1000000ull

static void begin_window(struct es_drift *drift, uint64_t now_ns) {
    drift->window_start_ns = now_ns;
    drift->window_lag_ns = INT64_MAX;
}

void es_drift_reset(struct es_drift *drift, uint64_t start_ns) {
    drift->start_ns = start_ns;
    drift->last_lag_ns = 0;
    begin_window(drift, start_ns);
}

uint64_t es_drift_follow(struct es_drift *drift, uint64_t now_ns, uint64_t captured_ns) {
    const int64_t lag_ns = (int64_t)(now_ns - drift->start_ns) - (int64_t)captured_ns;
    if (lag_ns < drift->window_lag_ns) {
        drift->window_lag_ns = lag_ns;
    }
    if (now_ns - drift->window_start_ns < ES_DRIFT_WINDOW_MS * NS_PER_MS) {
        return 0;
    }
    uint64_t lost_ns = 0;
    const int64_t grown_ns = drift->window_lag_ns - drift->last_lag_ns;
    if (grown_ns > (int64_t)(ES_DRIFT_LOSS_MS * NS_PER_MS)) {
        lost_ns = (uint64_t)grown_ns;
        drift->start_ns += lost_ns;
        drift->window_lag_ns -= grown_ns;
    }
    drift->last_lag_ns = drift->window_lag_ns;
    begin_window(drift, now_ns);
    return lost_ns;
}

uint64_t es_drift_time(const struct es_drift *drift, uint64_t captured_ns) {
    return drift->start_ns + captured_ns + (uint64_t)drift->last_lag_ns;
}
