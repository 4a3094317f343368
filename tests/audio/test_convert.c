#include "audio/convert.h"
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

static float mono[4096];

ES_TEST("every 16-bit code becomes code / 32768, exactly") {
    for (int32_t code = -32768; code < 32768; code++) {
        const int16_t word = (int16_t)code;
        const size_t clipped = es_convert_mono(ES_SAMPLE_S16, &word, 1, 1, 0, mono);
        ES_EXPECT(mono[0] == (float)code / 32768.0f);
        ES_EXPECT_EQ(clipped, code == -32768 || code == 32767 ? 1 : 0);
    }
}

ES_TEST("24 bits mean the same in three bytes, in four, and shifted up in four") {
    static const int32_t codes[] = {0, 1, -1, 8388606, -8388607, 1234567, -7654321, 255, -256};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const uint32_t word = (uint32_t)codes[i];
        const uint8_t packed[3] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16)};
        const uint32_t low = word & 0x00ffffffu; /* the top byte of S24 says nothing */
        const uint32_t odd = low | 0x5a000000u;
        const uint32_t high = word << 8;
        const float expected = (float)codes[i] / 8388608.0f;
        ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S24_3, packed, 1, 1, 0, mono), 0);
        ES_EXPECT(mono[0] == expected);
        ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S24, &low, 1, 1, 0, mono), 0);
        ES_EXPECT(mono[0] == expected);
        ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S24, &odd, 1, 1, 0, mono), 0);
        ES_EXPECT(mono[0] == expected);
        ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S32, &high, 1, 1, 0, mono), 0);
        ES_EXPECT(mono[0] == expected);
    }
}

ES_TEST("floats pass, are cut at full scale, and what is no number becomes silence; both count") {
    const float in[] = {0.25f, -0.999f, 1.5f, -7.0f, NAN, INFINITY, 0.0f};
    ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_F32, in, 7, 1, 0, mono), 4);
    const float expected[] = {0.25f, -0.999f, 1.0f, -1.0f, 0.0f, 0.0f, 0.0f};
    ES_EXPECT(memcmp(mono, expected, sizeof expected) == 0);
}

ES_TEST("channels are averaged, or one of them is taken") {
    const int16_t frames[] = {1000, 3000, -32768, 0, 0, 0};
    ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S16, frames, 2, 3, 0, mono), 1);
    ES_EXPECT(mono[0] == (float)((1000.0 + 3000.0 - 32768.0) / 32768.0 * (1.0 / 3.0)));
    ES_EXPECT(mono[1] == 0.0f);
    ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S16, frames, 2, 3, 2, mono), 0);
    ES_EXPECT(mono[0] == 3000.0f / 32768.0f);
    ES_EXPECT_EQ(es_convert_mono(ES_SAMPLE_S16, frames, 2, 3, 3, mono), 1);
    ES_EXPECT(mono[0] == -1.0f);
}

ES_TEST("frames may lie at any address") {
    uint8_t bytes[1 + 3 * 3 * 100];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37);
    }
    float straight[100];
    for (uint32_t format = 0; format < ES_SAMPLE_FORMAT_COUNT; format++) {
        uint8_t moved[4 * 100 + 1];
        memcpy(moved + 1, bytes, 400);
        (void)es_convert_mono((enum es_sample_format)format, bytes, 100, 1, 0, straight);
        (void)es_convert_mono((enum es_sample_format)format, moved + 1, 100, 1, 0, mono);
        ES_EXPECT(memcmp(straight, mono, sizeof straight) == 0);
    }
}

ES_TEST("formats have the names and sizes that ALSA gives them") {
    ES_EXPECT_TEXT(es_sample_format_name(ES_SAMPLE_S16), "s16");
    ES_EXPECT_TEXT(es_sample_format_name(ES_SAMPLE_S24_3), "s24_3");
    ES_EXPECT_TEXT(es_sample_format_name(ES_SAMPLE_F32), "float");
    ES_EXPECT_EQ(es_sample_format_bytes(ES_SAMPLE_S16), 2);
    ES_EXPECT_EQ(es_sample_format_bytes(ES_SAMPLE_S24), 4);
    ES_EXPECT_EQ(es_sample_format_bytes(ES_SAMPLE_S24_3), 3);
    ES_EXPECT_EQ(es_sample_format_bytes(ES_SAMPLE_S32), 4);
}
