#include "audio/filterbank.h"
#include "platform/bounds.h"
#include "tests/support/test.h"

#include <string.h>

#define BIN_COUNT 128u

/* The figures are those of transformers' mel_filter_bank(201, 128, 0, 8000, 16000, "slaney",
 * "slaney"), rounded to f32. */

static _Alignas(64) unsigned char memory[32768];

static struct es_filterbank *make_bank(uint32_t bin_count) {
    struct es_filterbank *bank = (void *)memory;
    ES_EXPECT(es_filterbank_bytes(bin_count) <= sizeof memory);
    memset(memory, 0xff, sizeof memory);
    es_filterbank_init(bank, bin_count);
    return bank;
}

static double weight(const struct es_filterbank *bank, uint32_t m, uint32_t spectrum_bin) {
    const struct es_filter *filter = &bank->filters[m];
    if (spectrum_bin < filter->first_bin ||
        spectrum_bin >= filter->first_bin + filter->weight_count) {
        return 0.0;
    }
    return (double)bank->weights[filter->weight_offset + spectrum_bin - filter->first_bin];
}

ES_TEST("the 128 filters have 394 non-zero weights that sum to 3.19098552") {
    const struct es_filterbank *bank = make_bank(BIN_COUNT);
    double sum = 0.0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < bank->weight_count; i++) {
        ES_EXPECT(bank->weights[i] > 0.0f);
        sum += (double)bank->weights[i];
    }
    for (uint32_t m = 0; m < BIN_COUNT; m++) {
        ES_EXPECT_EQ(bank->filters[m].weight_offset, count);
        count += bank->filters[m].weight_count;
    }
    ES_EXPECT_EQ(bank->weight_count, 394);
    ES_EXPECT_EQ(count, 394);
    ES_EXPECT_NEAR(sum, 3.19098552, 5e-9);
}

ES_TEST("single weights are those of the reference") {
    const struct es_filterbank *bank = make_bank(BIN_COUNT);
    ES_EXPECT_EQ(bank->filters[0].weight_count, 1);
    ES_EXPECT_NEAR(weight(bank, 0, 1), 0.01237399, 5e-9);
    ES_EXPECT_EQ(bank->filters[1].weight_count, 1);
    ES_EXPECT_NEAR(weight(bank, 1, 1), 0.03039256, 5e-9);
    ES_EXPECT_EQ(bank->filters[2].weight_count, 1);
    ES_EXPECT_NEAR(weight(bank, 2, 2), 0.02474797, 5e-9);
    ES_EXPECT_EQ(bank->filters[40].weight_count, 1);
    ES_EXPECT_NEAR(weight(bank, 40, 24), 0.04037637, 5e-9);
    ES_EXPECT_EQ(bank->filters[127].first_bin, 191);
    ES_EXPECT_EQ(bank->filters[127].weight_count, 9);
    ES_EXPECT_NEAR(weight(bank, 127, 195), 0.0050416, 5e-8);
}

ES_TEST("a filter weighs the spectrum bins that it covers and no others") {
    const struct es_filterbank *bank = make_bank(BIN_COUNT);
    double power[ES_SPECTRUM_BINS] = {0};
    double energies[BIN_COUNT];
    power[195] = 2.0;
    es_filterbank_apply(bank, power, energies);
    for (uint32_t m = 0; m < BIN_COUNT; m++) {
        ES_EXPECT(energies[m] == 2.0 * weight(bank, m, 195));
    }
    ES_EXPECT(energies[127] > 0.0);
    ES_EXPECT(energies[0] == 0.0);
}

ES_TEST("any number of filters up to the bound fits, empty ones included") {
    for (uint32_t bin_count = 1; bin_count <= ES_MEL_BIN_COUNT_MAX; bin_count++) {
        const struct es_filterbank *bank = make_bank(bin_count);
        ES_EXPECT(bank->weight_count > 0);
        ES_EXPECT(bank->weight_count <= ES_FILTERBANK_WEIGHTS_MAX);
    }
}
