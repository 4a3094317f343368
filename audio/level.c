#include "audio/level.h"

#include "platform/assert.h"

#include <math.h>

void es_level_reset(struct es_level *level, uint32_t rate) {
    ES_ASSERT(rate >= ES_CARD_RATE_MIN);
    *level = (struct es_level){
        .rate = rate,
        .window_samples = rate * ES_LEVEL_WINDOW_MS / 1000u,
        .floor_now = INFINITY,
        .floor_before = INFINITY,
    };
}

static void follow_flat(struct es_level *level, const float *mono, size_t count) {
    for (size_t i = 0; i < count; i++) {
        level->flat_count = mono[i] == level->last_sample ? level->flat_count + 1 : 0;
        level->last_sample = mono[i];
    }
    const uint64_t flat_ms = level->flat_count * 1000u / level->rate;
    level->window.flat_ms = flat_ms < UINT32_MAX ? (uint32_t)flat_ms : UINT32_MAX;
}

static void end_window(struct es_level *level) {
    const double mean = level->sum / level->sample_count;
    const double variance = level->square_sum / level->sample_count - mean * mean;
    const float rms = (float)sqrt(fmax(variance, 0.0));
    level->window.peak = level->peak;
    level->window.rms = rms;
    level->window.offset = (float)mean;
    level->floor_now = fminf(level->floor_now, rms);
    level->window.floor_rms = fminf(level->floor_now, level->floor_before);
    level->floor_window_count++;
    if (level->floor_window_count == ES_LEVEL_FLOOR_WINDOW_COUNT) {
        level->floor_before = level->floor_now;
        level->floor_now = INFINITY;
        level->floor_window_count = 0;
    }
    level->sample_count = 0;
    level->peak = 0.0f;
    level->sum = 0.0;
    level->square_sum = 0.0;
}

bool es_level_push(struct es_level *level, const float *mono, size_t count, size_t clipped_count) {
    bool has_ended = false;
    follow_flat(level, mono, count);
    level->window.clipped_count += clipped_count;
    while (count > 0) {
        const size_t missing = level->window_samples - level->sample_count;
        const size_t taken = count < missing ? count : missing;
        for (size_t i = 0; i < taken; i++) {
            level->peak = fmaxf(level->peak, fabsf(mono[i]));
            level->sum += (double)mono[i];
            level->square_sum += (double)mono[i] * (double)mono[i];
        }
        level->sample_count += (uint32_t)taken;
        mono += taken;
        count -= taken;
        if (level->sample_count == level->window_samples) {
            end_window(level);
            has_ended = true;
        }
    }
    return has_ended;
}

double es_level_db(float amplitude) {
    return amplitude > 1e-10f ? 20.0 * log10((double)amplitude) : -200.0;
}
