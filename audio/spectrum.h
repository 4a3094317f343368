/* spectrum.h - power spectrum of one 25 ms window: 400 real samples to 201 bins, 40 Hz apart.
 *
 *   es_spectrum_init(&tables);                              once
 *   es_spectrum_power(&tables, &scratch, samples, power);   per frame
 *
 * A real DFT of 400 is a complex one of 200 (even samples real, odd ones imaginary) and a split;
 * 200 = 4 * 2 * 5 * 5 in self-sorting passes (Stockham). In double: the quietest bins of a loud
 * frame lie below the rounding of single precision, and the logarithm after it shows that. */
#pragma once

#define ES_SPECTRUM_SAMPLES 400u
#define ES_SPECTRUM_BINS (ES_SPECTRUM_SAMPLES / 2u + 1u)
#define ES_SPECTRUM_POINTS (ES_SPECTRUM_SAMPLES / 2u)

struct es_spectrum_tables {
    double window[ES_SPECTRUM_SAMPLES];  /* periodic Hann: 0.5 - 0.5 cos(2 pi k / 400) */
    double turn_re[ES_SPECTRUM_SAMPLES]; /* cos(2 pi k / 400) */
    double turn_im[ES_SPECTRUM_SAMPLES]; /* -sin(2 pi k / 400) */
};

struct es_spectrum_scratch {
    double re[2][ES_SPECTRUM_POINTS];
    double im[2][ES_SPECTRUM_POINTS];
};

void es_spectrum_init(struct es_spectrum_tables *tables);

/* samples [400] f32, power [201] f64 = |DFT(window * samples)|^2. `scratch` holds nothing between
 * calls. Any thread that owns the scratch. */
void es_spectrum_power(const struct es_spectrum_tables *tables, struct es_spectrum_scratch *scratch,
                       const float *samples, double *power);
