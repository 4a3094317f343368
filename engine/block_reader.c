#include "engine/block_reader.h"

#include "platform/assert.h"
#include "platform/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static bool set_direct(int fd, bool is_direct) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* The file system (EINVAL, EOPNOTSUPP) or the memory (EFAULT: a driver's mapping that is no normal
 * memory) does not take part in direct reads. */
static bool is_refusal(int cause) {
    return cause == EINVAL || cause == EOPNOTSUPP || cause == EFAULT;
}

static void fall_back(struct es_block_reader *reader) {
    (void)set_direct(reader->fd, false);
    reader->is_direct = false;
}

/* Fills in have_bytes and cause. */
static void read_block(struct es_block_reader *reader) {
    reader->have_bytes = 0;
    reader->cause = 0;
    while (reader->have_bytes < reader->needed_bytes) {
        if (reader->is_direct && reader->have_bytes % ES_PAGE_BYTES != 0) {
            fall_back(reader); /* a read that was cut short: the rest does not begin at a page */
        }
        ssize_t n = pread(reader->fd, reader->buffer + reader->have_bytes,
                          reader->block_bytes - reader->have_bytes,
                          (off_t)(reader->offset + reader->have_bytes));
        if (n > 0) {
            reader->have_bytes += (size_t)n;
        } else if (n < 0 && reader->is_direct && is_refusal(errno)) {
            fall_back(reader);
        } else if (n == 0 || errno != EINTR) {
            reader->cause = n < 0 ? errno : 0;
            break;
        }
    }
    if (!reader->is_direct) {
        /* A weight is in memory once: the page cache forgets what went to the device. */
        (void)posix_fadvise(reader->fd, (off_t)reader->offset, (off_t)reader->block_bytes,
                            POSIX_FADV_DONTNEED);
    }
}

static void *run(void *context) {
    struct es_block_reader *reader = context;
    (void)pthread_mutex_lock(&reader->mutex);
    for (;;) {
        while (!reader->is_ending && (!reader->is_asked || reader->is_done)) {
            (void)pthread_cond_wait(&reader->changed, &reader->mutex);
        }
        if (!reader->is_asked || reader->is_done) {
            break;
        }
        (void)pthread_mutex_unlock(&reader->mutex);
        read_block(reader);
        (void)pthread_mutex_lock(&reader->mutex);
        reader->is_done = true;
        (void)pthread_cond_broadcast(&reader->changed);
    }
    (void)pthread_mutex_unlock(&reader->mutex);
    return NULL;
}

enum es_status es_block_reader_open(struct es_block_reader *reader, int fd,
                                    struct es_error *error) {
    memset(reader, 0, sizeof *reader);
    reader->fd = fd;
    reader->is_direct = set_direct(fd, true);
    (void)pthread_mutex_init(&reader->mutex, NULL);
    (void)pthread_cond_init(&reader->changed, NULL);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    int cause = pthread_create(&reader->thread, NULL, run, reader);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (cause != 0) {
        (void)pthread_cond_destroy(&reader->changed);
        (void)pthread_mutex_destroy(&reader->mutex);
        return es_fail(error, ES_ERR_HARDWARE,
                       "weights: no thread to read them with (%s); raise the limit of processes "
                       "(ulimit -u)",
                       strerror(cause));
    }
    return ES_OK;
}

void es_block_reader_ask(struct es_block_reader *reader, uint8_t *buffer, uint64_t offset,
                         size_t block_bytes, size_t needed_bytes) {
    ES_ASSERT(!reader->is_asked);
    ES_ASSERT((uintptr_t)buffer % ES_PAGE_BYTES == 0);
    ES_ASSERT(offset % ES_PAGE_BYTES == 0);
    ES_ASSERT(needed_bytes <= block_bytes);
    (void)pthread_mutex_lock(&reader->mutex);
    reader->buffer = buffer;
    reader->offset = offset;
    reader->block_bytes = block_bytes;
    reader->needed_bytes = needed_bytes;
    reader->is_asked = true;
    reader->is_done = false;
    (void)pthread_cond_broadcast(&reader->changed);
    (void)pthread_mutex_unlock(&reader->mutex);
}

bool es_block_reader_wait(struct es_block_reader *reader) {
    ES_ASSERT(reader->is_asked);
    (void)pthread_mutex_lock(&reader->mutex);
    while (!reader->is_done) {
        (void)pthread_cond_wait(&reader->changed, &reader->mutex);
    }
    reader->is_asked = false;
    (void)pthread_mutex_unlock(&reader->mutex);
    return reader->have_bytes >= reader->needed_bytes;
}

void es_block_reader_close(struct es_block_reader *reader) {
    (void)pthread_mutex_lock(&reader->mutex);
    reader->is_ending = true;
    (void)pthread_cond_broadcast(&reader->changed);
    (void)pthread_mutex_unlock(&reader->mutex);
    (void)pthread_join(reader->thread, NULL);
    (void)pthread_cond_destroy(&reader->changed);
    (void)pthread_mutex_destroy(&reader->mutex);
}
