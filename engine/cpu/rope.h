/* rope.h - rotary phases that are exact at any age.
 *
 *   es_rope_init(&rope, head_dim, theta, turns);        turns [head_dim / 2], from the arena
 *   es_rope_rows(&rope, first_position, rows, cos_sin);
 *
 * The phase of pair i at position p is p * theta^(-2i / head_dim) radians. In f32 that product
 * drifts (0.2 rad after a day of audio), so each frequency is kept as a fraction of a turn in
 * 64-bit fixed point beyond the point, the product is taken modulo one turn in integers, and only
 * the remainder becomes a floating-point angle. */
#pragma once

#include <stdint.h>

struct es_rope_turn {
    uint64_t high; /* turns per position, binary fraction: bits 2^-1 .. 2^-64 */
    uint64_t low;  /* bits 2^-65 .. 2^-128 */
};

struct es_rope {
    uint32_t pair_count;        /* head_dim / 2 */
    struct es_rope_turn *turns; /* [pair_count] */
};

/* `turns` is borrowed. head_dim even. */
void es_rope_init(struct es_rope *rope, uint32_t head_dim, double theta,
                  struct es_rope_turn *turns);

/* cos_sin [row_count, pair_count, 2] f32: cosine, sine for positions first_position + r. Any uint64
 * position. */
void es_rope_rows(const struct es_rope *rope, uint64_t first_position, uint32_t row_count,
                  float *cos_sin);
