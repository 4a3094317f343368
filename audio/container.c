#include "audio/container.h"

#include "platform/bounds.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* An Ogg page (RFC 3533): 27 bytes, up to 255 segment lengths, up to 255 bytes for each. */
#define OGG_HEAD_BYTES 27u
#define OGG_PAGE_BYTES_MAX (OGG_HEAD_BYTES + 255u + 255u * 255u)
#define OGG_LAST_PAGE 0x04u

/* A file of chunks: each an id, a size, and that many bytes. */
struct layout {
    const char *magic;
    bool big_endian;
    uint8_t first_chunk; /* byte offset */
    uint8_t id_bytes;    /* the first four tell chunks apart */
    uint8_t size_bytes;  /* of a chunk's size: 4 or 8 */
    bool size_has_head;  /* id and size are counted in it */
    uint8_t align;       /* of chunks */
    const char *samples_id;
};

static const struct layout layouts[] = {
    {"RIFF", false, 12, 4, 4, false, 2, "data"}, {"RIFX", true, 12, 4, 4, false, 2, "data"},
    {"RF64", false, 12, 4, 4, false, 2, "data"}, {"BW64", false, 12, 4, 4, false, 2, "data"},
    {"riff", false, 40, 16, 8, true, 8, "data"}, /* Sony Wave64 */
    {"FORM", true, 12, 4, 4, false, 2, "SSND"},  {"caff", true, 8, 4, 8, false, 1, "data"},
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
    const size_t header_bytes = (size_t)layout->id_bytes + layout->size_bytes;
    for (uint32_t i = 0; i < ES_CONTAINER_CHUNK_COUNT_MAX; i++) {
        uint8_t header[24];
        if (!read_at(fd, offset, header, header_bytes)) {
            return false;
        }
        uint64_t bytes = number(header + layout->id_bytes, layout->size_bytes, layout->big_endian);
        if (layout->size_has_head) {
            bytes = bytes > header_bytes ? bytes - header_bytes : 0;
        }
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
        if (bytes > file_bytes || offset > file_bytes - bytes) {
            return false;
        }
        offset += (bytes + layout->align - 1) / layout->align * layout->align;
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

/* The page that starts here is whole, and marked as the last. */
static bool is_last_page(int fd, uint64_t offset, uint64_t file_bytes) {
    uint8_t head[OGG_HEAD_BYTES + 255];
    if (!read_at(fd, offset, head, OGG_HEAD_BYTES)) {
        return false;
    }
    const uint8_t segment_count = head[OGG_HEAD_BYTES - 1];
    if (!read_at(fd, offset + OGG_HEAD_BYTES, head + OGG_HEAD_BYTES, segment_count)) {
        return false;
    }
    uint64_t page_bytes = OGG_HEAD_BYTES + segment_count;
    for (size_t i = 0; i < segment_count; i++) {
        page_bytes += head[OGG_HEAD_BYTES + i];
    }
    return offset + page_bytes <= file_bytes && (head[5] & OGG_LAST_PAGE) != 0;
}

bool es_container_ogg_is_cut(int fd, uint64_t file_bytes) {
    uint8_t bytes[1024 + 3]; /* a mark may lie across two blocks */
    uint64_t end = file_bytes;
    const uint64_t stop = file_bytes > OGG_PAGE_BYTES_MAX ? file_bytes - OGG_PAGE_BYTES_MAX : 0;
    while (end > stop) {
        const uint64_t start = end > 1024 ? end - 1024 : 0;
        const uint64_t left = file_bytes - start;
        const size_t count = left < sizeof bytes ? (size_t)left : sizeof bytes;
        if (!read_at(fd, start, bytes, count)) {
            return false;
        }
        for (size_t i = count; i >= 4; i--) {
            if (memcmp(bytes + i - 4, "OggS", 4) == 0) {
                return !is_last_page(fd, start + i - 4, file_bytes);
            }
        }
        end = start;
    }
    return false;
}
