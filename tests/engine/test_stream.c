#include "engine/stream.h"

#include "engine/tokenizer.h"
#include "tests/support/fake_backend.h"
#include "tests/support/test.h"

#include <string.h>

#define BIN_COUNT 4u
#define FRAMES 8u
#define ENCODE_MAX 16u
#define TOKEN_COUNT_MAX 4096u

static const struct es_model model = {
    .mel_bin_count = BIN_COUNT, .frames_per_position = FRAMES, .downsample = 4, .vocab_size = 1408};

static struct es_fake_backend fake;
static struct es_stream stream;
static struct es_plan plan;
static struct es_arena arena;
static float frames[TOKEN_COUNT_MAX * FRAMES * BIN_COUNT];
static struct es_token tokens[TOKEN_COUNT_MAX];
static uint32_t token_count;

static void on_token(void *context, const struct es_token *token) {
    (void)context;
    ES_EXPECT(token_count < TOKEN_COUNT_MAX);
    tokens[token_count++] = *token;
}

/* What the next start asks for beside its arguments; start puts the defaults back. */
static uint32_t cadence_positions;
static uint32_t silent_count; /* that the backend restores; the stream then begins with silence */

static void start(uint32_t delay_positions, bool blank_guard,
                  int32_t (*forced_id)(void *, uint64_t)) {
    struct es_stream_layout layout;
    struct es_error error;
    es_arena_release(&arena);
    es_plan_init(&plan);
    es_stream_layout(&model, ENCODE_MAX, &plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_fake_backend_init(&fake, &model, ENCODE_MAX);
    es_stream_init(&stream, &model, ENCODE_MAX, es_backend_fake(), es_fake_backend_seam(&fake),
                   &layout, &arena);
    fake.silent_count = silent_count;
    struct es_stream_options options = {.delay_positions = delay_positions,
                                        .cadence_positions = cadence_positions,
                                        .begins_with_silence = silent_count > 0,
                                        .blank_guard = blank_guard,
                                        .on_token = on_token,
                                        .forced_id = forced_id};
    ES_EXPECT_EQ(es_stream_reset(&stream, &options, &error), ES_OK);
    token_count = 0;
    cadence_positions = 0;
    silent_count = 0;
    for (uint32_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        frames[i] = (float)(i % 977u) / 977.0f;
    }
}

static void push(uint32_t first_frame, uint32_t frame_count) {
    struct es_error error;
    ES_EXPECT_EQ(es_stream_push(&stream, frames + first_frame * BIN_COUNT, frame_count, &error),
                 ES_OK);
}

ES_TEST("the prompt runs exactly when its last position's audio is complete") {
    static const uint32_t delays[] = {1, 6, 15, 30};
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t prompt_count = 33u + delays[i];
        start(delays[i], false, NULL);
        ES_EXPECT_EQ(fake.delay_positions, delays[i]);
        for (uint32_t t = 0; t < prompt_count * FRAMES - 1u; t++) {
            push(t, 1);
        }
        ES_EXPECT_EQ(fake.call_count, 0);
        push(prompt_count * FRAMES - 1u, 1);
        ES_EXPECT_EQ(fake.call_count, 1);
        ES_EXPECT_EQ(fake.calls[0].kind, ES_FAKE_PREFILL);
        ES_EXPECT_EQ(fake.calls[0].id_count, prompt_count);
        ES_EXPECT_EQ(fake.calls[0].first_id, ES_ID_BOS);
        ES_EXPECT_EQ(fake.calls[0].last_id, ES_ID_STREAMING_PAD);
        ES_EXPECT_EQ(token_count, 1);
        ES_EXPECT_EQ(tokens[0].position, 32u + delays[i]);
    }
}

ES_TEST("every position after the prompt gives one token, and none comes before its audio") {
    start(6, false, NULL);
    for (uint32_t t = 0; t < 100u * FRAMES; t++) {
        push(t, 1);
        uint32_t position_count = (t + 1u) / FRAMES;
        ES_EXPECT_EQ(token_count, position_count < 39u ? 0u : position_count - 38u);
    }
    for (uint32_t i = 0; i < token_count; i++) {
        ES_EXPECT_EQ(tokens[i].position, 38u + i);
        ES_EXPECT(fake.calls[i].consumed_count <= fake.calls[i].encoded_count);
    }
}

ES_TEST("each step is fed the id that the step before it chose, end of sequence included") {
    static const int32_t script[] = {32, 33, 1266, 2, 2, 32, 33, 1267, 1, 0, 11};
    start(2, false, NULL);
    fake.script = script;
    fake.script_count = 11;
    push(0, 80u * FRAMES);
    ES_EXPECT_EQ(token_count, 80 - 34);
    for (uint32_t i = 0; i < token_count; i++) {
        int32_t expected = i < 11 ? script[i] : ES_ID_STREAMING_PAD;
        ES_EXPECT_EQ(tokens[i].id, expected);
        ES_EXPECT_EQ(tokens[i].fed_id, expected);
        ES_EXPECT_NEAR(tokens[i].margin, i, 0);
        if (i > 0) {
            ES_EXPECT_EQ(fake.calls[i].kind, ES_FAKE_DECODE);
            ES_EXPECT_EQ(fake.calls[i].first_id, tokens[i - 1].id);
        }
    }
}

static int32_t force_odd(void *context, uint64_t decision_index) {
    (void)context;
    return decision_index % 2u == 1u ? (int32_t)(100u + decision_index) : -1;
}

ES_TEST("a forced id is fed in place of the choice, which is still reported") {
    static const int32_t script[] = {5, 6, 7, 8, 9};
    start(1, false, force_odd);
    fake.script = script;
    fake.script_count = 5;
    push(0, 40u * FRAMES);
    ES_EXPECT_EQ(token_count, 7);
    for (uint32_t i = 0; i + 1 < token_count; i++) {
        int32_t chosen = i < 5 ? script[i] : ES_ID_STREAMING_PAD;
        int32_t fed = i % 2u == 1u ? (int32_t)(100u + i) : chosen;
        ES_EXPECT_EQ(tokens[i].id, chosen);
        ES_EXPECT_EQ(tokens[i].fed_id, fed);
        ES_EXPECT_EQ(fake.calls[i + 1].first_id, fed);
    }
}

ES_TEST("the blank guard starts at run 200, grows by a half and stops at seven") {
    start(6, true, NULL);
    push(0, 400u * FRAMES);
    for (uint32_t i = 0; i < fake.call_count; i++) {
        /* Before decision i there were i blanks in a row. */
        double expected = i < 200u ? 0.0 : -0.5 * (i - 200u);
        ES_EXPECT_NEAR(fake.calls[i].bias, expected < -7.0 ? -7.0 : expected, 1e-6);
    }
    ES_EXPECT_NEAR(fake.calls[201].bias, -0.5, 0);
    ES_EXPECT_NEAR(fake.calls[214].bias, -7.0, 0);
}

ES_TEST("any other id ends the run that the blank guard counts") {
    static int32_t script[300];
    for (uint32_t i = 0; i < 300; i++) {
        script[i] = ES_ID_STREAMING_PAD;
    }
    script[205] = ES_ID_STREAMING_WORD;
    start(6, true, NULL);
    fake.script = script;
    fake.script_count = 300;
    push(0, 500u * FRAMES);
    ES_EXPECT_NEAR(fake.calls[205].bias, -2.5, 0);
    for (uint32_t i = 206; i <= 406; i++) {
        ES_EXPECT_NEAR(fake.calls[i].bias, 0, 0);
    }
    ES_EXPECT_NEAR(fake.calls[407].bias, -0.5, 0);
}

ES_TEST("without the blank guard no step has a bias") {
    start(6, false, NULL);
    push(0, 400u * FRAMES);
    for (uint32_t i = 0; i < fake.call_count; i++) {
        ES_EXPECT_NEAR(fake.calls[i].bias, 0, 0);
    }
}

ES_TEST("frames come through once and in order, and the steps are the same, in any chunks") {
    static const uint32_t chunks[] = {1, 3, 7, 8, 9, 100, 127, 128, 129, 300u * FRAMES};
    static struct es_fake_call calls[ES_FAKE_CALL_COUNT_MAX];
    uint32_t call_count = 0;
    double mel_sum = 0;
    for (uint32_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        start(6, true, NULL);
        for (uint32_t t = 0; t < 300u * FRAMES; t += chunks[i]) {
            uint32_t left = 300u * FRAMES - t;
            push(t, left < chunks[i] ? left : chunks[i]);
        }
        ES_EXPECT_EQ(fake.mel_frame_count, 300u * FRAMES);
        for (uint32_t c = 0; c < fake.call_count; c++) {
            fake.calls[c].encoded_count = 0; /* how far ahead the encoder is depends on the chunk */
        }
        if (i == 0) {
            mel_sum = fake.mel_sum;
            call_count = fake.call_count;
            memcpy(calls, fake.calls, sizeof calls);
        }
        ES_EXPECT_NEAR(fake.mel_sum, mel_sum, 0);
        ES_EXPECT_EQ(fake.call_count, call_count);
        ES_EXPECT(memcmp(calls, fake.calls, sizeof calls) == 0);
    }
    ES_EXPECT_EQ(fake.encode_count, (300 + ENCODE_MAX - 1) / ENCODE_MAX);
}

ES_TEST("a reset starts a new stream: positions, run and queue are those of the first") {
    struct es_error error;
    start(6, true, NULL);
    push(0, 300u * FRAMES + 3u);
    struct es_stream_options options = stream.options;
    options.delay_positions = 12;
    ES_EXPECT_EQ(es_stream_reset(&stream, &options, &error), ES_OK);
    ES_EXPECT_EQ(fake.reset_count, 2);
    token_count = 0;
    push(0, 45u * FRAMES - 1u);
    ES_EXPECT_EQ(token_count, 0);
    push(45u * FRAMES - 1u, 1);
    ES_EXPECT_EQ(token_count, 1);
    ES_EXPECT_EQ(tokens[0].position, 44);
    ES_EXPECT_NEAR(fake.calls[0].bias, 0, 0);
}

ES_TEST("a backend's failure is passed up unchanged, and its step gives no token") {
    struct es_error error;
    start(6, false, NULL);
    fake.fail_after_steps = 5;
    ES_EXPECT_EQ(es_stream_push(&stream, frames, 100u * FRAMES, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "told to fail");
    ES_EXPECT_EQ(token_count, 5);
}

ES_TEST("silence that the backend has heard is not encoded again, and the prompt is its rest") {
    static const uint32_t delays[] = {1, 6, 30};
    for (uint32_t i = 0; i < 3; i++) {
        silent_count = 31;
        start(delays[i], false, NULL);
        push(0, (33u + delays[i]) * FRAMES - 1u);
        ES_EXPECT_EQ(token_count, 0);
        ES_EXPECT_EQ(fake.call_count, 0);
        push((33u + delays[i]) * FRAMES - 1u, 1);
        ES_EXPECT_EQ(fake.mel_frame_count, (33u + delays[i] - 31u) * FRAMES);
        ES_EXPECT_EQ(fake.call_count, 1);
        ES_EXPECT_EQ(fake.calls[0].kind, ES_FAKE_PREFILL);
        ES_EXPECT_EQ(fake.calls[0].id_count, 2u + delays[i]);
        ES_EXPECT_EQ(fake.calls[0].first_id, ES_ID_STREAMING_PAD);
        ES_EXPECT_EQ(token_count, 1);
        ES_EXPECT_EQ(tokens[0].position, 32u + delays[i]);
    }
}

ES_TEST("the frames behind the silence are the ones that the encoder sees, in any pieces") {
    static const uint32_t chunks[] = {1, 7, 8, 31u * FRAMES, 31u * FRAMES + 1u, 100u * FRAMES};
    double mel_sum = 0;
    for (uint32_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        silent_count = 31;
        start(6, false, NULL);
        for (uint32_t t = 0; t < 100u * FRAMES; t += chunks[i]) {
            uint32_t left = 100u * FRAMES - t;
            push(t, left < chunks[i] ? left : chunks[i]);
        }
        mel_sum = i == 0 ? fake.mel_sum : mel_sum;
        ES_EXPECT_NEAR(fake.mel_sum, mel_sum, 0);
        ES_EXPECT_EQ(fake.mel_frame_count, 69u * FRAMES);
        ES_EXPECT_EQ(token_count, 100u - 38u);
    }
}

ES_TEST("a live stream steps through its prompt as the audio comes, and says nothing of it") {
    cadence_positions = 1;
    silent_count = 31;
    start(6, true, NULL);
    push(0, 31u * FRAMES);
    ES_EXPECT_EQ(fake.encode_count, 0);
    for (uint32_t position = 31; position < 60; position++) {
        push(position * FRAMES, FRAMES);
        ES_EXPECT_EQ(fake.encode_count, position - 30u); /* one chunk and one step per frame */
        ES_EXPECT_EQ(fake.call_count, position - 30u);
        const struct es_fake_call *call = &fake.calls[position - 31u];
        ES_EXPECT_EQ(call->kind, ES_FAKE_DECODE);
        ES_EXPECT_EQ(call->first_id, ES_ID_STREAMING_PAD);
        ES_EXPECT_EQ(token_count, position < 38u ? 0u : position - 37u);
    }
    ES_EXPECT_EQ(tokens[0].position, 38);
    ES_EXPECT_NEAR(tokens[0].margin, 7, 0); /* the choice of the prompt's last position */
}

ES_TEST("a live stream on a backend that knows no silence has its prompt at once") {
    cadence_positions = 2;
    start(6, false, NULL);
    push(0, 100u * FRAMES);
    ES_EXPECT_EQ(fake.calls[0].kind, ES_FAKE_PREFILL);
    ES_EXPECT_EQ(fake.calls[0].id_count, 39);
    ES_EXPECT_EQ(token_count, 100u - 38u);
}

ES_TEST("the encoder of a live stream runs in its cadence") {
    static const uint32_t cadences[] = {1, 2, 4, 8};
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t cadence = cadences[i];
        cadence_positions = cadence;
        silent_count = 31;
        start(6, false, NULL);
        push(0, 31u * FRAMES);
        for (uint32_t t = 31u * FRAMES; t < 95u * FRAMES; t++) {
            push(t, 1);
            uint32_t whole = (t + 1u) / FRAMES - 31u;
            ES_EXPECT_EQ(fake.encoded_count, 31u + whole / cadence * cadence);
        }
        for (uint32_t c = 0; c < fake.encode_count; c++) {
            ES_EXPECT_EQ(fake.encode_sizes[c], cadence);
        }
    }
}

ES_TEST("a live stream that is late takes the largest power of two that waits") {
    static const uint32_t expected_80[] = {8, 8, 2, 1};
    static const uint32_t expected_320[] = {8, 8}; /* three wait for a fourth */
    cadence_positions = 1;
    silent_count = 31;
    start(6, false, NULL);
    push(0, (31u + 19u) * FRAMES);
    /* 16 positions is what the stream holds at once (ENCODE_MAX): 8, 8, and then what is left. */
    ES_EXPECT_EQ(fake.encode_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ES_EXPECT_EQ(fake.encode_sizes[i], expected_80[i]);
    }
    ES_EXPECT_EQ(token_count, 50u - 38u);
    cadence_positions = 4;
    silent_count = 31;
    start(6, false, NULL);
    push(0, (31u + 19u) * FRAMES);
    ES_EXPECT_EQ(fake.encode_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        ES_EXPECT_EQ(fake.encode_sizes[i], expected_320[i]);
    }
}

ES_TEST("a flush brings out what a cadence holds back, and nothing of an incomplete position") {
    struct es_error error;
    cadence_positions = 4;
    silent_count = 31;
    start(6, false, NULL);
    push(0, 50u * FRAMES + 5u);
    ES_EXPECT_EQ(fake.encoded_count, 47);
    ES_EXPECT_EQ(es_stream_flush(&stream, &error), ES_OK);
    ES_EXPECT_EQ(fake.encoded_count, 50);
    ES_EXPECT_EQ(fake.encode_sizes[fake.encode_count - 2], 2);
    ES_EXPECT_EQ(fake.encode_sizes[fake.encode_count - 1], 1);
    ES_EXPECT_EQ(token_count, 50u - 38u);
    ES_EXPECT_EQ(es_stream_flush(&stream, &error), ES_OK); /* again is nothing */
    push(50u * FRAMES + 5u, 3);
    ES_EXPECT_EQ(fake.encoded_count, 50);
    ES_EXPECT_EQ(es_stream_flush(&stream, &error), ES_OK);
    ES_EXPECT_EQ(token_count, 51u - 38u);
}
