#include "engine/weights.h"

#include "engine/weights_file.h"
#include "engine/weights_values.h"
#include "platform/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum es_status read_chunk(const struct es_weights_file *file, uint8_t *data, size_t bytes,
                                 uint64_t offset, struct es_error *error) {
    size_t have = 0;
    while (have < bytes) {
        ssize_t n = pread(file->fd, data + have, bytes - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return es_weights_file_fail_read(file, offset + have, n < 0 ? errno : 0, error);
        }
        have += (size_t)n;
    }
    /* A weight is in memory once: the page cache forgets what the arena has now. */
    (void)posix_fadvise(file->fd, 0, (off_t)(offset + bytes), POSIX_FADV_DONTNEED);
    return ES_OK;
}

/* Reads one tensor in chunks to where it stays. Values that are widened are read into the upper
 * half of their place and spread out from its start: value i is written to bytes 4i..4i+3 and read
 * from bytes 2n+2i.., which no earlier write has reached. */
static enum es_status read_tensor(const struct es_weights_file *file,
                                  const struct es_weights_transfer *transfer,
                                  struct es_error *error) {
    size_t from_bytes = es_dtype_bytes(transfer->from);
    size_t to_bytes = es_dtype_bytes(transfer->to);
    size_t chunk_count = ES_READ_CHUNK_BYTES / from_bytes;
    uint8_t *target = transfer->target;
    uint8_t *landing = target + transfer->count * (to_bytes - from_bytes);
    for (size_t first = 0; first < transfer->count; first += chunk_count) {
        size_t left = transfer->count - first;
        size_t count = left < chunk_count ? left : chunk_count;
        uint8_t *chunk = landing + first * from_bytes;
        uint64_t offset = file->header.data_offset + transfer->info->begin + first * from_bytes;
        enum es_status status = read_chunk(file, chunk, count * from_bytes, offset, error);
        if (status == ES_OK) {
            status = es_weights_file_check(file, transfer, chunk, first, count, error);
        }
        if (status != ES_OK) {
            return status;
        }
        for (size_t i = 0; transfer->from != transfer->to && i < count; i++) {
            float value = es_value_at(chunk, transfer->from, i);
            memcpy(target + (first + i) * sizeof value, &value, sizeof value);
        }
    }
    return ES_OK;
}

enum es_status es_weights_load(struct es_weights *weights, const struct es_model *model,
                               const struct es_weights_layout *layout, const struct es_arena *arena,
                               const char *directory, struct es_error *error) {
    ES_ASSERT(layout->kind == ES_MEM_HOST);
    struct es_weights_file file;
    enum es_status status = es_weights_file_open(&file, model, directory, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_weights_file_bind(&file, model, layout, arena, weights, error);
    (void)posix_fadvise(file.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (uint32_t i = 0; status == ES_OK && i < file.transfer_count; i++) {
        status = read_tensor(&file, &file.transfers[i], error);
    }
    es_weights_file_close(&file);
    return status;
}
