#include "audio/spectrum.h"

#include <math.h>
#include <stddef.h>

/* One self-sorting pass of radix r over `group` interleaved transforms of r * block points reads
 * in[q + group * (p + block * j)] and writes out[q + group * (r * p + j)], turned by w^(p * j) with
 * w = exp(-2 pi i / (r * block)); the next pass has group * r and block / r. */
struct pass {
    const struct es_spectrum_tables *tables;
    const double *restrict in_re, *restrict in_im; /* [200] */
    double *restrict out_re, *restrict out_im;     /* [200] */
    size_t group, block;
};

void es_spectrum_init(struct es_spectrum_tables *tables) {
    const double step = 2.0 * acos(-1.0) / ES_SPECTRUM_SAMPLES;
    for (size_t k = 0; k < ES_SPECTRUM_SAMPLES; k++) {
        tables->turn_re[k] = cos(step * (double)k);
        tables->turn_im[k] = -sin(step * (double)k);
        tables->window[k] = 0.5 - 0.5 * cos(step * (double)k);
    }
}

static void pass_4(struct pass s) {
    const size_t stride = s.group * s.block;
    for (size_t p = 0; p < s.block; p++) {
        const size_t turn = ES_SPECTRUM_SAMPLES / (4 * s.block) * p;
        const double w1_re = s.tables->turn_re[turn], w1_im = s.tables->turn_im[turn];
        const double w2_re = s.tables->turn_re[2 * turn], w2_im = s.tables->turn_im[2 * turn];
        const double w3_re = s.tables->turn_re[3 * turn], w3_im = s.tables->turn_im[3 * turn];
        for (size_t q = 0; q < s.group; q++) {
            const size_t i = q + s.group * p;
            const size_t o = q + s.group * 4 * p;
            const double sum02_re = s.in_re[i] + s.in_re[i + 2 * stride];
            const double sum02_im = s.in_im[i] + s.in_im[i + 2 * stride];
            const double dif02_re = s.in_re[i] - s.in_re[i + 2 * stride];
            const double dif02_im = s.in_im[i] - s.in_im[i + 2 * stride];
            const double sum13_re = s.in_re[i + stride] + s.in_re[i + 3 * stride];
            const double sum13_im = s.in_im[i + stride] + s.in_im[i + 3 * stride];
            const double dif13_re = s.in_re[i + stride] - s.in_re[i + 3 * stride];
            const double dif13_im = s.in_im[i + stride] - s.in_im[i + 3 * stride];
            const double y1_re = dif02_re + dif13_im, y1_im = dif02_im - dif13_re;
            const double y2_re = sum02_re - sum13_re, y2_im = sum02_im - sum13_im;
            const double y3_re = dif02_re - dif13_im, y3_im = dif02_im + dif13_re;
            s.out_re[o] = sum02_re + sum13_re;
            s.out_im[o] = sum02_im + sum13_im;
            s.out_re[o + s.group] = y1_re * w1_re - y1_im * w1_im;
            s.out_im[o + s.group] = y1_re * w1_im + y1_im * w1_re;
            s.out_re[o + 2 * s.group] = y2_re * w2_re - y2_im * w2_im;
            s.out_im[o + 2 * s.group] = y2_re * w2_im + y2_im * w2_re;
            s.out_re[o + 3 * s.group] = y3_re * w3_re - y3_im * w3_im;
            s.out_im[o + 3 * s.group] = y3_re * w3_im + y3_im * w3_re;
        }
    }
}

static void pass_2(struct pass s) {
    const size_t stride = s.group * s.block;
    for (size_t p = 0; p < s.block; p++) {
        const size_t turn = ES_SPECTRUM_SAMPLES / (2 * s.block) * p;
        const double w_re = s.tables->turn_re[turn], w_im = s.tables->turn_im[turn];
        for (size_t q = 0; q < s.group; q++) {
            const size_t i = q + s.group * p;
            const size_t o = q + s.group * 2 * p;
            const double y_re = s.in_re[i] - s.in_re[i + stride];
            const double y_im = s.in_im[i] - s.in_im[i + stride];
            s.out_re[o] = s.in_re[i] + s.in_re[i + stride];
            s.out_im[o] = s.in_im[i] + s.in_im[i + stride];
            s.out_re[o + s.group] = y_re * w_re - y_im * w_im;
            s.out_im[o + s.group] = y_re * w_im + y_im * w_re;
        }
    }
}

static void pass_5(struct pass s) {
    const size_t stride = s.group * s.block;
    const double c1 = s.tables->turn_re[ES_SPECTRUM_SAMPLES / 5];
    const double c2 = s.tables->turn_re[2 * ES_SPECTRUM_SAMPLES / 5];
    const double s1 = -s.tables->turn_im[ES_SPECTRUM_SAMPLES / 5];
    const double s2 = -s.tables->turn_im[2 * ES_SPECTRUM_SAMPLES / 5];
    for (size_t p = 0; p < s.block; p++) {
        const size_t turn = ES_SPECTRUM_SAMPLES / (5 * s.block) * p;
        const double w1_re = s.tables->turn_re[turn], w1_im = s.tables->turn_im[turn];
        const double w2_re = s.tables->turn_re[2 * turn], w2_im = s.tables->turn_im[2 * turn];
        const double w3_re = s.tables->turn_re[3 * turn], w3_im = s.tables->turn_im[3 * turn];
        const double w4_re = s.tables->turn_re[4 * turn], w4_im = s.tables->turn_im[4 * turn];
        for (size_t q = 0; q < s.group; q++) {
            const size_t i = q + s.group * p;
            const size_t o = q + s.group * 5 * p;
            const double x0_re = s.in_re[i], x0_im = s.in_im[i];
            const double sum14_re = s.in_re[i + stride] + s.in_re[i + 4 * stride];
            const double sum14_im = s.in_im[i + stride] + s.in_im[i + 4 * stride];
            const double dif14_re = s.in_re[i + stride] - s.in_re[i + 4 * stride];
            const double dif14_im = s.in_im[i + stride] - s.in_im[i + 4 * stride];
            const double sum23_re = s.in_re[i + 2 * stride] + s.in_re[i + 3 * stride];
            const double sum23_im = s.in_im[i + 2 * stride] + s.in_im[i + 3 * stride];
            const double dif23_re = s.in_re[i + 2 * stride] - s.in_re[i + 3 * stride];
            const double dif23_im = s.in_im[i + 2 * stride] - s.in_im[i + 3 * stride];
            /* y1, y4 = a -+ i b; y2, y3 = c -+ i d */
            const double a_re = x0_re + c1 * sum14_re + c2 * sum23_re;
            const double a_im = x0_im + c1 * sum14_im + c2 * sum23_im;
            const double b_re = s1 * dif14_re + s2 * dif23_re;
            const double b_im = s1 * dif14_im + s2 * dif23_im;
            const double c_re = x0_re + c2 * sum14_re + c1 * sum23_re;
            const double c_im = x0_im + c2 * sum14_im + c1 * sum23_im;
            const double d_re = s2 * dif14_re - s1 * dif23_re;
            const double d_im = s2 * dif14_im - s1 * dif23_im;
            const double y1_re = a_re + b_im, y1_im = a_im - b_re;
            const double y2_re = c_re + d_im, y2_im = c_im - d_re;
            const double y3_re = c_re - d_im, y3_im = c_im + d_re;
            const double y4_re = a_re - b_im, y4_im = a_im + b_re;
            s.out_re[o] = x0_re + sum14_re + sum23_re;
            s.out_im[o] = x0_im + sum14_im + sum23_im;
            s.out_re[o + s.group] = y1_re * w1_re - y1_im * w1_im;
            s.out_im[o + s.group] = y1_re * w1_im + y1_im * w1_re;
            s.out_re[o + 2 * s.group] = y2_re * w2_re - y2_im * w2_im;
            s.out_im[o + 2 * s.group] = y2_re * w2_im + y2_im * w2_re;
            s.out_re[o + 3 * s.group] = y3_re * w3_re - y3_im * w3_im;
            s.out_im[o + 3 * s.group] = y3_re * w3_im + y3_im * w3_re;
            s.out_re[o + 4 * s.group] = y4_re * w4_re - y4_im * w4_im;
            s.out_im[o + 4 * s.group] = y4_re * w4_im + y4_im * w4_re;
        }
    }
}

/* The transform of 200 complex points z gives both halves of the real one:
 * X[k] = (Z[k] + conj Z[200-k]) / 2 - i w^k (Z[k] - conj Z[200-k]) / 2, and X[200-k] is the
 * conjugate of the same with the sign of w^k turned. */
static void split(const struct es_spectrum_tables *tables, const double *re, const double *im,
                  double *power) {
    const double nyquist = re[0] - im[0];
    power[0] = (re[0] + im[0]) * (re[0] + im[0]);
    power[ES_SPECTRUM_POINTS] = nyquist * nyquist;
    for (size_t k = 1; k <= ES_SPECTRUM_POINTS / 2; k++) {
        const size_t mirror = ES_SPECTRUM_POINTS - k;
        const double even_re = 0.5 * (re[k] + re[mirror]), even_im = 0.5 * (im[k] - im[mirror]);
        const double odd_re = 0.5 * (im[k] + im[mirror]), odd_im = 0.5 * (re[mirror] - re[k]);
        const double w_re = tables->turn_re[k], w_im = tables->turn_im[k];
        const double turned_re = odd_re * w_re - odd_im * w_im;
        const double turned_im = odd_re * w_im + odd_im * w_re;
        const double low_re = even_re + turned_re, low_im = even_im + turned_im;
        const double high_re = even_re - turned_re, high_im = even_im - turned_im;
        power[k] = low_re * low_re + low_im * low_im;
        power[mirror] = high_re * high_re + high_im * high_im;
    }
}

void es_spectrum_power(const struct es_spectrum_tables *tables, struct es_spectrum_scratch *scratch,
                       const float *samples, double *power) {
    double *const a_re = scratch->re[0], *const a_im = scratch->im[0];
    double *const b_re = scratch->re[1], *const b_im = scratch->im[1];
    for (size_t n = 0; n < ES_SPECTRUM_POINTS; n++) {
        a_re[n] = (double)samples[2 * n] * tables->window[2 * n];
        a_im[n] = (double)samples[2 * n + 1] * tables->window[2 * n + 1];
    }
    pass_4((struct pass){tables, a_re, a_im, b_re, b_im, 1, 50});
    pass_2((struct pass){tables, b_re, b_im, a_re, a_im, 4, 25});
    pass_5((struct pass){tables, a_re, a_im, b_re, b_im, 8, 5});
    pass_5((struct pass){tables, b_re, b_im, a_re, a_im, 40, 1});
    split(tables, a_re, a_im, power);
}
