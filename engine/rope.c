#include "engine/rope.h"

#include <float.h>
#include <math.h>

static const long double TWO_PI = 6.283185307179586476925286766559005768L;

/* Doubles (53 bits) would leave 1e-6 rad at position 2^33. */
_Static_assert(LDBL_MANT_DIG >= 64, "frequencies need the 64 bits of x86's or arm64's long double");

void es_rope_init(struct es_rope *rope, uint32_t head_dim, double theta, uint64_t *turns) {
    rope->pair_count = head_dim / 2;
    rope->turns = turns;
    for (uint32_t i = 0; i < rope->pair_count; i++) {
        long double exponent = -2.0L * (long double)i / (long double)head_dim;
        long double turn = powl((long double)theta, exponent) / TWO_PI;
        /* turn < 0.16, so the scaled value is below 2^62 and rounds without overflow. */
        turns[i] = (uint64_t)roundl(ldexpl(turn, 64));
    }
}

double es_rope_phase(const struct es_rope *rope, uint32_t pair_index, uint64_t position) {
    uint64_t fraction = rope->turns[pair_index] * position;
    /* Read as signed, the fraction lies in -1/2 .. 1/2 turn: where sine and cosine are best. */
    double turn = fraction >> 63 ? -(double)(0u - fraction) : (double)fraction;
    return turn * ((double)TWO_PI / 18446744073709551616.0);
}

void es_rope_rows(const struct es_rope *rope, uint64_t first_position, uint32_t row_count,
                  float *cos_sin) {
    for (uint32_t r = 0; r < row_count; r++) {
        for (uint32_t i = 0; i < rope->pair_count; i++) {
            double phase = es_rope_phase(rope, i, first_position + r);
            *cos_sin++ = (float)cos(phase);
            *cos_sin++ = (float)sin(phase);
        }
    }
}
