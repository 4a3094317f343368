/* level.h - how loud a microphone is, whether it clips, and whether it is dead.
 *
 *   es_level_reset(&level, 48000);
 *   if (es_level_push(&level, mono, count, clipped_count)) { a window ended: level.window }
 *
 * Windows of 100 ms. A microphone that delivers the same number over and over (digital zero, as a
 * switched-off or broken one does) is flat: flat_ms grows until any other number comes. One
 * thread. */
#pragma once

#include "platform/bounds.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Full scale is 1.0; a constant offset is taken out of rms. */
struct es_level_window {
    float peak;             /* greatest |sample| of the last window */
    float rms;              /* of the last window */
    float offset;           /* mean of the last window */
    float floor_rms;        /* the quietest window of the last 10 to 20 s: the room's noise */
    uint64_t clipped_count; /* frames at full scale since the reset */
    uint32_t flat_ms;       /* how long the last samples have all been the same; saturates */
};

struct es_level {
    /* configuration */
    uint32_t rate;
    uint32_t window_samples;
    /* state, cleared by reset */
    struct es_level_window window;
    uint32_t sample_count; /* of the running window */
    float peak;
    double sum, square_sum;
    float last_sample;
    uint64_t flat_count;
    uint32_t floor_window_count;
    float floor_now, floor_before; /* minima of this and of the last 10 s */
};

void es_level_reset(struct es_level *level, uint32_t rate);

/* mono [count] at the reset's rate; clipped_count of its frames were at full scale in some channel.
 * True when at least one window ended in it. */
bool es_level_push(struct es_level *level, const float *mono, size_t count, size_t clipped_count);

/* Decibels below full scale, -200 at the least. */
double es_level_db(float amplitude);
