#include "app/pipeline.h"

#include "tests/support/fake_backend.h"
#include "tests/support/test.h"

#include <math.h>

#define ENCODE_MAX 8u
#define SAMPLES_MAX 40000u

static const struct es_model model = {.mel_bin_count = 128,
                                      .frames_per_position = 8,
                                      .downsample = 4,
                                      .log_mel_max = 1.5f,
                                      .vocab_size = 1408};
static struct es_fake_backend fake;
static struct es_plan plan;
static struct es_arena arena;
static struct es_pipeline pipeline;
static float pcm[SAMPLES_MAX];
static uint32_t token_count;
static uint64_t first_position, last_position;
static size_t frames_seen;

static void on_token(void *context, const struct es_token *token) {
    (void)context;
    first_position = token_count == 0 ? token->position : first_position;
    last_position = token->position;
    token_count++;
}

static void on_frames(void *context, const float *frames, size_t frame_count, uint32_t bin_count) {
    (void)context;
    (void)frames;
    ES_EXPECT_EQ(bin_count, 128);
    ES_EXPECT(fake.mel_frame_count <= frames_seen); /* heard before they are decoded */
    frames_seen += frame_count;
}

static void make(void) {
    struct es_pipeline_layout layout;
    struct es_error error;
    es_arena_release(&arena);
    es_plan_init(&plan);
    es_pipeline_layout(&model, ENCODE_MAX, &plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_fake_backend_init(&fake, &model, ENCODE_MAX);
    es_pipeline_init(&pipeline, &model, ENCODE_MAX, es_backend_fake(), es_fake_backend_seam(&fake),
                     &layout, &arena);
    for (uint32_t i = 0; i < SAMPLES_MAX; i++) {
        pcm[i] = 0.3f * (float)sin(0.01 * i + 1e-6 * i * i);
    }
}

static void run(uint32_t sample_count, uint32_t delay_positions, uint32_t chunk) {
    struct es_error error;
    struct es_pipeline_options options = {
        .stream = {.delay_positions = delay_positions, .on_token = on_token},
        .on_frames = on_frames};
    token_count = 0;
    frames_seen = 0;
    ES_EXPECT_EQ(es_pipeline_start(&pipeline, &options, &error), ES_OK);
    for (uint32_t done = 0; done < sample_count; done += chunk) {
        uint32_t left = sample_count - done;
        ES_EXPECT_EQ(es_pipeline_push(&pipeline, pcm + done, left < chunk ? left : chunk, &error),
                     ES_OK);
    }
    ES_EXPECT_EQ(es_pipeline_finish(&pipeline, &error), ES_OK);
}

ES_TEST("n samples give ceil(n / 1280) + 11 tokens and whole positions, at every delay") {
    static const uint32_t counts[] = {1,    159,  160,  1239,  1240, 1241,
                                      1279, 1280, 1281, 12345, 38400};
    static const uint32_t delays[] = {1, 6, 15, 30};
    make();
    for (uint32_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint32_t d = 0; d < 4; d++) {
            run(counts[i], delays[d], 5000);
            uint32_t audio_positions = (counts[i] + 1279u) / 1280u;
            uint32_t position_count = 32u + audio_positions + delays[d] + 11u;
            ES_EXPECT_EQ(token_count, audio_positions + 11u);
            ES_EXPECT_EQ(fake.encoded_count, position_count);
            ES_EXPECT_EQ(fake.mel_frame_count, 8u * position_count);
            ES_EXPECT_EQ(frames_seen, 8u * position_count); /* no frame is left over */
            ES_EXPECT_EQ(first_position, 32u + delays[d]);
            ES_EXPECT_EQ(last_position, position_count - 1u);
        }
    }
}

ES_TEST("the encoder sees the same frames in any chunks, and a second stream forgets the first") {
    static const uint32_t chunks[] = {1, 160, 1280, 9999, SAMPLES_MAX};
    make();
    run(30000, 6, SAMPLES_MAX);
    double mel_sum = fake.mel_sum;
    for (uint32_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        run(30000, 6, chunks[i]);
        ES_EXPECT_NEAR(fake.mel_sum, mel_sum, 0);
    }
}

ES_TEST("the first token needs delay + 1 positions of audio and 40 samples") {
    struct es_error error;
    struct es_pipeline_options options = {.stream = {.delay_positions = 6, .on_token = on_token}};
    make();
    token_count = 0;
    ES_EXPECT_EQ(es_pipeline_start(&pipeline, &options, &error), ES_OK);
    ES_EXPECT_EQ(es_pipeline_push(&pipeline, pcm, 7u * 1280u + 39u, &error), ES_OK);
    ES_EXPECT_EQ(token_count, 0);
    ES_EXPECT_EQ(es_pipeline_push(&pipeline, pcm, 1, &error), ES_OK);
    ES_EXPECT_EQ(token_count, 1);
}

ES_TEST("a failure of the engine ends the push") {
    struct es_error error;
    struct es_pipeline_options options = {.stream = {.delay_positions = 1, .on_token = on_token}};
    make();
    fake.fail_after_steps = 0;
    ES_EXPECT_EQ(es_pipeline_start(&pipeline, &options, &error), ES_OK);
    ES_EXPECT_EQ(es_pipeline_push(&pipeline, pcm, SAMPLES_MAX, &error), ES_ERR_HARDWARE);
}
