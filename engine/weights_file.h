/* weights_file.h - a checkpoint that is open, and where each of its tensors goes.
 *
 *   status = es_weights_file_open(&file, &model, directory, &error);   every name, shape and type
 *   status = es_weights_file_bind(&file, &model, &layout, &arena, &weights, &error);
 *   for (i < file.transfer_count) { file.transfers[i] ... }            in the order of the file
 *   es_weights_file_close(&file);
 *
 * Allocates; boot only. Internal to engine/weights*.c. */
#pragma once

#include "engine/safetensors.h"
#include "engine/weights_place.h"

/* One tensor on its way from the file to its place. */
struct es_weights_transfer {
    const struct es_tensor_info *info;
    uint8_t *target; /* in the arena: the first block's start where there are several */
    size_t count;    /* elements */
    enum es_dtype from;
    enum es_dtype to;
    struct es_weight_place place;
    uint32_t tap_count; /* 3: a convolution, whose rows are in * 3 + tap in the file; else 1 */
};

struct es_weights_file {
    char path[ES_FILE_PATH_BYTES];
    struct es_safetensors header;
    int fd;
    enum es_dtype dtype; /* of all matrices, the widest that occurs */
    uint32_t weight_count;
    struct es_weights_transfer *transfers; /* owned; NULL before es_weights_file_bind */
    uint32_t transfer_count;
};

/* Opens DIRECTORY/consolidated.safetensors and matches every weight of the model. On success the
 * caller closes it. */
ES_MUST_CHECK enum es_status es_weights_file_open(struct es_weights_file *file,
                                                  const struct es_model *model,
                                                  const char *directory, struct es_error *error);

/* Points the weights to their places and lists the transfers, sorted by where they are in the file.
 * */
ES_MUST_CHECK enum es_status
es_weights_file_bind(struct es_weights_file *file, const struct es_model *model,
                     const struct es_weights_layout *layout, const struct es_arena *arena,
                     struct es_weights *weights, struct es_error *error);

/* ES_OK when none of the values is an infinity or no number, else the line that names the tensor
 * and the first of them. `first` is the index of data's first value in the tensor. */
ES_MUST_CHECK enum es_status es_weights_file_check(const struct es_weights_file *file,
                                                   const struct es_weights_transfer *transfer,
                                                   const uint8_t *data, size_t first, size_t count,
                                                   struct es_error *error);

/* The line for a read that gave nothing more: `cause` is errno, or 0 at the file's end. */
enum es_status es_weights_file_fail_read(const struct es_weights_file *file, uint64_t offset,
                                         int cause, struct es_error *error);

void es_weights_file_close(struct es_weights_file *file);
