#include "audio/convert.h"

#include "platform/assert.h"

#include <math.h>
#include <string.h>

/* One sample in f64: every format fits exactly. Bytes are put together one by one, so that neither
 * the address nor the byte order of the machine matters. */
static double from_s16(const uint8_t *bytes) {
    return (int16_t)((uint16_t)bytes[0] | (uint16_t)bytes[1] << 8) * (1.0 / 32768.0);
}

static double from_24_bits(const uint8_t *bytes) {
    const uint32_t word =
        (uint32_t)bytes[0] << 8 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 24;
    return (int32_t)word * (1.0 / 2147483648.0);
}

static uint32_t word_of(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static double from_s32(const uint8_t *bytes) {
    return (int32_t)word_of(bytes) * (1.0 / 2147483648.0);
}

/* What is infinite is no number either. */
static double from_f32(const uint8_t *bytes) {
    const uint32_t word = word_of(bytes);
    float value;
    memcpy(&value, &word, sizeof value);
    return isfinite(value) ? (double)value : NAN;
}

struct format {
    const char *name;
    uint32_t bytes;
    double full_scale; /* of the greatest code; the least is -1 */
};

static const struct format formats[ES_SAMPLE_FORMAT_COUNT] = {
    [ES_SAMPLE_S16] = {"s16", 2, 32767.0 / 32768.0},
    [ES_SAMPLE_S24] = {"s24", 4, 8388607.0 / 8388608.0},
    [ES_SAMPLE_S24_3] = {"s24_3", 3, 8388607.0 / 8388608.0},
    /* 24-bit converters in 32-bit words: their greatest code is full scale, too */
    [ES_SAMPLE_S32] = {"s32", 4, 8388607.0 / 8388608.0},
    [ES_SAMPLE_F32] = {"float", 4, 1.0},
};

const char *es_sample_format_name(enum es_sample_format format) {
    return formats[format].name;
}

uint32_t es_sample_format_bytes(enum es_sample_format format) {
    return formats[format].bytes;
}

/* The loop is written once and compiled for each format, so that decode is inlined. */
static inline size_t convert(const uint8_t *frames, size_t frame_count, uint32_t channel_count,
                             uint32_t first, uint32_t used_count, float *mono,
                             const struct format *format, double (*decode)(const uint8_t *bytes)) {
    const size_t frame_bytes = (size_t)format->bytes * channel_count;
    const double scale = 1.0 / used_count;
    const uint8_t *bytes = frames + (size_t)format->bytes * first;
    size_t clipped_count = 0;
    for (size_t i = 0; i < frame_count; i++, bytes += frame_bytes) {
        double sum = 0.0;
        bool is_clipped = false;
        for (uint32_t c = 0; c < used_count; c++) {
            const double value = decode(bytes + (size_t)format->bytes * c);
            is_clipped |= !(value > -1.0 && value < format->full_scale);
            sum += isnan(value) ? 0.0 : fmin(fmax(value, -1.0), 1.0);
        }
        clipped_count += is_clipped ? 1 : 0;
        mono[i] = (float)(sum * scale);
    }
    return clipped_count;
}

size_t es_convert_mono(enum es_sample_format format, const void *frames, size_t frame_count,
                       uint32_t channel_count, uint32_t channel, float *mono) {
    ES_ASSERT(channel_count > 0);
    ES_ASSERT(channel <= channel_count);
    const uint32_t first = channel == 0 ? 0 : channel - 1;
    const uint32_t used = channel == 0 ? channel_count : 1;
    const struct format *f = &formats[format];
    switch (format) {
    case ES_SAMPLE_S16:
        return convert(frames, frame_count, channel_count, first, used, mono, f, from_s16);
    case ES_SAMPLE_S24:
    case ES_SAMPLE_S24_3:
        return convert(frames, frame_count, channel_count, first, used, mono, f, from_24_bits);
    case ES_SAMPLE_S32:
        return convert(frames, frame_count, channel_count, first, used, mono, f, from_s32);
    default:
        ES_ASSERT(format == ES_SAMPLE_F32);
        return convert(frames, frame_count, channel_count, first, used, mono, f, from_f32);
    }
}
