#include "audio/filterbank.h"

#include "platform/assert.h"
#include "platform/bounds.h"

#include <math.h>

/* The Slaney scale: linear up to 1000 Hz = mel 15, then 27 mels for each factor of 6.4. */
static double mel_from_hz(double hz) {
    return hz < 1000.0 ? hz * 3.0 / 200.0 : 15.0 + log(hz / 1000.0) * (27.0 / log(6.4));
}

static double hz_from_mel(double mel) {
    return mel < 15.0 ? mel * 200.0 / 3.0 : 1000.0 * exp((mel - 15.0) * (log(6.4) / 27.0));
}

static double edge_hz(uint32_t edge_index, uint32_t bin_count) {
    const double mel_max = mel_from_hz(ES_SAMPLE_RATE / 2.0);
    return hz_from_mel(mel_max * edge_index / (bin_count + 1.0));
}

size_t es_filterbank_bytes(uint32_t bin_count) {
    return sizeof(struct es_filterbank) + bin_count * sizeof(struct es_filter);
}

void es_filterbank_init(struct es_filterbank *bank, uint32_t bin_count) {
    const double bin_hz = (double)ES_SAMPLE_RATE / ES_SPECTRUM_SAMPLES;
    bank->bin_count = bin_count;
    bank->weight_count = 0;
    for (uint32_t m = 0; m < bin_count; m++) {
        const double low = edge_hz(m, bin_count);
        const double middle = edge_hz(m + 1, bin_count);
        const double high = edge_hz(m + 2, bin_count);
        struct es_filter *filter = &bank->filters[m];
        *filter = (struct es_filter){.weight_offset = bank->weight_count};
        for (uint32_t bin = 0; bin < ES_SPECTRUM_BINS; bin++) {
            const double rise = (bin * bin_hz - low) / (middle - low);
            const double fall = (high - bin * bin_hz) / (high - middle);
            const double height = fmin(rise, fall);
            if (height <= 0.0) {
                continue;
            }
            if (filter->weight_count == 0) {
                filter->first_bin = bin;
            }
            ES_ASSERT(bank->weight_count < ES_FILTERBANK_WEIGHTS_MAX);
            bank->weights[bank->weight_count++] = (float)(height * 2.0 / (high - low));
            filter->weight_count++;
        }
    }
}

void es_filterbank_apply(const struct es_filterbank *bank, const double *power, double *energies) {
    for (uint32_t m = 0; m < bank->bin_count; m++) {
        const struct es_filter *filter = &bank->filters[m];
        const float *weights = bank->weights + filter->weight_offset;
        double sum = 0.0;
        for (uint32_t i = 0; i < filter->weight_count; i++) {
            sum += (double)weights[i] * power[filter->first_bin + i];
        }
        energies[m] = sum;
    }
}
