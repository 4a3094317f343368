/* What --blank-guard does to the bring-up model: nothing in silence, and what it adds on noise. */
#include "app/boot.h"

#include "tests/support/sanitizer.h"
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

#ifdef ES_UNDER_SANITIZER
#define SILENCE_SECONDS 30u
#define NOISE_SECONDS 20u
#define LEVEL_COUNT 1u
#else
#define SILENCE_SECONDS 600u
#define NOISE_SECONDS 120u
#define LEVEL_COUNT 3u
#endif

struct tally {
    uint64_t token_count;
    uint64_t other_count; /* ids that are not 32 */
    uint64_t word_count;  /* ids that have text */
    float margin_min;
    float margin_last;
};

static struct es_boot boot;
static float noise_level;
static uint32_t noise_state;
static float noise_low;

static void on_token(void *context, const struct es_token *token) {
    struct tally *tally = context;
    const char *bytes;
    if (tally->token_count == 0 || token->margin < tally->margin_min) {
        tally->margin_min = token->margin;
    }
    tally->margin_last = token->margin;
    tally->token_count++;
    tally->other_count += token->id != ES_ID_STREAMING_PAD;
    tally->word_count += es_tokenizer_piece(&boot.tokenizer, token->id, &bytes) > 0;
}

static float white(void) {
    noise_state = noise_state * 1664525u + 1013904223u;
    return ((float)(noise_state >> 8) / 16777216.0f - 0.5f) * 2.0f;
}

/* Steady noise, darker than white, as rooms are. */
static void make_noise(float *pcm, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        noise_low += 0.2f * (white() - noise_low);
        pcm[i] = noise_level * (noise_low + 0.1f * white());
    }
}

static struct tally stream(uint32_t seconds, float level, bool blank_guard) {
    struct es_error error;
    struct tally tally = {0};
    struct es_pipeline_options options = {.stream = {.delay_positions = 6,
                                                     .blank_guard = blank_guard,
                                                     .on_token = on_token,
                                                     .context = &tally}};
    if (boot.pool == NULL) {
        struct es_boot_options boot_options = {.model_directory = ES_SOURCE_DIR "/models/bringup",
                                               .encode_positions_max = ES_ENCODE_POSITIONS_MAX};
        ES_EXPECT_EQ(es_boot_plan(&boot, &boot_options, &error), ES_OK);
        ES_EXPECT_EQ(es_boot_start(&boot, &error), ES_OK);
    }
    noise_level = level;
    noise_state = 1;
    noise_low = 0;
    struct es_pipeline *pipeline = &boot.pipeline;
    ES_EXPECT_EQ(es_pipeline_start(pipeline, &options, &error), ES_OK);
    for (uint32_t second = 0; second < seconds; second++) {
        make_noise(pipeline->pcm, ES_SAMPLE_RATE);
        ES_EXPECT_EQ(es_pipeline_push(pipeline, pipeline->pcm, ES_SAMPLE_RATE, &error), ES_OK);
    }
    ES_EXPECT_EQ(es_pipeline_finish(pipeline, &error), ES_OK);
    return tally;
}

ES_TEST("ten minutes of digital silence (30 s under a sanitizer) give no word with the guard on") {
    struct tally guarded = stream(SILENCE_SECONDS, 0.0f, true);
    ES_EXPECT_EQ(guarded.token_count, (SILENCE_SECONDS * 1000u + 79u) / 80u + 11u);
    ES_EXPECT_EQ(guarded.other_count, 0);
    struct tally plain = stream(20, 0.0f, false);
    es_test_note("smallest margin of the blank: %.2f, with the guard %.2f",
                 (double)plain.margin_min, (double)guarded.margin_min);
    /* The guard was really on: after 20 s it takes its full penalty off. */
    ES_EXPECT_NEAR(plain.margin_last - stream(20, 0.0f, true).margin_last, ES_BLANK_PENALTY_MAX,
                   0.01);
}

ES_TEST("what the guard adds on steady noise is on record") {
    static const float levels[] = {0.03f, 0.003f, 0.2f};
    for (uint32_t i = 0; i < LEVEL_COUNT; i++) {
        struct tally plain = stream(NOISE_SECONDS, levels[i], false);
        struct tally guarded = stream(NOISE_SECONDS, levels[i], true);
        es_test_note("noise at %.0f dBFS, %u s: %llu words without the guard, %llu with it; "
                     "smallest margins %.2f and %.2f",
                     20.0 * log10((double)levels[i] / 3.0), NOISE_SECONDS,
                     (unsigned long long)plain.word_count, (unsigned long long)guarded.word_count,
                     (double)plain.margin_min, (double)guarded.margin_min);
        ES_EXPECT_EQ(plain.word_count, 0);
        ES_EXPECT(guarded.word_count >= plain.word_count);
    }
    es_boot_stop(&boot);
    memset(&boot, 0, sizeof boot);
}
