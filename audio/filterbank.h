/* filterbank.h - triangular filters on the Slaney mel scale, 0 to 8000 Hz, of unit area.
 *
 *   es_filterbank_init(bank, bin_count);        fills es_filterbank_bytes(bin_count) bytes
 *   es_filterbank_apply(bank, power, energies);
 *
 * bin_count + 2 edges stand evenly in mel; each triangle is scaled by 2 / (its width in Hz), as
 * librosa and transformers' mel_filter_bank(norm="slaney", mel_scale="slaney"). Computed in double,
 * used as f32, only the non-zero weights are stored. */
#pragma once

#include "audio/spectrum.h"

#include <stddef.h>
#include <stdint.h>

/* A spectrum bin lies under two triangles at most: one's falling edge, the next one's rising. */
#define ES_FILTERBANK_WEIGHTS_MAX (2u * ES_SPECTRUM_BINS)

struct es_filter {
    uint32_t first_bin;     /* of the spectrum */
    uint32_t weight_count;  /* in a row from first_bin; 0 for a filter between two bins */
    uint32_t weight_offset; /* into es_filterbank.weights */
};

struct es_filterbank {
    uint32_t bin_count;
    uint32_t weight_count;
    float weights[ES_FILTERBANK_WEIGHTS_MAX];
    struct es_filter filters[]; /* [bin_count] */
};

size_t es_filterbank_bytes(uint32_t bin_count);
void es_filterbank_init(struct es_filterbank *bank, uint32_t bin_count);

/* power [ES_SPECTRUM_BINS] f64 -> energies [bin_count] f64. */
void es_filterbank_apply(const struct es_filterbank *bank, const double *power, double *energies);
