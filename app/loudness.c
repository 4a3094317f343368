#include "app/loudness.h"

#include "platform/assert.h"

#define FRAME_MS 10u
#define PAD_FRAMES (ES_LEFT_PAD_POSITIONS * ES_POSITION_MS / FRAME_MS)
#define FLOOR_FRAMES 400u /* 4 s: a sentence's pauses are in it, the last room is not */
#define PEAK_FRAMES 60u   /* the word itself, or its louder end */
#define BRIDGE_FRAMES 13u /* the closure of a stop consonant */
#define FLOOR_PERCENT 10u
#define ONSET_SHARE 0.25f   /* of the way from floor to peak: a fading nasal is still the word */
#define STANDS_OUT_MIN 0.1f /* 4 dB in the mel scale's (log10 + 4) / 4 */
#define LEVEL_MIN (-1.0f)   /* log-mel lies in -0.625 .. 2 */
#define LEVEL_MAX 2.0f
#define LEVEL_COUNT 300u

_Static_assert((uint64_t)ES_LOUDNESS_FRAME_COUNT *FRAME_MS >=
                   (uint64_t)(ES_ENCODE_POSITIONS_MAX + ES_DELAY_POSITIONS_MAX + ES_WORD_PADS_MAX +
                              4u) *
                           ES_POSITION_MS +
                       FLOOR_FRAMES * FRAME_MS,
               "when a word comes out, its floor is still in the ring");
_Static_assert(ES_WORD_MS_MAX <= FLOOR_FRAMES * FRAME_MS, "the search stays in the floor's frames");

void es_loudness_reset(struct es_loudness *loudness) {
    loudness->frame_count = 0;
}

void es_loudness_push(struct es_loudness *loudness, const float *frames, size_t frame_count,
                      uint32_t bin_count) {
    for (size_t t = 0; t < frame_count; t++) {
        float sum = 0;
        for (uint32_t bin = 0; bin < bin_count; bin++) {
            sum += frames[t * bin_count + bin];
        }
        loudness->frames[loudness->frame_count % ES_LOUDNESS_FRAME_COUNT] = sum / (float)bin_count;
        loudness->frame_count++;
    }
}

static float frame_at(const struct es_loudness *loudness, uint64_t frame) {
    return loudness->frames[frame % ES_LOUDNESS_FRAME_COUNT];
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

/* The percentile by counting: a sort would need memory. */
static float floor_of(const struct es_loudness *loudness, uint64_t first, uint64_t end) {
    uint32_t counts[LEVEL_COUNT] = {0};
    const float scale = (float)LEVEL_COUNT / (LEVEL_MAX - LEVEL_MIN);
    for (uint64_t t = first; t < end; t++) {
        float level = (frame_at(loudness, t) - LEVEL_MIN) * scale;
        level = level < 0.0f ? 0.0f : level;
        uint32_t index = level < (float)LEVEL_COUNT ? (uint32_t)level : LEVEL_COUNT - 1u;
        counts[index]++;
    }
    uint64_t below = (end - first) * FLOOR_PERCENT / 100u;
    uint32_t index = 0;
    for (uint64_t seen = counts[0]; seen <= below && index + 1u < LEVEL_COUNT;) {
        index++;
        seen += counts[index];
    }
    return LEVEL_MIN + ((float)index + 0.5f) / scale;
}

/* The first frame of the last loud stretch in [first, end), or `end` when nothing is loud. */
static uint64_t onset_of(const struct es_loudness *loudness, uint64_t first, uint64_t end,
                         float threshold) {
    uint64_t onset = end;
    for (uint64_t t = end; t > first; t--) {
        if (frame_at(loudness, t - 1u) > threshold) {
            onset = t - 1u;
        } else if (onset < end && onset - t >= BRIDGE_FRAMES) {
            break;
        }
    }
    return onset;
}

uint64_t es_loudness_onset_ms(const struct es_loudness *loudness, uint64_t earliest_ms,
                              uint64_t end_ms) {
    ES_ASSERT(earliest_ms <= end_ms);
    uint64_t nominal_ms = later(earliest_ms, minus(end_ms, ES_WORD_NOMINAL_MS));
    uint64_t end = end_ms / FRAME_MS + PAD_FRAMES;
    end = end < loudness->frame_count ? end : loudness->frame_count;
    uint64_t oldest = later(PAD_FRAMES, minus(loudness->frame_count, ES_LOUDNESS_FRAME_COUNT));
    uint64_t first = later(oldest, earliest_ms / FRAME_MS + PAD_FRAMES);
    first = later(first, minus(end, ES_WORD_MS_MAX / FRAME_MS));
    if (first >= end) {
        return nominal_ms;
    }
    float floor = floor_of(loudness, later(oldest, minus(end, FLOOR_FRAMES)), end);
    float peak = LEVEL_MIN;
    for (uint64_t t = later(first, minus(end, PEAK_FRAMES)); t < end; t++) {
        peak = frame_at(loudness, t) > peak ? frame_at(loudness, t) : peak;
    }
    if (peak - floor < STANDS_OUT_MIN) {
        return nominal_ms;
    }
    uint64_t onset = onset_of(loudness, first, end, floor + ONSET_SHARE * (peak - floor));
    return onset == end ? nominal_ms : later(earliest_ms, (onset - PAD_FRAMES) * FRAME_MS);
}
