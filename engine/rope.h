/* rope.h - rotary phases that are exact at any age.
 *
 *   es_rope_init(&rope, head_dim, theta, turns);        turns [head_dim / 2], from the arena
 *   es_rope_rows(&rope, first_position, rows, cos_sin);
 *
 * The phase of pair i at position p is p * theta^(-2i / head_dim) radians. In f32 that product
 * drifts (0.2 rad after a day of audio), so each frequency is kept as the binary fraction of a turn
 * per position in 64-bit fixed point: the product with the position wraps modulo 2^64, which is
 * modulo one turn, and only that remainder becomes a floating-point angle. The frequency is off by
 * at most about 2^-64 turns, so the phase by at most p * 2^-64 turns: 3e-9 rad at position 2^33
 * (five years of 20 ms frames), 4e-7 rad at 2^40 (seven centuries). */
#pragma once

#include <stdint.h>

struct es_rope {
    uint32_t pair_count; /* head_dim / 2 */
    uint64_t *turns;     /* [pair_count] turns per position: bits 2^-1 .. 2^-64 */
};

/* `turns` is borrowed and filled. head_dim even, theta > 1. Boot only: slow on machines whose long
 * double is done in software. */
void es_rope_init(struct es_rope *rope, uint32_t head_dim, double theta, uint64_t *turns);

/* The phase of one pair at one position, in radians, -pi .. pi. Any position. */
double es_rope_phase(const struct es_rope *rope, uint32_t pair_index, uint64_t position);

/* cos_sin [row_count, pair_count, 2] f32: cosine, sine for positions first_position + r. */
void es_rope_rows(const struct es_rope *rope, uint64_t first_position, uint32_t row_count,
                  float *cos_sin);
