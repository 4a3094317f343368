#include "tests/support/model_files.h"

#include "tests/support/test.h"
#include "tools/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LENGTH_BYTES 8u

const struct es_model es_test_model_small = {
    .encoder = {48, 2, 8, 80, 6, 3, 20, 1e6, 1e-5f},
    .decoder = {64, 3, 16, 96, 4, 2, 24, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 128,
    .downsample = 4,
    .frames_per_position = 8,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 1300,
};

const char *es_test_model_of(const char *name, const struct es_model *model, enum es_dtype dtype,
                             uint64_t seed) {
    static char directory[256];
    snprintf(directory, sizeof directory, "%s/%s", es_test_directory(), name);
    struct es_error error = {{0}};
    struct es_pool *pool = NULL;
    if (es_pool_start(&pool, 1, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    enum es_status status = es_random_model_write(directory, model, dtype, seed, pool, &error);
    es_pool_stop(pool);
    if (status != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    return directory;
}

const char *es_test_model(const char *name) {
    return es_test_model_of(name, &es_test_model_small, ES_DTYPE_BF16, 1);
}

const char *es_test_path(const char *directory, const char *file) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return path;
}

char *es_test_read(const char *directory, const char *file, size_t *bytes) {
    FILE *stream = fopen(es_test_path(directory, file), "rb");
    ES_EXPECT(stream != NULL);
    ES_EXPECT(fseek(stream, 0, SEEK_END) == 0);
    long end = ftell(stream);
    ES_EXPECT(end >= 0);
    rewind(stream);
    char *data = malloc((size_t)end + 1);
    ES_EXPECT(data != NULL);
    ES_EXPECT(fread(data, 1, (size_t)end, stream) == (size_t)end);
    data[end] = '\0';
    fclose(stream);
    *bytes = (size_t)end;
    return data;
}

void es_test_write(const char *directory, const char *file, const void *data, size_t bytes) {
    FILE *stream = fopen(es_test_path(directory, file), "wb");
    ES_EXPECT(stream != NULL);
    ES_EXPECT(fwrite(data, 1, bytes, stream) == bytes);
    ES_EXPECT(fclose(stream) == 0);
}

/* A copy of `text` [bytes] with the first `old` in [begin, end) replaced; the caller frees. */
static char *replaced(const char *text, size_t bytes, size_t begin, size_t end, const char *old,
                      const char *replacement, size_t *new_bytes) {
    size_t old_bytes = strlen(old);
    const char *found = memmem(text + begin, end - begin, old, old_bytes);
    if (found == NULL) {
        es_test_fail(__FILE__, __LINE__, "the file does not hold \"%s\"", old);
    }
    size_t before = (size_t)(found - text);
    size_t after = bytes - before - old_bytes;
    size_t middle = strlen(replacement);
    char *copy = malloc(before + middle + after + 1);
    ES_EXPECT(copy != NULL);
    memcpy(copy, text, before);
    memcpy(copy + before, replacement, middle);
    memcpy(copy + before + middle, found + old_bytes, after);
    *new_bytes = before + middle + after;
    return copy;
}

void es_test_replace(const char *directory, const char *file, const char *old,
                     const char *replacement) {
    size_t bytes = 0;
    size_t new_bytes = 0;
    char *text = es_test_read(directory, file, &bytes);
    char *copy = replaced(text, bytes, 0, bytes, old, replacement, &new_bytes);
    es_test_write(directory, file, copy, new_bytes);
    free(copy);
    free(text);
}

void es_test_replace_header(const char *directory, const char *old, const char *replacement) {
    size_t bytes = 0;
    size_t new_bytes = 0;
    char *data = es_test_read(directory, "consolidated.safetensors", &bytes);
    uint64_t header_bytes = 0;
    memcpy(&header_bytes, data, HEADER_LENGTH_BYTES);
    char *copy = replaced(data, bytes, HEADER_LENGTH_BYTES, HEADER_LENGTH_BYTES + header_bytes, old,
                          replacement, &new_bytes);
    header_bytes += new_bytes - bytes;
    memcpy(copy, &header_bytes, HEADER_LENGTH_BYTES);
    es_test_write(directory, "consolidated.safetensors", copy, new_bytes);
    free(copy);
    free(data);
}
