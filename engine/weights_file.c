#include "engine/weights_file.h"

#include "engine/weights_values.h"
#include "platform/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- matching ---------------------------------------------------------------------------------- */

struct matching {
    const struct es_weights_file *file;
    struct es_error *error;
    bool matrix_dtype_found[ES_DTYPE_COUNT];
    uint32_t weight_count;
};

/* Finds the tensor of a weight and checks its shape and type. */
static enum es_status match(const struct matching *matching, const struct es_weight *weight,
                            const struct es_tensor_info **info, enum es_dtype *dtype) {
    const char *path = matching->file->path;
    char expected[64];
    es_shape_text(weight->shape, weight->rank, expected, sizeof expected);
    *info = es_safetensors_find(&matching->file->header, weight->name);
    if (*info == NULL) {
        return es_fail(
            matching->error, ES_ERR_INPUT,
            "%s: tensor %s %s is missing; give the checkpoint that belongs to params.json", path,
            weight->name, expected);
    }
    if ((*info)->rank != weight->rank ||
        memcmp((*info)->shape, weight->shape, weight->rank * sizeof weight->shape[0]) != 0) {
        char found[128];
        es_shape_text((*info)->shape, (*info)->rank, found, sizeof found);
        return es_fail(
            matching->error, ES_ERR_INPUT,
            "%s: tensor %s has shape %s, params.json makes it %s; give files that belong "
            "together",
            path, weight->name, found, expected);
    }
    if (!es_dtype_find((*info)->dtype, dtype)) {
        return es_fail(matching->error, ES_ERR_INPUT,
                       "%s: tensor %s has type %s; BF16, F16 and F32 are supported", path,
                       weight->name, (*info)->dtype);
    }
    return ES_OK;
}

static enum es_status visit_match(void *context, const struct es_weight *weight) {
    struct matching *matching = context;
    const struct es_tensor_info *info = NULL;
    enum es_dtype dtype = ES_DTYPE_F32;
    enum es_status status = match(matching, weight, &info, &dtype);
    if (status == ES_OK) {
        matching->matrix_dtype_found[dtype] |= weight->is_matrix;
        matching->weight_count++;
    }
    return status;
}

enum es_status es_weights_file_open(struct es_weights_file *file, const struct es_model *model,
                                    const char *directory, struct es_error *error) {
    memset(file, 0, sizeof *file);
    (void)snprintf(file->path, sizeof file->path, "%s/consolidated.safetensors", directory);
    enum es_status status = es_safetensors_open(&file->header, file->path, &file->fd, error);
    if (status != ES_OK) {
        return status;
    }
    struct matching matching = {.file = file, .error = error};
    status = es_weights_walk(model, visit_match, &matching);
    if (status != ES_OK) {
        es_weights_file_close(file);
        return status;
    }
    /* BF16 has the range and F16 the precision: only F32 holds both. */
    const bool *found = matching.matrix_dtype_found;
    bool is_mixed = found[ES_DTYPE_BF16] && found[ES_DTYPE_F16];
    file->dtype = found[ES_DTYPE_F32] || is_mixed ? ES_DTYPE_F32
                  : found[ES_DTYPE_F16]           ? ES_DTYPE_F16
                                                  : ES_DTYPE_BF16;
    file->weight_count = matching.weight_count;
    return ES_OK;
}

void es_weights_file_close(struct es_weights_file *file) {
    free(file->transfers);
    es_safetensors_close(&file->header);
    close(file->fd);
    file->transfers = NULL;
}

enum es_status es_weights_probe(const struct es_model *model, const char *directory,
                                enum es_dtype *dtype, struct es_error *error) {
    struct es_weights_file file;
    enum es_status status = es_weights_file_open(&file, model, directory, error);
    if (status == ES_OK) {
        *dtype = file.dtype;
        es_weights_file_close(&file);
    }
    return status;
}

/* -- binding ----------------------------------------------------------------------------------- */

struct binding {
    struct matching matching;
    struct es_weights_dealing dealing;
    struct es_weights_file *file;
    const struct es_arena *arena;
    struct es_weights *weights;
};

static void bind_matrix(struct binding *binding, const struct es_weight *weight,
                        const struct es_weights_transfer *transfer) {
    const struct es_weight_place *place = &transfer->place;
    struct es_matrix matrix = {
        .data = place->block_count == 1 ? transfer->target : NULL,
        .out_dim = (uint32_t)weight->shape[0],
        .in_dim = place->row_elements,
        .dtype = transfer->to,
        .stride = place->stride,
    };
    memcpy((char *)binding->weights + weight->field_offset, &matrix, sizeof matrix);
    if (weight->part != ES_WEIGHT_EMBEDDING) {
        return;
    }
    struct es_row_blocks *blocks = &binding->weights->embedding_blocks;
    blocks->block_count = place->block_count;
    blocks->rows_per_block = place->rows_per_block;
    blocks->blocks[0] = transfer->target;
    for (uint32_t i = 1; i < place->block_count; i++) {
        blocks->blocks[i] = es_arena_region(binding->arena, place->region + i);
    }
}

static enum es_status visit_bind(void *context, const struct es_weight *weight) {
    struct binding *binding = context;
    struct es_weights_transfer *transfer = &binding->file->transfers[binding->file->transfer_count];
    enum es_status status = match(&binding->matching, weight, &transfer->info, &transfer->from);
    if (status == ES_OK) {
        status =
            es_weights_deal(&binding->dealing, weight, &transfer->place, binding->matching.error);
    }
    if (status != ES_OK) {
        return status;
    }
    uint8_t *region = es_arena_region(binding->arena, transfer->place.region);
    ES_ASSERT(region != NULL);
    transfer->target = region + transfer->place.offset_bytes;
    transfer->to = weight->is_matrix ? binding->dealing.layout->dtype : ES_DTYPE_F32;
    transfer->count = (size_t)(weight->shape[0] * weight->shape[1] * weight->shape[2]);
    transfer->tap_count = weight->rank == 3 ? (uint32_t)weight->shape[2] : 1;
    if (weight->is_matrix) {
        bind_matrix(binding, weight, transfer);
    } else {
        const uint8_t *vector = transfer->target;
        memcpy((char *)binding->weights + weight->field_offset, &vector, sizeof vector);
    }
    binding->file->transfer_count++;
    return ES_OK;
}

static int by_offset(const void *a, const void *b) {
    uint64_t x = ((const struct es_weights_transfer *)a)->info->begin;
    uint64_t y = ((const struct es_weights_transfer *)b)->info->begin;
    return (x > y) - (x < y);
}

enum es_status es_weights_file_bind(struct es_weights_file *file, const struct es_model *model,
                                    const struct es_weights_layout *layout,
                                    const struct es_arena *arena, struct es_weights *weights,
                                    struct es_error *error) {
    memset(weights, 0, sizeof *weights);
    if (file->dtype != layout->dtype && layout->dtype != ES_DTYPE_F32) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: holds %s matrices, but memory is planned for %s; start again if the "
                       "file was replaced",
                       file->path, es_dtype_name(file->dtype), es_dtype_name(layout->dtype));
    }
    file->transfers = calloc(file->weight_count, sizeof *file->transfers);
    if (file->transfers == NULL) {
        return es_fail(error, ES_ERR_HARDWARE, "%s: no memory for its list of tensors", file->path);
    }
    struct binding binding = {
        .matching = {.file = file, .error = error},
        .file = file,
        .arena = arena,
        .weights = weights,
    };
    es_weights_deal_start(&binding.dealing, layout, NULL);
    enum es_status status = es_weights_walk(model, visit_bind, &binding);
    if (status == ES_OK) {
        qsort(file->transfers, file->transfer_count, sizeof *file->transfers, by_offset);
    }
    return status;
}

/* -- what may be wrong with the data ----------------------------------------------------------- */

enum es_status es_weights_file_check(const struct es_weights_file *file,
                                     const struct es_weights_transfer *transfer,
                                     const uint8_t *data, size_t first, size_t count,
                                     struct es_error *error) {
    if (es_values_are_finite(data, transfer->from, count)) {
        return ES_OK;
    }
    size_t index = es_values_find_not_finite(data, transfer->from, count);
    return es_fail(error, ES_ERR_INPUT,
                   "%s: tensor %s: value %zu is %g, weights are finite; the file is damaged, copy "
                   "it again",
                   file->path, transfer->info->name, first + index,
                   (double)es_value_at(data, transfer->from, index));
}

enum es_status es_weights_file_fail_read(const struct es_weights_file *file, uint64_t offset,
                                         int cause, struct es_error *error) {
    return es_fail(error, ES_ERR_INPUT,
                   "%s: reading stopped at byte %" PRIu64 ": %s; copy it again", file->path, offset,
                   cause != 0 ? strerror(cause) : "the file became shorter");
}
