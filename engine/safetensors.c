#include "engine/safetensors.h"

#include "engine/json.h"
#include "platform/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTH_BYTES 8u

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
    {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8},
};

/* 0 for a type that is not known. */
static uint32_t dtype_bytes(const char *name) {
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            return dtypes[i].bytes;
        }
    }
    return 0;
}

void es_shape_text(const uint64_t *shape, uint32_t rank, char *text, size_t text_bytes) {
    size_t used = (size_t)snprintf(text, text_bytes, "[");
    for (uint32_t i = 0; i < rank && used < text_bytes; i++) {
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%" PRIu64, i > 0 ? ", " : "",
                                 shape[i]);
    }
    if (used < text_bytes) {
        snprintf(text + used, text_bytes - used, "]");
    }
}

enum es_status es_safetensors_header_bytes(const char *label, const uint8_t *prefix,
                                           size_t prefix_bytes, uint64_t file_bytes,
                                           size_t *header_bytes, struct es_error *error) {
    if (prefix_bytes < LENGTH_BYTES || file_bytes < LENGTH_BYTES) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: has %" PRIu64
                       " bytes, a safetensors file has more than 8; copy it again",
                       label, file_bytes);
    }
    uint64_t promised = 0;
    for (size_t i = LENGTH_BYTES; i-- > 0;) {
        promised = promised << 8 | prefix[i];
    }
    if (promised < 2 || promised > ES_SAFETENSORS_HEADER_BYTES_MAX) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: promises a header of %" PRIu64
                       " bytes, 2..%u are possible; is it a safetensors file?",
                       label, promised, ES_SAFETENSORS_HEADER_BYTES_MAX);
    }
    if (promised > file_bytes - LENGTH_BYTES) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: promises a header of %" PRIu64 " bytes, but only %" PRIu64
                       " follow; copy it again",
                       label, promised, file_bytes - LENGTH_BYTES);
    }
    *header_bytes = (size_t)promised;
    return ES_OK;
}

/* -- one tensor -------------------------------------------------------------------------------- */

/* A list of `count_max` whole numbers >= 0 at most; false when it is anything else. */
static bool read_numbers(const json_t *list, uint64_t *numbers, size_t count_max, size_t *count) {
    if (!json_is_array(list) || json_array_size(list) > count_max) {
        return false;
    }
    *count = json_array_size(list);
    for (size_t i = 0; i < *count; i++) {
        const json_t *number = json_array_get(list, i);
        if (!json_is_integer(number) || json_integer_value(number) < 0) {
            return false;
        }
        numbers[i] = (uint64_t)json_integer_value(number);
    }
    return true;
}

/* Bytes of a tensor, or UINT64_MAX when that does not fit 64 bits. */
static uint64_t tensor_bytes(const struct es_tensor_info *info, uint32_t element_bytes) {
    uint64_t bytes = element_bytes;
    for (uint32_t i = 0; i < info->rank; i++) {
        if (info->shape[i] == 0) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < info->rank; i++) {
        if (bytes > UINT64_MAX / info->shape[i]) {
            return UINT64_MAX;
        }
        bytes *= info->shape[i];
    }
    return bytes;
}

static enum es_status check_extent(const struct es_tensor_info *info, const char *label,
                                   uint64_t data_bytes, struct es_error *error) {
    if (info->begin > info->end || info->end > data_bytes) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: tensor %s: data_offsets [%" PRIu64 ", %" PRIu64
                       "] do not lie in the %" PRIu64 " bytes of data; copy it again",
                       label, info->name, info->begin, info->end, data_bytes);
    }
    uint32_t element_bytes = dtype_bytes(info->dtype);
    uint64_t expected = tensor_bytes(info, element_bytes);
    if (element_bytes != 0 && info->end - info->begin != expected) {
        char shape[128];
        es_shape_text(info->shape, info->rank, shape, sizeof shape);
        if (expected == UINT64_MAX) {
            return es_fail(error, ES_ERR_INPUT,
                           "%s: tensor %s: shape %s is more than 2^64 bytes; copy it again", label,
                           info->name, shape);
        }
        return es_fail(error, ES_ERR_INPUT,
                       "%s: tensor %s: holds %" PRIu64 " bytes, but %s of %s makes %" PRIu64
                       "; copy it again",
                       label, info->name, info->end - info->begin, shape, info->dtype, expected);
    }
    return ES_OK;
}

static enum es_status read_tensor(struct es_tensor_info *info, const char *label, const char *name,
                                  const json_t *value, uint64_t data_bytes,
                                  struct es_error *error) {
    if (strlen(name) >= sizeof info->name) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: tensor %.60s...: its name is longer than %zu bytes", label, name,
                       sizeof info->name - 1);
    }
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", name);
    const json_t *dtype = json_object_get(value, "dtype");
    if (!json_is_string(dtype) || json_string_length(dtype) >= sizeof info->dtype) {
        return es_fail(error, ES_ERR_INPUT, "%s: tensor %s: has no dtype; save it as safetensors",
                       label, name);
    }
    snprintf(info->dtype, sizeof info->dtype, "%s", json_string_value(dtype));
    size_t rank = 0;
    if (!read_numbers(json_object_get(value, "shape"), info->shape, ES_TENSOR_RANK_MAX, &rank)) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: tensor %s: shape is not a list of at most %u whole numbers >= 0; "
                       "copy it again",
                       label, name, ES_TENSOR_RANK_MAX);
    }
    info->rank = (uint32_t)rank;
    uint64_t offsets[2];
    size_t offset_count = 0;
    if (!read_numbers(json_object_get(value, "data_offsets"), offsets, 2, &offset_count) ||
        offset_count != 2) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: tensor %s: data_offsets is not a pair of whole numbers >= 0; "
                       "copy it again",
                       label, name);
    }
    info->begin = offsets[0];
    info->end = offsets[1];
    return check_extent(info, label, data_bytes, error);
}

/* -- the header -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct es_tensor_info *)a)->name,
                  ((const struct es_tensor_info *)b)->name);
}

static int by_begin(const void *a, const void *b) {
    const struct es_tensor_info *x = a;
    const struct es_tensor_info *y = b;
    int order = (x->begin > y->begin) - (x->begin < y->begin);
    return order != 0 ? order : (x->end > y->end) - (x->end < y->end);
}

static enum es_status check_overlaps(struct es_safetensors *file, const char *label,
                                     struct es_error *error) {
    ES_ASSERT(file->tensors != NULL);
    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_begin);
    for (uint32_t i = 1; i < file->tensor_count; i++) {
        const struct es_tensor_info *before = &file->tensors[i - 1];
        const struct es_tensor_info *info = &file->tensors[i];
        if (info->begin < before->end) {
            return es_fail(error, ES_ERR_INPUT,
                           "%s: tensors %s and %s overlap at data byte %" PRIu64 "; copy it again",
                           label, before->name, info->name, info->begin);
        }
    }
    return ES_OK;
}

static enum es_status check_metadata(const char *label, json_t *value, struct es_error *error) {
    const char *key = NULL;
    json_t *text = NULL;
    bool is_valid = json_is_object(value);
    json_object_foreach(value, key, text) {
        is_valid = is_valid && json_is_string(text);
    }
    return is_valid ? ES_OK
                    : es_fail(error, ES_ERR_INPUT,
                              "%s: __metadata__ is not an object of strings; copy it again", label);
}

static enum es_status add_member(struct es_safetensors *file, struct es_json_cursor *cursor,
                                 const char *key, uint32_t *capacity, struct es_error *error) {
    json_t *value = NULL;
    enum es_status status = es_json_value(cursor, &value, error);
    if (status != ES_OK) {
        return status;
    }
    if (strcmp(key, "__metadata__") == 0) {
        status = check_metadata(cursor->label, value, error);
        json_decref(value);
        return status;
    }
    if (file->tensor_count == *capacity) {
        uint32_t grown = *capacity == 0 ? 1024 : *capacity * 2;
        struct es_tensor_info *tensors =
            grown > ES_TENSOR_COUNT_MAX ? NULL : realloc(file->tensors, grown * sizeof *tensors);
        if (tensors == NULL) {
            json_decref(value);
            return es_fail(error, ES_ERR_INPUT, "%s: has more than %u tensors; give a model's file",
                           cursor->label, *capacity);
        }
        file->tensors = tensors;
        *capacity = grown;
    }
    status = read_tensor(&file->tensors[file->tensor_count], cursor->label, key, value,
                         file->data_bytes, error);
    file->tensor_count++;
    json_decref(value);
    return status;
}

enum es_status es_safetensors_parse(struct es_safetensors *file, const char *label,
                                    const char *text, size_t header_bytes, uint64_t file_bytes,
                                    struct es_error *error) {
    struct es_safetensors read = {.data_offset = LENGTH_BYTES + header_bytes,
                                  .data_bytes = file_bytes - LENGTH_BYTES - header_bytes};
    struct es_json_cursor cursor = {.label = label, .text = text, .text_bytes = header_bytes};
    uint32_t capacity = 0;
    const char *key = NULL;
    enum es_status status = es_json_enter(&cursor, '{', error);
    while (status == ES_OK) {
        status = es_json_next_key(&cursor, &key, error);
        if (status != ES_OK || key == NULL) {
            break;
        }
        status = add_member(&read, &cursor, key, &capacity, error);
    }
    if (status == ES_OK) {
        status = es_json_end(&cursor, error);
    }
    es_json_leave(&cursor);
    if (status == ES_OK && read.tensor_count == 0) {
        status = es_fail(error, ES_ERR_INPUT, "%s: holds no tensors; give a model's file", label);
    }
    if (status == ES_OK) {
        status = check_overlaps(&read, label, error);
    }
    if (status != ES_OK) {
        free(read.tensors);
        return status;
    }
    qsort(read.tensors, read.tensor_count, sizeof *read.tensors, by_name);
    *file = read;
    return ES_OK;
}

const struct es_tensor_info *es_safetensors_find(const struct es_safetensors *file,
                                                 const char *name) {
    uint32_t low = 0;
    uint32_t high = file->tensor_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(file->tensors[middle].name, name);
        if (order == 0) {
            return &file->tensors[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

/* -- the file ---------------------------------------------------------------------------------- */

static enum es_status read_at(int fd, const char *path, void *data, size_t bytes, uint64_t offset,
                              struct es_error *error) {
    size_t have = 0;
    while (have < bytes) {
        ssize_t n = pread(fd, (char *)data + have, bytes - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return es_fail(error, ES_ERR_INPUT, "%s: the header cannot be read: %s; copy it again",
                           path, n < 0 ? strerror(errno) : "the file became shorter");
        }
        have += (size_t)n;
    }
    return ES_OK;
}

static enum es_status read_header(struct es_safetensors *file, const char *path, int fd,
                                  uint64_t file_bytes, struct es_error *error) {
    uint8_t prefix[LENGTH_BYTES] = {0};
    size_t prefix_bytes = file_bytes < sizeof prefix ? (size_t)file_bytes : sizeof prefix;
    enum es_status status = read_at(fd, path, prefix, prefix_bytes, 0, error);
    size_t header_bytes = 0;
    if (status == ES_OK) {
        status = es_safetensors_header_bytes(path, prefix, prefix_bytes, file_bytes, &header_bytes,
                                             error);
    }
    if (status != ES_OK) {
        return status;
    }
    char *text = malloc(header_bytes);
    if (text == NULL) {
        return es_fail(error, ES_ERR_HARDWARE, "%s: no memory for a header of %zu bytes", path,
                       header_bytes);
    }
    status = read_at(fd, path, text, header_bytes, LENGTH_BYTES, error);
    if (status == ES_OK) {
        status = es_safetensors_parse(file, path, text, header_bytes, file_bytes, error);
    }
    free(text);
    return status;
}

enum es_status es_safetensors_open(struct es_safetensors *file, const char *path, int *fd,
                                   struct es_error *error) {
    int opened = -1;
    uint64_t file_bytes = 0;
    enum es_status status = es_file_open(path, &opened, &file_bytes, error);
    if (status != ES_OK) {
        return status;
    }
    status = read_header(file, path, opened, file_bytes, error);
    if (status != ES_OK) {
        close(opened);
        return status;
    }
    *fd = opened;
    return ES_OK;
}

void es_safetensors_close(struct es_safetensors *file) {
    free(file->tensors);
    file->tensors = NULL;
    file->tensor_count = 0;
}
