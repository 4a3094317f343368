/* The header of a safetensors file, as one that is as long as its data and as one that goes on for
 * terabytes; what is accepted must be true. */
#include "engine/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void expect_true(const struct es_safetensors *file, uint64_t file_bytes) {
    if (file->data_offset > file_bytes || file->data_bytes > file_bytes - file->data_offset) {
        abort();
    }
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        const struct es_tensor_info *info = &file->tensors[i];
        if (info->begin > info->end || info->end > file->data_bytes ||
            info->rank > ES_TENSOR_RANK_MAX || es_safetensors_find(file, info->name) != info) {
            abort();
        }
        char text[64];
        es_shape_text(info->shape, info->rank, text, sizeof text);
    }
}

static void parse(const char *text, size_t header_bytes, uint64_t file_bytes) {
    struct es_safetensors file;
    struct es_error error = {""};
    enum es_status status =
        es_safetensors_parse(&file, "model", text, header_bytes, file_bytes, &error);
    fuzz_expect_verdict(status, &error);
    if (status == ES_OK) {
        expect_true(&file, file_bytes);
        es_safetensors_close(&file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct es_error error = {""};
    size_t header_bytes = 0;
    enum es_status status =
        es_safetensors_header_bytes("model", data, bytes, bytes, &header_bytes, &error);
    fuzz_expect_verdict(status, &error);
    if (status == ES_OK) {
        if (header_bytes > bytes - 8) {
            abort();
        }
        parse((const char *)data + 8, header_bytes, bytes);
    }
    if (bytes > 8) {
        parse((const char *)data + 8, bytes - 8, (uint64_t)1 << 44);
    }
    return 0;
}
