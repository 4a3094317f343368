#include "engine/json.h"
#include "engine/safetensors.h"
#include "tests/support/model_files.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct es_error error;

/* Parses a header for a file with that much data behind it. */
static enum es_status parse(struct es_safetensors *file, const char *text, uint64_t data_bytes) {
    memset(&error, 0, sizeof error);
    size_t bytes = strlen(text);
    return es_safetensors_parse(file, "model", text, bytes, 8 + bytes + data_bytes, &error);
}

static void expect_refused(const char *text, uint64_t data_bytes, const char *said) {
    struct es_safetensors file;
    ES_EXPECT_EQ(parse(&file, text, data_bytes), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, said);
}

#define TENSOR(name, dtype, shape, begin, end)                                                     \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end   \
    "]}"

ES_TEST("tensors are found by name, whatever their order, with metadata and trailing spaces") {
    struct es_safetensors file;
    const char *text =
        "{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("b", "F32", "[2, 3]", "4", "28") "," TENSOR(
            "a", "BF16", "[2]", "0", "4") "," TENSOR("scalar", "F64", "[]", "28", "36") "}     ";
    ES_EXPECT_EQ(parse(&file, text, 36), ES_OK);
    ES_EXPECT_EQ(file.tensor_count, 3);
    ES_EXPECT_EQ(file.data_offset, 8 + strlen(text));
    ES_EXPECT_EQ(file.data_bytes, 36);
    const struct es_tensor_info *b = es_safetensors_find(&file, "b");
    ES_EXPECT(b != NULL);
    ES_EXPECT_TEXT(b->dtype, "F32");
    ES_EXPECT_EQ(b->rank, 2);
    ES_EXPECT_EQ(b->shape[1], 3);
    ES_EXPECT_EQ(b->begin, 4);
    ES_EXPECT_EQ(b->end, 28);
    ES_EXPECT_EQ(es_safetensors_find(&file, "scalar")->rank, 0);
    ES_EXPECT(es_safetensors_find(&file, "c") == NULL);
    ES_EXPECT(es_safetensors_find(&file, "__metadata__") == NULL);
    es_safetensors_close(&file);
}

ES_TEST("holes, trailing data, empty tensors and unknown types of other tensors are accepted") {
    struct es_safetensors file;
    ES_EXPECT_EQ(
        parse(&file,
              "{" TENSOR("a", "U8", "[4]", "8", "12") "," TENSOR("b", "U8", "[2]", "20", "22") "}",
              100),
        ES_OK);
    es_safetensors_close(&file);
    ES_EXPECT_EQ(
        parse(&file,
              "{" TENSOR("a", "U8", "[0, 7]", "4", "4") "," TENSOR("b", "U8", "[4]", "0", "4") "}",
              4),
        ES_OK);
    es_safetensors_close(&file);
    ES_EXPECT_EQ(parse(&file, "{" TENSOR("a", "F4", "[100]", "0", "50") "}", 50), ES_OK);
    es_safetensors_close(&file);
}

ES_TEST("data outside the file, backwards or of the wrong size is refused") {
    expect_refused("{" TENSOR("a", "BF16", "[2]", "0", "4") "}", 3,
                   "tensor a: data_offsets [0, 4] do not lie in the 3 bytes");
    expect_refused("{" TENSOR("a", "BF16", "[2]", "4", "0") "}", 100, "data_offsets [4, 0]");
    expect_refused("{" TENSOR("a", "BF16", "[2]", "0", "6") "}", 100,
                   "holds 6 bytes, but [2] of BF16 makes 4");
    expect_refused("{" TENSOR("a", "F32", "[0]", "0", "4") "}", 100, "makes 0");
    expect_refused("{" TENSOR("a", "BF16", "[2]", "9223372036854775806", "9223372036854775807") "}",
                   100, "do not lie in");
}

ES_TEST("sizes that overflow 64 bits are refused") {
    expect_refused("{" TENSOR("a", "BF16", "[9223372036854775807, 2]", "0", "4") "}", 100,
                   "more than 2^64 bytes");
    expect_refused("{" TENSOR("a", "F32", "[4294967296, 4294967296]", "0", "0") "}", 100,
                   "more than 2^64 bytes");
    expect_refused("{" TENSOR("a", "F32", "[9223372036854775808]", "0", "4") "}", 100,
                   "line 1, column");
    struct es_safetensors file;
    ES_EXPECT_EQ(
        parse(&file,
              "{" TENSOR("a", "F32", "[9223372036854775807, 9223372036854775807, 0]", "0", "0") "}",
              0),
        ES_OK);
    es_safetensors_close(&file);
}

ES_TEST("overlapping tensors are refused and both named") {
    expect_refused(
        "{" TENSOR("a", "U8", "[4]", "0", "4") "," TENSOR("b", "U8", "[4]", "3", "7") "}", 100,
        "tensors a and b overlap at data byte 3");
    expect_refused("{" TENSOR("a", "U8", "[9]", "0", "9") "," TENSOR(
                       "b", "U8", "[1]", "2", "3") "," TENSOR("c", "U8", "[1]", "8", "9") "}",
                   100, "overlap");
    expect_refused(
        "{" TENSOR("a", "U8", "[4]", "0", "4") "," TENSOR("b", "U8", "[4]", "0", "4") "}", 100,
        "overlap");
}

ES_TEST("entries that are not what they should be are refused by name") {
    expect_refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "tensor a: has no dtype");
    expect_refused("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "has no dtype");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape is not a list");
    expect_refused("{" TENSOR("a", "U8", "[1.0]", "0", "1") "}", 1, "shape is not a list");
    expect_refused("{" TENSOR("a", "U8", "[-1]", "0", "1") "}", 1, "shape is not a list");
    expect_refused("{" TENSOR("a", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, "at most 8");
    expect_refused("{" TENSOR("a", "U8", "[1]", "0", "1.5") "}", 1, "data_offsets is not a pair");
    expect_refused("{" TENSOR("a", "U8", "[1]", "-1", "0") "}", 1, "data_offsets is not a pair");
    expect_refused("{" TENSOR("a", "U8", "[1]", "0,1", "1") "}", 1, "data_offsets is not a pair");
    expect_refused("{\"a\":[]}", 1, "has no dtype");
    expect_refused("{\"__metadata__\":{\"a\":1}}", 1, "__metadata__ is not an object of strings");
    expect_refused("{\"__metadata__\":[]}", 1, "__metadata__");
    expect_refused("{}", 1, "holds no tensors");
    expect_refused("[]", 1, "'{' expected");
    expect_refused("{\"a\" 1}", 1, "':' expected");
    expect_refused("{" TENSOR("a", "U8", "[1]", "0", "1") ",}", 1, "a key in quotes expected");
    expect_refused("{" TENSOR("a", "U8", "[1]", "0", "1") "} x", 1, "end of file expected");
    char text[400];
    snprintf(text, sizeof text,
             "{\"%0200d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 7);
    expect_refused(text, 1, "longer than 159 bytes");
}

ES_TEST("duplicate keys are refused, at the top and inside a tensor") {
    expect_refused(
        "{" TENSOR("a", "U8", "[1]", "0", "1") "," TENSOR("a", "U8", "[1]", "1", "2") "}", 2,
        "stands there twice");
    expect_refused(
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
        "duplicate object key");
    expect_refused("{\"a\\u0062\":{},\"ab\":{}}", 1, "tensor ab");
}

ES_TEST("deep nesting is refused") {
    static char text[100000 + 8];
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', 100000);
    expect_refused(text, 1, "maximum parsing depth");
}

ES_TEST("a length that cannot be is refused with both numbers") {
    static const struct {
        uint64_t promised;
        uint64_t file_bytes;
        const char *said;
    } cases[] = {
        {0, 100, "promises a header of 0 bytes, 2.."},
        {1, 100, "promises a header of 1 bytes"},
        {93, 100, "promises a header of 93 bytes, but only 92 follow"},
        {UINT64_MAX, 100, "promises a header of 18446744073709551615 bytes"},
        {(100u << 20) + 1, UINT64_MAX, "2..104857600 are possible"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t prefix[8];
        size_t header_bytes = 0;
        for (size_t j = 0; j < sizeof prefix; j++) {
            prefix[j] = (uint8_t)(cases[i].promised >> (8 * j));
        }
        ES_EXPECT_EQ(es_safetensors_header_bytes("model", prefix, 8, cases[i].file_bytes,
                                                 &header_bytes, &error),
                     ES_ERR_INPUT);
        ES_EXPECT_CONTAINS(error.text, cases[i].said);
    }
}

ES_TEST("files shorter than their header are refused") {
    const char *directory = es_test_directory();
    struct es_safetensors file;
    int fd = -1;
    const char *path = es_test_path(directory, "short");
    for (size_t bytes = 0; bytes < 12; bytes++) {
        es_test_write(directory, "short", "\x20\0\0\0\0\0\0\0{\"a\":", bytes);
        ES_EXPECT_EQ(es_safetensors_open(&file, path, &fd, &error), ES_ERR_INPUT);
        ES_EXPECT_CONTAINS(error.text, bytes < 8 ? "a safetensors file has more than 8"
                                                 : "promises a header of 32 bytes");
    }
    ES_EXPECT_EQ(es_safetensors_open(&file, directory, &fd, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "not a regular file");
}

ES_TEST("a header cut anywhere is refused") {
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model("cut"));
    size_t bytes = 0;
    char *data = es_test_read(directory, "consolidated.safetensors", &bytes);
    uint64_t header_bytes = 0;
    memcpy(&header_bytes, data, sizeof header_bytes);
    while (data[7 + header_bytes] == ' ') {
        header_bytes--;
    }
    uint32_t accepted = 0;
    for (size_t cut = 0; cut < header_bytes; cut += 1 + cut / 200) {
        struct es_safetensors file;
        accepted += es_safetensors_parse(&file, "model", data + 8, cut, bytes, &error) == ES_OK;
    }
    free(data);
    ES_EXPECT_EQ(accepted, 0);
}
