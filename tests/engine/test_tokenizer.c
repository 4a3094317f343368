#include "engine/json.h"
#include "engine/tokenizer.h"
#include "tests/support/model_files.h"
#include "tests/support/test.h"
#include "tools/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static struct es_error error;
static struct es_plan plan;
static struct es_arena arena;
static struct es_tokenizer_layout layout;

static void reserve(const struct es_model *model) {
    es_plan_init(&plan);
    es_tokenizer_layout(model, &plan, &layout);
    if (es_arena_reserve(&arena, &plan, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
}

static struct es_model model_of(uint32_t vocab_size) {
    struct es_model model = es_test_model_small;
    model.vocab_size = vocab_size;
    return model;
}

static enum es_status parse(const struct es_model *model, const char *text,
                            struct es_tokenizer *tokenizer) {
    reserve(model);
    enum es_status status = es_tokenizer_parse(tokenizer, model, &layout, &arena, "tekken.json",
                                               text, strlen(text), &error);
    if (status != ES_OK) {
        es_arena_release(&arena);
    }
    return status;
}

/* The small model's tekken.json with one text replaced must be refused in these words. */
static void expect_refused(const char *old, const char *replacement, const char *said) {
    static uint32_t count;
    char name[32];
    char directory[256];
    snprintf(name, sizeof name, "refused%u", count++);
    snprintf(directory, sizeof directory, "%s", es_test_model(name));
    es_test_replace(directory, "tekken.json", old, replacement);
    struct es_tokenizer tokenizer;
    reserve(&es_test_model_small);
    ES_EXPECT_EQ(
        es_tokenizer_load(&tokenizer, &es_test_model_small, &layout, &arena, directory, &error),
        ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "tekken.json: ");
    ES_EXPECT_CONTAINS(error.text, said);
    es_arena_release(&arena);
}

static void expect_piece(const struct es_tokenizer *tokenizer, int32_t id, const char *expected,
                         uint32_t expected_bytes) {
    const char *bytes = NULL;
    ES_EXPECT_EQ(es_tokenizer_piece(tokenizer, id, &bytes), expected_bytes);
    ES_EXPECT(memcmp(bytes, expected, expected_bytes) == 0);
}

ES_TEST("control ids are empty, then come the single bytes, then the words") {
    struct es_tokenizer tokenizer;
    reserve(&es_test_model_small);
    ES_EXPECT_EQ(es_tokenizer_load(&tokenizer, &es_test_model_small, &layout, &arena,
                                   es_test_model("good"), &error),
                 ES_OK);
    ES_EXPECT_EQ(tokenizer.special_count, 1000);
    ES_EXPECT_EQ(tokenizer.vocab_size, 1300);
    expect_piece(&tokenizer, 0, "", 0);
    expect_piece(&tokenizer, ES_ID_STREAMING_WORD, "", 0);
    expect_piece(&tokenizer, 999, "", 0);
    for (int32_t byte = 0; byte < 256; byte++) {
        char expected = (char)byte;
        expect_piece(&tokenizer, 1000 + byte, &expected, 1);
    }
    expect_piece(&tokenizer, 1256, " bababa", 7);
    expect_piece(&tokenizer, 1299, " mobaba", 7);
    es_arena_release(&arena);
}

ES_TEST("the bring-up model's pieces spell its words") {
    struct es_model model;
    struct es_tokenizer tokenizer;
    const char *directory = ES_SOURCE_DIR "/models/bringup";
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_OK);
    reserve(&model);
    ES_EXPECT_EQ(es_tokenizer_load(&tokenizer, &model, &layout, &arena, directory, &error), ES_OK);
    expect_piece(&tokenizer, 1256, " zero", 5);
    expect_piece(&tokenizer, 1300, " eighteen", 9);
    expect_piece(&tokenizer, 1000 + 'A', "A", 1);
    es_arena_release(&arena);
}

ES_TEST("a file as big as the 4B model's is read without a tree of it") {
    struct es_model model = model_of(131072);
    struct es_tokenizer tokenizer;
    ES_EXPECT_EQ(es_tekken_write(es_test_directory(), &model, &error), ES_OK);
    reserve(&model);
    size_t file_bytes = 0;
    free(es_test_read(es_test_directory(), "tekken.json", &file_bytes));
    struct rusage before;
    struct rusage after;
    getrusage(RUSAGE_SELF, &before);
    clock_t start = clock();
    ES_EXPECT_EQ(
        es_tokenizer_load(&tokenizer, &model, &layout, &arena, es_test_directory(), &error), ES_OK);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    getrusage(RUSAGE_SELF, &after);
    const char *bytes = NULL;
    ES_EXPECT_EQ(es_tokenizer_piece(&tokenizer, 131071, &bytes), 7);
    es_test_note("%zu bytes in %.2f s of processor time, peak memory grew by %ld kB", file_bytes,
                 seconds, after.ru_maxrss - before.ru_maxrss);
    ES_EXPECT(file_bytes > 10000000);
    es_arena_release(&arena);
}

ES_TEST("the configuration may stand behind the vocabulary, and control ids may be fewer") {
    struct es_model model = model_of(102);
    struct es_tokenizer tokenizer;
    char text[8192] = "{\"vocab\":[";
    size_t used = strlen(text);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 68; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"rank\":%d,\"token_bytes\":\"%c%c==\"}", i > 0 ? "," : "", i,
                                 digits[i >> 2], digits[(i & 3) << 4]);
    }
    snprintf(text + used, sizeof text - used,
             "],\"audio\":{\"x\":[[]]},\"config\":{\"default_num_special_tokens\":34}}");
    ES_EXPECT_EQ(parse(&model, text, &tokenizer), ES_OK);
    ES_EXPECT_EQ(tokenizer.special_count, 34);
    expect_piece(&tokenizer, 33, "", 0);
    expect_piece(&tokenizer, 34, "\0", 1);
    expect_piece(&tokenizer, 34 + 67, "C", 1);
    es_arena_release(&arena);
    model.vocab_size = 103;
    ES_EXPECT_EQ(parse(&model, text, &tokenizer), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(
        error.text,
        "vocab has 68 pieces, vocab_size 103 of params.json less 34 control ids makes 69");
}

ES_TEST("a model with fewer ids than there are control ids has control ids only") {
    struct es_model model = model_of(500);
    struct es_tokenizer tokenizer;
    ES_EXPECT_EQ(parse(&model, "{\"config\":{\"default_num_special_tokens\":1000},\"vocab\":[]}",
                       &tokenizer),
                 ES_OK);
    expect_piece(&tokenizer, 499, "", 0);
    es_arena_release(&arena);
}

ES_TEST("base64 is taken strictly") {
    const char *good = "\"AQ==\"";
    static const char *bad[] = {"\"AQ=\"",   "\"AQ\"",       "\"AR==\"",      "\"A===\"",
                                "\"====\"",  "\"AQ==AQ==\"", "\"AQ==\\n\"",   "\"-_==\"",
                                "\" AQ==\"", "\"A=Q=\"",     "\"AQ=\\u0000\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_refused(good, bad[i], "vocab[1].token_bytes is not base64");
    }
    expect_refused(good, "\"\"", "vocab[1].token_bytes is empty");
    expect_refused(good, "7", "vocab[1].token_bytes is not a string");
    expect_refused(good, "\"Ag==\"", "vocab[1] is not the single byte 0x01");
    expect_refused(good, "\"AQE=\"", "vocab[1] is not the single byte 0x01");
}

ES_TEST("missing, repeated and strange ranks are refused") {
    expect_refused("\"rank\": 7,", "\"rank\": 8,", "vocab[7].rank is 8; ranks go 0, 1, 2");
    expect_refused("\"rank\": 7,", "", "vocab[7].rank is missing");
    expect_refused("\"rank\": 7,", "\"rank\": 7.0,", "vocab[7].rank is missing");
    expect_refused("\"rank\": 7,", "\"rank\": 7, \"rank\": 7,", "duplicate object key");
    expect_refused("\"rank\": 299,", "\"rank\": 9223372036854775807,",
                   "vocab[299].rank is 9223372036854775807");
    expect_refused("\"vocab\": [", "\"vocab\": [3,", "vocab[0].rank is missing");
}

ES_TEST("members that are missing, doubled or of the wrong kind are refused") {
    expect_refused("\"vocab\"", "\"vocal\"", "vocab is missing; give the model's tekken.json");
    expect_refused("\"config\"", "\"conf\"", "config is missing; give the model's tekken.json");
    expect_refused("\"special_tokens\"", "\"vocab\"", "stands there twice");
    expect_refused("\"vocab\": [", "\"vocab\": {}, \"x\": [", "'[' expected");
    expect_refused("\"default_num_special_tokens\": 1000", "\"default_num_special_tokens\": 33",
                   "default_num_special_tokens is 33; give a whole number 34..");
    expect_refused("\"default_num_special_tokens\": 1000,", "",
                   "default_num_special_tokens is missing");
    expect_refused("\"default_vocab_size\": 1300", "\"default_vocab_size\": 1299",
                   "default_vocab_size is 1299; params.json has vocab_size 1300");
}

ES_TEST("more text than memory is planned for is refused") {
    struct es_model model = es_test_model_small;
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model("long"));
    char *piece = malloc(60000);
    ES_EXPECT(piece != NULL);
    memset(piece, 'A', 59999);
    piece[0] = '"';
    piece[50001] = '"';
    piece[50002] = '\0';
    es_test_replace(directory, "tekken.json", "\"IGJhYmFiYQ==\"", piece);
    free(piece);
    struct es_tokenizer tokenizer;
    reserve(&model);
    ES_EXPECT_EQ(es_tokenizer_load(&tokenizer, &model, &layout, &arena, directory, &error),
                 ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "vocab[256]: the pieces have more than 24 bytes on average");
    es_arena_release(&arena);
}

ES_TEST("a file cut anywhere, with deep nesting, bad text or nothing in it is refused") {
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model("cut"));
    size_t bytes = 0;
    char *text = es_test_read(directory, "tekken.json", &bytes);
    struct es_tokenizer tokenizer;
    reserve(&es_test_model_small);
    uint32_t accepted = 0;
    for (size_t cut = 0; cut + 2 < bytes; cut += 1 + cut / 50) {
        accepted += es_tokenizer_parse(&tokenizer, &es_test_model_small, &layout, &arena,
                                       "tekken.json", text, cut, &error) == ES_OK;
    }
    free(text);
    es_arena_release(&arena);
    ES_EXPECT_EQ(accepted, 0);
    static char deep[40000];
    size_t used = (size_t)snprintf(deep, sizeof deep, "{\"vocab\":[");
    memset(deep + used, '[', 10000);
    memset(deep + used + 10000, ']', 10000);
    used += 20000;
    snprintf(deep + used, sizeof deep - used,
             "],\"config\":{\"default_num_special_tokens\":1000}}");
    ES_EXPECT_EQ(parse(&es_test_model_small, deep, &tokenizer), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "maximum parsing depth");
    expect_refused(" bababa", "\xff\xfe", "unable to decode byte 0xff");
    es_test_write(directory, "tekken.json", "", 0);
    reserve(&es_test_model_small);
    ES_EXPECT_EQ(
        es_tokenizer_load(&tokenizer, &es_test_model_small, &layout, &arena, directory, &error),
        ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "tekken.json: is empty");
    es_arena_release(&arena);
}
