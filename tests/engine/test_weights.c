#include "engine/safetensors.h"
#include "engine/weights.h"
#include "tests/support/model_files.h"
#include "tests/support/test.h"
#include "tools/random_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKPOINT "consolidated.safetensors"
#define WHISPER "mm_streams_embeddings.embedding_module.whisper_encoder."

static struct es_error error;
static struct es_weights weights;
static struct es_plan plan;
static struct es_arena arena;

/* Plans and loads a directory at one type; the arena is the caller's to release on ES_OK. */
static enum es_status load_as(const struct es_model *model, const char *directory,
                              enum es_dtype dtype) {
    struct es_weights_layout layout;
    es_plan_init(&plan);
    es_weights_layout(model, dtype, &plan, &layout);
    if (es_arena_reserve(&arena, &plan, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    enum es_status status = es_weights_load(&weights, model, &layout, &arena, directory, &error);
    if (status != ES_OK) {
        es_arena_release(&arena);
    }
    return status;
}

static void load(const struct es_model *model, const char *directory) {
    enum es_dtype dtype = ES_DTYPE_F32;
    if (es_weights_probe(model, directory, &dtype, &error) != ES_OK ||
        load_as(model, directory, dtype) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
}

static const char *fresh(void) {
    static uint32_t count;
    static char directory[256];
    char name[32];
    snprintf(name, sizeof name, "model%u", count++);
    snprintf(directory, sizeof directory, "%s", es_test_model(name));
    return directory;
}

/* A header changed so must be refused, by probe and load alike, in these words. */
static void expect_refused(const char *old, const char *replacement, const char *said) {
    const char *directory = fresh();
    es_test_replace_header(directory, old, replacement);
    enum es_dtype dtype = ES_DTYPE_BF16;
    ES_EXPECT_EQ(es_weights_probe(&es_test_model_small, directory, &dtype, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, said);
    ES_EXPECT_EQ(load_as(&es_test_model_small, directory, ES_DTYPE_BF16), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, said);
}

/* A value of a tensor as the file has it. */
static float file_value(const char *directory, const char *name, uint64_t index) {
    struct es_safetensors file;
    int fd = -1;
    ES_EXPECT_EQ(es_safetensors_open(&file, es_test_path(directory, CHECKPOINT), &fd, &error),
                 ES_OK);
    const struct es_tensor_info *info = es_safetensors_find(&file, name);
    ES_EXPECT(info != NULL);
    bool is_wide = strcmp(info->dtype, "F32") == 0;
    uint64_t offset = file.data_offset + info->begin + index * (is_wide ? 4 : 2);
    uint32_t bits = 0;
    ES_EXPECT(pread(fd, &bits, is_wide ? 4 : 2, (off_t)offset) > 0);
    float value;
    if (strcmp(info->dtype, "F16") == 0) {
        int exponent = (int)(bits >> 10 & 31);
        double fraction = (double)(bits & 1023) / 1024;
        double magnitude =
            exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15);
        value = (float)((bits & 0x8000) != 0 ? -magnitude : magnitude);
    } else {
        bits = is_wide ? bits : bits << 16;
        memcpy(&value, &bits, sizeof value);
    }
    es_safetensors_close(&file);
    close(fd);
    return value;
}

static void poke(const char *directory, const char *name, uint64_t index, const void *value,
                 size_t bytes) {
    struct es_safetensors file;
    int fd = -1;
    ES_EXPECT_EQ(es_safetensors_open(&file, es_test_path(directory, CHECKPOINT), &fd, &error),
                 ES_OK);
    const struct es_tensor_info *info = es_safetensors_find(&file, name);
    ES_EXPECT(info != NULL);
    uint64_t offset = file.data_offset + info->begin + index * bytes;
    es_safetensors_close(&file);
    close(fd);
    FILE *stream = fopen(es_test_path(directory, CHECKPOINT), "r+b");
    ES_EXPECT(stream != NULL);
    ES_EXPECT(fseek(stream, (long)offset, SEEK_SET) == 0);
    ES_EXPECT(fwrite(value, 1, bytes, stream) == bytes);
    ES_EXPECT(fclose(stream) == 0);
}

static float matrix_value(const struct es_matrix *matrix, uint64_t index) {
    uint32_t bits = 0;
    float value;
    if (matrix->dtype == ES_DTYPE_F32) {
        memcpy(&bits, (const char *)matrix->data + index * 4, 4);
    } else {
        memcpy(&bits, (const char *)matrix->data + index * 2, 2);
        bits <<= 16;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct extents {
    struct extent {
        uintptr_t begin;
        uintptr_t end;
    } list[128];
    uint32_t count;
};

static enum es_status visit_extent(void *context, const struct es_weight *weight) {
    struct extents *extents = context;
    const char *field = (const char *)&weights + weight->field_offset;
    size_t bytes = (size_t)(weight->shape[0] * weight->shape[1] * weight->shape[2]);
    const void *data = NULL;
    if (weight->is_matrix) {
        struct es_matrix matrix;
        memcpy(&matrix, field, sizeof matrix);
        ES_EXPECT_EQ(matrix.out_dim, weight->shape[0]);
        ES_EXPECT_EQ(matrix.in_dim, weight->shape[1] * weight->shape[2]);
        data = matrix.data;
        bytes *= es_dtype_bytes(matrix.dtype);
    } else {
        const float *vector;
        memcpy(&vector, field, sizeof vector);
        data = vector;
        bytes *= sizeof *vector;
    }
    uintptr_t begin = (uintptr_t)data;
    uintptr_t base = (uintptr_t)es_arena_region(&arena, (uint32_t)weight->part);
    ES_EXPECT(begin % 64 == 0);
    ES_EXPECT(begin >= base);
    ES_EXPECT(begin + bytes <= base + plan.regions[weight->part].bytes);
    for (uint32_t i = 0; i < extents->count; i++) {
        ES_EXPECT(begin >= extents->list[i].end || begin + bytes <= extents->list[i].begin);
    }
    ES_EXPECT(extents->count < 128);
    extents->list[extents->count++] = (struct extent){begin, begin + bytes};
    return ES_OK;
}

ES_TEST(
    "every tensor is bound with its shape, aligned, within its region, and no two share a byte") {
    load(&es_test_model_small, fresh());
    const struct es_stack *encoder = &es_test_model_small.encoder;
    const struct es_stack *decoder = &es_test_model_small.decoder;
    ES_EXPECT_EQ(weights.conv0.in_dim, 128 * 3);
    ES_EXPECT_EQ(weights.conv1.out_dim, encoder->dim);
    ES_EXPECT_EQ(weights.conv1.in_dim, encoder->dim * 3);
    ES_EXPECT_EQ(weights.encoder[1].wk.out_dim, 24);
    ES_EXPECT_EQ(weights.encoder[1].wo.in_dim, 48);
    ES_EXPECT_EQ(weights.adapter0.in_dim, encoder->dim * 4);
    ES_EXPECT_EQ(weights.decoder[2].w2.in_dim, decoder->hidden_dim);
    ES_EXPECT_EQ(weights.decoder[2].ada0.out_dim, 32);
    ES_EXPECT_EQ(weights.embedding.out_dim, 1300);
    ES_EXPECT(weights.encoder[2].wq.data == NULL);
    static struct extents extents;
    ES_EXPECT_EQ(es_weights_walk(&es_test_model_small, visit_extent, &extents), ES_OK);
    es_test_note("%u tensors", extents.count);
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan.region_count; i++) {
        bytes += plan.regions[i].bytes;
    }
    es_test_note("%u regions, %zu bytes", plan.region_count, bytes);
    ES_EXPECT_EQ(plan.region_count, 3);
    es_arena_release(&arena);
}

ES_TEST("values arrive where they belong, in every type of file") {
    static const char *names[] = {"norm.weight", WHISPER "transformer.layers.1.attention.wv.bias"};
    for (int dtype = ES_DTYPE_BF16; dtype <= ES_DTYPE_F32; dtype++) {
        char name[32];
        snprintf(name, sizeof name, "values%d", dtype);
        char directory[256];
        snprintf(directory, sizeof directory, "%s",
                 es_test_model_of(name, &es_test_model_small, (enum es_dtype)dtype, 9));
        load(&es_test_model_small, directory);
        ES_EXPECT_EQ(weights.embedding.dtype, dtype);
        for (uint64_t i = 0; i < 24; i++) {
            ES_EXPECT_NEAR(weights.decoder_norm[i], file_value(directory, names[0], i), 0.0);
            ES_EXPECT_NEAR(weights.encoder[1].wv_bias[i], file_value(directory, names[1], i), 0.0);
        }
        if (dtype != ES_DTYPE_F16) {
            ES_EXPECT_NEAR(matrix_value(&weights.decoder[2].wk, 77),
                           file_value(directory, "layers.2.attention.wk.weight", 77), 0.0);
            ES_EXPECT_NEAR(matrix_value(&weights.conv1, 1000),
                           file_value(directory, WHISPER "conv_layers.1.conv.weight", 1000), 0.0);
        }
        es_arena_release(&arena);
    }
}

ES_TEST("a model without encoder biases has none") {
    struct es_model model = es_test_model_small;
    model.encoder_biases = false;
    load(&model, es_test_model_of("plain", &model, ES_DTYPE_BF16, 1));
    ES_EXPECT(weights.encoder[0].wq_bias == NULL);
    ES_EXPECT(weights.encoder[1].w2_bias == NULL);
    ES_EXPECT(weights.conv0_bias != NULL);
    es_arena_release(&arena);
}

ES_TEST("the bring-up model, which another program wrote, loads with all its tensors") {
    struct es_model model;
    const char *directory = ES_SOURCE_DIR "/models/bringup";
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_OK);
    load(&model, directory);
    ES_EXPECT_EQ(weights.embedding.dtype, ES_DTYPE_BF16);
    ES_EXPECT_NEAR(matrix_value(&weights.embedding, 12345),
                   file_value(directory,
                              "mm_streams_embeddings.embedding_module.tok_embeddings.weight",
                              12345),
                   0.0);
    ES_EXPECT_NEAR(weights.conv0_bias[3], 0.17578125, 0.0);
    es_arena_release(&arena);
}

ES_TEST("half-precision values widen exactly, subnormal ones and both zeros included") {
    char directory[256];
    snprintf(directory, sizeof directory, "%s",
             es_test_model_of("half", &es_test_model_small, ES_DTYPE_F16, 1));
    static const struct {
        uint16_t half;
        double value;
    } cases[] = {{0x0001, 0x1p-24}, {0x83ff, -0x3ffp-24}, {0x0400, 0x1p-14},
                 {0x7bff, 65504.0}, {0xc248, -3.140625},  {0x8000, 0.0}};
    for (uint64_t i = 0; i < 6; i++) {
        poke(directory, "norm.weight", i, &cases[i].half, 2);
    }
    load(&es_test_model_small, directory);
    for (uint64_t i = 0; i < 6; i++) {
        ES_EXPECT_NEAR(weights.decoder_norm[i], cases[i].value, 0.0);
    }
    ES_EXPECT(signbit(weights.decoder_norm[5]) != 0);
    es_arena_release(&arena);
}

ES_TEST("a file that mixes BF16 and F16 is widened to F32, exactly") {
    const char *directory = fresh();
    float expected = file_value(directory, "layers.0.attention.wq.weight", 500);
    es_test_replace_header(directory, "\"layers.1.attention.wq.weight\":{\"dtype\":\"BF16\"",
                           "\"layers.1.attention.wq.weight\":{\"dtype\":\"F16\"");
    float reinterpreted = file_value(directory, "layers.1.attention.wq.weight", 4095);
    enum es_dtype dtype = ES_DTYPE_BF16;
    ES_EXPECT_EQ(es_weights_probe(&es_test_model_small, directory, &dtype, &error), ES_OK);
    ES_EXPECT_EQ(dtype, ES_DTYPE_F32);
    load(&es_test_model_small, directory);
    ES_EXPECT_NEAR(matrix_value(&weights.decoder[0].wq, 500), expected, 0.0);
    ES_EXPECT_NEAR(matrix_value(&weights.decoder[1].wq, 4095), reinterpreted, 0.0);
    es_arena_release(&arena);
    ES_EXPECT_EQ(load_as(&es_test_model_small, directory, ES_DTYPE_BF16), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "holds F32 matrices, but memory is planned for BF16");
}

ES_TEST("tensors that nobody asked for are left alone") {
    const char *directory = fresh();
    es_test_replace_header(
        directory, "{\"mm_streams",
        "{\"extra\":{\"dtype\":\"NEW8\",\"shape\":[0],\"data_offsets\":[0,0]},\"mm_streams");
    load(&es_test_model_small, directory);
    es_arena_release(&arena);
}

ES_TEST("a missing tensor is named with the shape that it should have") {
    expect_refused("\"layers.2.attention.wk.weight\"", "\"layers.2.attention.wK.weight\"",
                   "tensor layers.2.attention.wk.weight [32, 64] is missing");
    expect_refused("conv_layers.0.conv.weight", "conv_layers.9.conv.weight",
                   "whisper_encoder.conv_layers.0.conv.weight [48, 128, 3] is missing");
}

ES_TEST("a wrong shape is named with found and expected") {
    expect_refused("\"layers.2.attention.wk.weight\":{\"dtype\":\"BF16\",\"shape\":[32,64]",
                   "\"layers.2.attention.wk.weight\":{\"dtype\":\"BF16\",\"shape\":[64,32]",
                   "has shape [64, 32], params.json makes it [32, 64]");
    expect_refused("\"norm.weight\":{\"dtype\":\"BF16\",\"shape\":[64]",
                   "\"norm.weight\":{\"dtype\":\"BF16\",\"shape\":[64,1]",
                   "tensor norm.weight has shape [64, 1], params.json makes it [64]");
}

ES_TEST("a wrong type is named with what is supported") {
    expect_refused("\"norm.weight\":{\"dtype\":\"BF16\"", "\"norm.weight\":{\"dtype\":\"I16\"",
                   "tensor norm.weight has type I16; BF16, F16 and F32 are supported");
    expect_refused("\"norm.weight\":{\"dtype\":\"BF16\"", "\"norm.weight\":{\"dtype\":\"Q4_0\"",
                   "has type Q4_0");
}

ES_TEST("offsets that overlap or leave the file are refused before anything is read") {
    expect_refused("\"shape\":[48],\"data_offsets\":[36864,36960]",
                   "\"shape\":[48],\"data_offsets\":[36862,36958]", "overlap");
    const char *directory = fresh();
    size_t bytes = 0;
    char *data = es_test_read(directory, CHECKPOINT, &bytes);
    es_test_write(directory, CHECKPOINT, data, bytes - 1);
    free(data);
    ES_EXPECT_EQ(load_as(&es_test_model_small, directory, ES_DTYPE_BF16), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "tensor norm.weight: data_offsets");
}

ES_TEST("a weight that is not finite is named with its index, wherever it stands") {
    static const struct {
        const char *name;
        uint64_t index;
        uint16_t half;
        const char *said;
    } cases[] = {
        {"norm.weight", 63, 0x7fc0, "tensor norm.weight: value 63 is nan"},
        {"layers.0.attention.wq.weight", 4095, 0xff80,
         "tensor layers.0.attention.wq.weight: value 4095 is -inf"},
        {WHISPER "conv_layers.0.conv.weight", 0, 0x7f80, "conv.weight: value 0 is inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *directory = fresh();
        poke(directory, cases[i].name, cases[i].index, &cases[i].half, 2);
        ES_EXPECT_EQ(load_as(&es_test_model_small, directory, ES_DTYPE_BF16), ES_ERR_INPUT);
        ES_EXPECT_CONTAINS(error.text, cases[i].said);
    }
    char directory[256];
    snprintf(directory, sizeof directory, "%s",
             es_test_model_of("wide", &es_test_model_small, ES_DTYPE_F32, 1));
    float bad = NAN;
    poke(directory, "layers.1.feed_forward.w2.weight", 33, &bad, 4);
    ES_EXPECT_EQ(load_as(&es_test_model_small, directory, ES_DTYPE_F32), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "w2.weight: value 33 is");
}

ES_TEST("a tensor of more than one chunk is read whole, in place and widened") {
    struct es_model model = es_test_model_small;
    model.vocab_size = 100000; /* 12.8 MB of BF16 */
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model_of("big", &model, ES_DTYPE_BF16, 4));
    const char *name = "mm_streams_embeddings.embedding_module.tok_embeddings.weight";
    float last = file_value(directory, name, 6399999);
    for (int pass = 0; pass < 2; pass++) {
        ES_EXPECT_EQ(load_as(&model, directory, pass == 0 ? ES_DTYPE_BF16 : ES_DTYPE_F32), ES_OK);
        ES_EXPECT_NEAR(matrix_value(&weights.embedding, 6399999), last, 0.0);
        for (uint64_t i = 4194302; i < 4194306; i++) {
            ES_EXPECT_NEAR(matrix_value(&weights.embedding, i), file_value(directory, name, i),
                           0.0);
        }
        es_arena_release(&arena);
    }
    uint16_t nan_half = 0x7fff;
    poke(directory, name, 4194304, &nan_half, 2);
    ES_EXPECT_EQ(load_as(&model, directory, ES_DTYPE_BF16), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "value 4194304 is nan");
}

ES_TEST("the plan of the 4B model is the checkpoint's size and the widening of its vectors") {
    struct es_weights_layout layout;
    es_plan_init(&plan);
    es_weights_layout(&es_model_4b, ES_DTYPE_BF16, &plan, &layout);
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan.region_count; i++) {
        es_test_note("%s: %zu bytes", plan.regions[i].name, plan.regions[i].bytes);
        bytes += plan.regions[i].bytes;
    }
    ES_EXPECT_EQ(plan.regions[layout.embedding_region].bytes, 131072ull * 3072 * 2 + 3072 * 4);
    ES_EXPECT(bytes > 8859000000u);
    ES_EXPECT(bytes < 8861000000u);
}

static enum es_status visit_count(void *context, const struct es_weight *weight) {
    uint32_t *count = context;
    (*count)++;
    ES_EXPECT(strlen(weight->name) < ES_TENSOR_NAME_BYTES - 1);
    return ES_OK;
}

ES_TEST("the 4B model has 711 tensors") {
    uint32_t count = 0;
    ES_EXPECT_EQ(es_weights_walk(&es_model_4b, visit_count, &count), ES_OK);
    ES_EXPECT_EQ(count, 711);
}

ES_TEST("a missing checkpoint and a directory in its place are named") {
    const char *directory = fresh();
    enum es_dtype dtype = ES_DTYPE_BF16;
    ES_EXPECT(unlink(es_test_path(directory, CHECKPOINT)) == 0);
    ES_EXPECT_EQ(es_weights_probe(&es_test_model_small, directory, &dtype, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "consolidated.safetensors: cannot be opened: No such file");
    ES_EXPECT(mkdir(es_test_path(directory, CHECKPOINT), 0755) == 0);
    ES_EXPECT_EQ(es_weights_probe(&es_test_model_small, directory, &dtype, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "not a regular file");
}
