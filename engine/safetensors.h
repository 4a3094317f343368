/* safetensors.h - the header of a safetensors file, checked as a whole.
 *
 *   es_safetensors_open(&file, path, &fd, &error);       reads and checks the header
 *   info = es_safetensors_find(&file, "norm.weight");    NULL when there is none
 *   pread(fd, data, info->end - info->begin, file.data_offset + info->begin);
 *   es_safetensors_close(&file);                         and close(fd)
 *
 * A file is: u64 little-endian header length, JSON header, data. Every tensor's data must lie
 * inside the file, have the size that its shape and type make, and share no byte with another
 * tensor. Holes between tensors are accepted, though the format's own library makes none: they harm
 * nothing. Source: github.com/huggingface/safetensors, README "Format". Allocates; boot only. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stddef.h>
#include <stdint.h>

struct es_tensor_info {
    char name[ES_TENSOR_NAME_BYTES];
    char dtype[12]; /* as in the file: "BF16"; a type that is not known has no size check */
    uint64_t shape[ES_TENSOR_RANK_MAX];
    uint32_t rank;
    uint64_t begin; /* bytes from the start of the data; begin <= end <= data_bytes */
    uint64_t end;
};

struct es_safetensors {
    struct es_tensor_info *tensors; /* [tensor_count], sorted by name; owned */
    uint32_t tensor_count;
    uint64_t data_offset; /* of the data within the file */
    uint64_t data_bytes;
};

/* Reads the header of PATH and checks all of it. On success the caller owns *fd and `file`. */
ES_MUST_CHECK enum es_status es_safetensors_open(struct es_safetensors *file, const char *path,
                                                 int *fd, struct es_error *error);

/* Length of the header from the first `prefix_bytes` (at least 8 in a good file) of a file of
 * `file_bytes`. */
ES_MUST_CHECK enum es_status es_safetensors_header_bytes(const char *label, const uint8_t *prefix,
                                                         size_t prefix_bytes, uint64_t file_bytes,
                                                         size_t *header_bytes,
                                                         struct es_error *error);

/* Checks a header in memory: `text` [header_bytes] of a file of `file_bytes`. `file` is set on
 * success only. */
ES_MUST_CHECK enum es_status es_safetensors_parse(struct es_safetensors *file, const char *label,
                                                  const char *text, size_t header_bytes,
                                                  uint64_t file_bytes, struct es_error *error);

/* Borrowed until es_safetensors_close; NULL when there is no such tensor. */
const struct es_tensor_info *es_safetensors_find(const struct es_safetensors *file,
                                                 const char *name);

void es_safetensors_close(struct es_safetensors *file);

/* "[3072, 1280]" for messages; cut at text_bytes. */
void es_shape_text(const uint64_t *shape, uint32_t rank, char *text, size_t text_bytes);
