#include "engine/block_reader.h"
#include "engine/weights_file.h"
#include "engine/weights_values.h"
#include "platform/assert.h"

#include <string.h>

#define SHAPE_SLOT 2u /* slots 0 and 1 are the blocks', these two those of the rows in the making */

_Static_assert(SHAPE_SLOT + 2u == ES_SINK_SLOT_COUNT, "two halves of each");

struct loading {
    const struct es_weights_file *file;
    const struct es_row_blocks *embedding_blocks;
    const struct es_weights_sink *sink;
    struct es_error *error;
    struct es_block_reader reader;
    uint8_t *halves[2]; /* blocks of the file; a page before each takes what was left over */
    uint8_t *shapes[2];
    size_t shape_bytes;
    /* The transfer in progress. */
    uint32_t transfer_index;
    size_t done_count;  /* elements of it that went on */
    size_t carry_bytes; /* of an element that the block's end cut in two */
    uint8_t carry[sizeof(float)];
    uint32_t shape_index; /* which half rows are being made in */
    size_t shape_used_bytes;
    size_t shape_put_bytes; /* of the transfer's rows that are on their way */
};

/* -- to the device ----------------------------------------------------------------------------- */

/* Starts to copy a range of the tensor as the device has it, over the ends of blocks of rows. */
static enum es_status put(struct loading *loading, const struct es_weights_transfer *transfer,
                          size_t offset_bytes, const uint8_t *source, size_t bytes) {
    const struct es_weight_place *place = &transfer->place;
    const size_t block_bytes =
        (size_t)place->rows_per_block * place->stride * es_dtype_bytes(transfer->to);
    enum es_status status = ES_OK;
    while (status == ES_OK && bytes > 0) {
        const size_t block = offset_bytes / block_bytes;
        const size_t within_bytes = offset_bytes % block_bytes;
        const size_t left_bytes = block_bytes - within_bytes;
        const size_t part_bytes = bytes < left_bytes ? bytes : left_bytes;
        ES_ASSERT(block < place->block_count);
        const void *first =
            block == 0 ? transfer->target : loading->embedding_blocks->blocks[block];
        status =
            loading->sink->put(loading->sink->context, (uint8_t *)(uintptr_t)first + within_bytes,
                               source, part_bytes, loading->error);
        offset_bytes += part_bytes;
        source += part_bytes;
        bytes -= part_bytes;
    }
    return status;
}

/* -- rows that change their shape -------------------------------------------------------------- */

static bool changes_shape(const struct es_weights_transfer *transfer) {
    return transfer->from != transfer->to || transfer->tap_count > 1 ||
           transfer->place.stride != transfer->place.row_elements;
}

/* Sends the rows that are made, and goes on in the other half once that is free. */
static enum es_status flush_rows(struct loading *loading,
                                 const struct es_weights_transfer *transfer) {
    if (loading->shape_used_bytes == 0) {
        return ES_OK;
    }
    const struct es_weights_sink *sink = loading->sink;
    enum es_status status = put(loading, transfer, loading->shape_put_bytes,
                                loading->shapes[loading->shape_index], loading->shape_used_bytes);
    if (status == ES_OK) {
        status = sink->mark(sink->context, SHAPE_SLOT + loading->shape_index, loading->error);
    }
    loading->shape_put_bytes += loading->shape_used_bytes;
    loading->shape_used_bytes = 0;
    loading->shape_index ^= 1u;
    if (status == ES_OK) {
        status = sink->wait(sink->context, SHAPE_SLOT + loading->shape_index, loading->error);
    }
    return status;
}

/* Elements column .. column + count - 1 of a row, to where the device wants them. */
static void write_elements(const struct es_weights_transfer *transfer, uint8_t *row, size_t column,
                           const uint8_t *data, size_t count) {
    const size_t from_bytes = es_dtype_bytes(transfer->from);
    if (transfer->from != transfer->to) {
        for (size_t i = 0; i < count; i++) {
            float value = es_value_at(data, transfer->from, i);
            memcpy(row + (column + i) * sizeof value, &value, sizeof value);
        }
    } else if (transfer->tap_count > 1) { /* in * taps + tap becomes tap * in_dim + in */
        const size_t in_dim = transfer->place.row_elements / transfer->tap_count;
        for (size_t i = 0; i < count; i++) {
            const size_t in = (column + i) / transfer->tap_count;
            const size_t tap = (column + i) % transfer->tap_count;
            memcpy(row + (tap * in_dim + in) * from_bytes, data + i * from_bytes, from_bytes);
        }
    } else {
        memcpy(row + column * from_bytes, data, count * from_bytes);
    }
}

static enum es_status shape(struct loading *loading, const struct es_weights_transfer *transfer,
                            const uint8_t *data, size_t count) {
    const size_t row_elements = transfer->place.row_elements;
    const size_t to_bytes = es_dtype_bytes(transfer->to);
    const size_t row_bytes = transfer->place.stride * to_bytes;
    ES_ASSERT(row_bytes <= loading->shape_bytes);
    size_t taken = 0;
    while (taken < count) {
        const size_t column = (loading->done_count + taken) % row_elements;
        const size_t left = row_elements - column;
        const size_t run = count - taken < left ? count - taken : left;
        if (column == 0 && row_bytes > loading->shape_bytes - loading->shape_used_bytes) {
            enum es_status status = flush_rows(loading, transfer);
            if (status != ES_OK) {
                return status;
            }
        }
        uint8_t *row = loading->shapes[loading->shape_index] + loading->shape_used_bytes;
        write_elements(transfer, row, column, data + taken * es_dtype_bytes(transfer->from), run);
        if (run == left) {
            memset(row + row_elements * to_bytes, 0, row_bytes - row_elements * to_bytes);
            loading->shape_used_bytes += row_bytes;
        }
        taken += run;
    }
    return ES_OK;
}

/* -- from the file ----------------------------------------------------------------------------- */

/* The bytes of the transfer in progress that a block holds. */
static enum es_status take_piece(struct loading *loading, uint8_t *data, size_t bytes) {
    const struct es_weights_transfer *transfer = &loading->file->transfers[loading->transfer_index];
    const size_t element_bytes = es_dtype_bytes(transfer->from);
    if (loading->carry_bytes > 0) {
        data -= loading->carry_bytes;
        bytes += loading->carry_bytes;
        memcpy(data, loading->carry, loading->carry_bytes);
    }
    const size_t count = bytes / element_bytes;
    enum es_status status = es_weights_file_check(loading->file, transfer, data,
                                                  loading->done_count, count, loading->error);
    if (status == ES_OK) {
        status = changes_shape(transfer)
                     ? shape(loading, transfer, data, count)
                     : put(loading, transfer, loading->done_count * element_bytes, data,
                           count * element_bytes);
    }
    loading->done_count += count;
    loading->carry_bytes = bytes % element_bytes;
    memcpy(loading->carry, data + count * element_bytes, loading->carry_bytes);
    return status;
}

static enum es_status take_block(struct loading *loading, uint8_t *block, uint64_t offset,
                                 size_t bytes) {
    const struct es_weights_file *file = loading->file;
    enum es_status status = ES_OK;
    while (status == ES_OK && loading->transfer_index < file->transfer_count) {
        const struct es_weights_transfer *transfer = &file->transfers[loading->transfer_index];
        const uint64_t begin = file->header.data_offset + transfer->info->begin;
        const uint64_t end = file->header.data_offset + transfer->info->end;
        if (begin >= offset + bytes) {
            break;
        }
        const uint64_t from = begin > offset ? begin : offset;
        const uint64_t to = end < offset + bytes ? end : offset + bytes;
        status = take_piece(loading, block + (from - offset), (size_t)(to - from));
        if (status != ES_OK || to < end) {
            break;
        }
        ES_ASSERT(loading->done_count == transfer->count);
        status = flush_rows(loading, transfer);
        loading->transfer_index++;
        loading->done_count = 0;
        loading->shape_put_bytes = 0;
    }
    return status;
}

/* The first page at or behind `offset` with a byte that is wanted; UINT64_MAX when there is none.
 * */
static uint64_t next_block(const struct es_weights_file *file, uint64_t offset) {
    for (uint32_t i = 0; i < file->transfer_count; i++) {
        const uint64_t begin = file->header.data_offset + file->transfers[i].info->begin;
        const uint64_t end = file->header.data_offset + file->transfers[i].info->end;
        if (end > offset) {
            const uint64_t wanted = begin > offset ? begin : offset;
            return wanted - wanted % ES_PAGE_BYTES;
        }
    }
    return UINT64_MAX;
}

static void ask(struct loading *loading, uint8_t *block, uint64_t offset) {
    const struct es_weights_file *file = loading->file;
    const uint64_t end =
        file->header.data_offset + file->transfers[file->transfer_count - 1].info->end;
    const uint64_t left_bytes = end - offset;
    es_block_reader_ask(&loading->reader, block, offset, ES_STAGING_BLOCK_BYTES,
                        left_bytes < ES_STAGING_BLOCK_BYTES ? (size_t)left_bytes
                                                            : ES_STAGING_BLOCK_BYTES);
}

/* One half is read while the other is checked and copied. */
static enum es_status take_all(struct loading *loading) {
    const struct es_weights_file *file = loading->file;
    const struct es_weights_sink *sink = loading->sink;
    uint64_t offset = next_block(file, 0);
    ask(loading, loading->halves[0], offset);
    enum es_status status = ES_OK;
    for (uint32_t half = 0; status == ES_OK && offset != UINT64_MAX; half ^= 1u) {
        if (!es_block_reader_wait(&loading->reader)) {
            return es_weights_file_fail_read(file, offset + loading->reader.have_bytes,
                                             loading->reader.cause, loading->error);
        }
        const size_t bytes = loading->reader.needed_bytes;
        const uint64_t next = next_block(file, offset + ES_STAGING_BLOCK_BYTES);
        if (next != UINT64_MAX) {
            status = sink->wait(sink->context, half ^ 1u, loading->error);
            if (status != ES_OK) {
                return status;
            }
            ask(loading, loading->halves[half ^ 1u], next);
        }
        status = take_block(loading, loading->halves[half], offset, bytes);
        if (status == ES_OK) {
            status = sink->mark(sink->context, half, loading->error);
        }
        offset = next;
    }
    return status;
}

static void bind_staging(struct loading *loading, const struct es_weights_layout *layout,
                         const struct es_arena *arena) {
    uint8_t *region = es_arena_region(arena, layout->staging_region);
    ES_ASSERT(region != NULL);
    uint8_t *at = region + ((0 - (uintptr_t)region) & (ES_PAGE_BYTES - 1u));
    for (uint32_t i = 0; i < 2; i++) {
        loading->halves[i] = at + ES_PAGE_BYTES;
        at += ES_PAGE_BYTES + ES_STAGING_BLOCK_BYTES;
    }
    for (uint32_t i = 0; i < 2; i++) {
        loading->shapes[i] = at;
        at += layout->shape_bytes;
    }
    ES_ASSERT(at <= region + es_weights_staging_bytes(layout));
    loading->shape_bytes = layout->shape_bytes;
}

enum es_status es_weights_load_device(struct es_weights *weights, const struct es_model *model,
                                      const struct es_weights_layout *layout,
                                      const struct es_arena *arena,
                                      const struct es_weights_sink *sink, const char *directory,
                                      struct es_error *error) {
    ES_ASSERT(layout->kind != ES_MEM_HOST);
    struct es_weights_file file;
    enum es_status status = es_weights_file_open(&file, model, directory, error);
    if (status != ES_OK) {
        return status;
    }
    struct loading loading = {.file = &file,
                              .embedding_blocks = &weights->embedding_blocks,
                              .sink = sink,
                              .error = error};
    status = es_weights_file_bind(&file, model, layout, arena, weights, error);
    if (status == ES_OK) {
        bind_staging(&loading, layout, arena);
        status = es_block_reader_open(&loading.reader, file.fd, error);
    }
    if (status == ES_OK) {
        status = take_all(&loading);
        es_block_reader_close(&loading.reader);
        /* Also after a failure: copies must not read the staging any more when this returns. */
        struct es_error later;
        enum es_status finished = sink->finish(sink->context, status == ES_OK ? error : &later);
        status = status == ES_OK ? finished : status;
    }
    es_weights_file_close(&file);
    return status;
}
