#include "audio/container.h"

#include "platform/bounds.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* A file of chunks: each an id of four bytes, a size, and that many bytes. */
struct layout {
    const char *magic;
    bool big_endian;
    uint8_t first_chunk; /* byte offset */
    uint8_t size_bytes;  /* of a chunk's size: 4 or 8 */
    uint8_t align;       /* of chunks */
    const char *samples_id;
};

static const struct layout layouts[] = {
    {"RIFF", false, 12, 4, 2, "data"}, {"RIFX", true, 12, 4, 2, "data"},
    {"RF64", false, 12, 4, 2, "data"}, {"BW64", false, 12, 4, 2, "data"},
    {"FORM", true, 12, 4, 2, "SSND"},  {"caff", true, 8, 8, 1, "data"},
};

static uint64_t number(const uint8_t *bytes, size_t count, bool big_endian) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value = value << 8 | bytes[big_endian ? i : count - 1 - i];
    }
    return value;
}

static bool read_at(int fd, uint64_t offset, uint8_t *bytes, size_t count) {
    return pread(fd, bytes, count, (off_t)offset) == (ssize_t)count;
}

/* What programs write that do not know the length yet: ffmpeg all ones, sox, GStreamer and arecord
 * their own large number, others nothing. */
static bool is_placeholder(uint64_t bytes) {
    return bytes == 0 || bytes == 0x7fff0000u || bytes == 0x7ffff000u || bytes == 0x7fffffffu ||
           bytes == 0x80000000u || (bytes >= 0xffffff00u && bytes <= UINT32_MAX) ||
           bytes >= INT64_MAX;
}

static bool set_extent(struct es_container_extent *extent, uint64_t promised_bytes, uint64_t offset,
                       uint64_t file_bytes) {
    const uint64_t left = file_bytes > offset ? file_bytes - offset : 0;
    extent->promised_bytes = promised_bytes;
    extent->found_bytes = left < promised_bytes ? left : promised_bytes;
    return !is_placeholder(promised_bytes);
}

static bool chunk_extent(int fd, const struct layout *layout, uint64_t file_bytes,
                         struct es_container_extent *extent) {
    uint64_t offset = layout->first_chunk;
    uint64_t long_bytes = UINT64_MAX; /* RF64: the size that does not fit into the chunk's own */
    const size_t header_bytes = 4u + layout->size_bytes;
    for (uint32_t i = 0; i < ES_CONTAINER_CHUNK_COUNT_MAX; i++) {
        uint8_t header[12];
        if (!read_at(fd, offset, header, header_bytes)) {
            return false;
        }
        uint64_t bytes = number(header + 4, layout->size_bytes, layout->big_endian);
        offset += header_bytes;
        if (memcmp(header, layout->samples_id, 4) == 0) {
            if (bytes == UINT32_MAX && long_bytes != UINT64_MAX) {
                bytes = long_bytes;
            }
            return set_extent(extent, bytes, offset, file_bytes);
        }
        uint8_t sizes[16]; /* of the whole file, then of the samples */
        if (memcmp(header, "ds64", 4) == 0 && read_at(fd, offset, sizes, sizeof sizes)) {
            long_bytes = number(sizes + 8, 8, false);
        }
        bytes += bytes % layout->align;
        if (bytes > file_bytes || offset > file_bytes - bytes) {
            return false;
        }
        offset += bytes;
    }
    return false;
}

bool es_container_extent(int fd, uint64_t file_bytes, struct es_container_extent *extent) {
    uint8_t head[12];
    if (!read_at(fd, 0, head, sizeof head)) {
        return false;
    }
    if (memcmp(head, ".snd", 4) == 0) {
        return set_extent(extent, number(head + 8, 4, true), number(head + 4, 4, true), file_bytes);
    }
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (memcmp(head, layouts[i].magic, 4) == 0) {
            return chunk_extent(fd, &layouts[i], file_bytes, extent);
        }
    }
    return false;
}
