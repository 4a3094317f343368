#include "audio/pcm.h"
#include "audio/pcm_source.h"
#include "platform/bounds.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct raw_source {
    struct es_pcm base;
    int fd; /* the caller's */
    char *name;
    uint64_t byte_count; /* read so far */
    unsigned char half;  /* the first byte of a sample whose second has not come yet */
    bool has_half, ended;
    unsigned char bytes[2 * ES_SOURCE_BLOCK_FRAMES];
};

static enum es_status fail_read(const struct raw_source *self, struct es_error *error) {
    if (errno == EINTR) {
        return es_fail(error, ES_ERR_INTERRUPTED, "%s: reading was interrupted by a signal",
                       self->name);
    }
    return es_fail(error, ES_ERR_INPUT,
                   "%s: cannot be read after %llu bytes: %s; give 16 kHz mono s16le samples",
                   self->name, (unsigned long long)self->byte_count, strerror(errno));
}

/* Reads what is there, at least one byte: the count, 0 at the end, -1 with errno. */
static ssize_t read_some(int fd, unsigned char *bytes, size_t count) {
    for (;;) {
        const ssize_t n = read(fd, bytes, count);
        if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
            return n;
        }
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, -1) < 0) {
            return -1;
        }
    }
}

static float sample_from_bytes(unsigned char low, unsigned char high) {
    const int32_t word = (int32_t)low | (int32_t)high << 8;
    return (float)(word >= 0x8000 ? word - 0x10000 : word) / 32768.0f;
}

static int raw_read(struct es_pcm *source, float *samples, size_t count, struct es_error *error) {
    struct raw_source *self = (struct raw_source *)source;
    size_t byte_count = self->has_half ? 1 : 0;
    self->bytes[0] = self->half;
    while (byte_count < 2) {
        size_t wanted = 2 * count < sizeof self->bytes ? 2 * count : sizeof self->bytes;
        const ssize_t n =
            self->ended ? 0 : read_some(self->fd, self->bytes + byte_count, wanted - byte_count);
        if (n < 0) {
            return fail_read(self, error);
        }
        if (n == 0) {
            self->ended = true;
            return !self->has_half
                       ? 0
                       : es_fail(error, ES_ERR_INPUT,
                                 "%s: ends in half a sample (%llu bytes, an odd number); give 16 "
                                 "kHz mono s16le samples, two bytes each",
                                 self->name, (unsigned long long)self->byte_count);
        }
        self->byte_count += (uint64_t)n;
        byte_count += (size_t)n;
        self->half = self->bytes[0];
        self->has_half = true;
    }
    const size_t sample_count = byte_count / 2;
    for (size_t i = 0; i < sample_count; i++) {
        samples[i] = sample_from_bytes(self->bytes[2 * i], self->bytes[2 * i + 1]);
    }
    self->has_half = byte_count % 2 != 0;
    self->half = self->bytes[byte_count - 1];
    return (int)sample_count;
}

static void raw_close(struct es_pcm *source) {
    struct raw_source *self = (struct raw_source *)source;
    free(self->name);
    free(self);
}

static const struct es_pcm_ops raw_ops = {.read = raw_read, .close = raw_close};

enum es_status es_pcm_open_raw(struct es_pcm **source, int fd, const char *name,
                               struct es_error *error) {
    struct raw_source *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->name = strdup(name);
    }
    if (self == NULL || self->name == NULL) {
        free(self);
        return es_fail(error, ES_ERR_HARDWARE, "%s: out of memory; free some and try again", name);
    }
    self->fd = fd;
    self->base.ops = &raw_ops;
    self->base.info = (struct es_pcm_info){.sample_rate = ES_SAMPLE_RATE,
                                           .channel_count = 1,
                                           .frame_count = UINT64_MAX,
                                           .format_name = "raw, signed 16 bit little-endian"};
    *source = &self->base;
    return ES_OK;
}
