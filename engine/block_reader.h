/* block_reader.h - reads a file block by block, past the page cache, beside other work.
 *
 *   es_block_reader_open(&reader, fd, &error);
 *   es_block_reader_ask(&reader, buffer, 0, ES_STAGING_BLOCK_BYTES, needed);
 *   ... work on the block before ...
 *   have = es_block_reader_wait(&reader);          >= needed bytes, or what went wrong
 *   es_block_reader_close(&reader);
 *
 * A thread of its own, one request at a time, so that the disk reads while the caller works. With
 * O_DIRECT where the file system and the memory allow it; else through the page cache, which is
 * told to forget. Boot only; one caller. */
#pragma once

#include "platform/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct es_block_reader {
    int fd; /* borrowed; its O_DIRECT flag is set meanwhile, where that works */
    bool is_direct;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_ending;
    bool is_asked; /* a request is under way or done */
    bool is_done;
    uint8_t *buffer;
    uint64_t offset;
    size_t block_bytes;
    size_t needed_bytes;
    size_t have_bytes;
    int cause; /* errno of a read that failed; 0 at the file's end */
};

/* ES_ERR_HARDWARE when the system gives no thread. */
ES_MUST_CHECK enum es_status es_block_reader_open(struct es_block_reader *reader, int fd,
                                                  struct es_error *error);

/* Starts to read up to `block_bytes` from `offset` into `buffer`; the three are multiples of
 * ES_PAGE_BYTES. The read ends well with at least `needed_bytes` (the file may end behind them).
 * The buffer is the reader's until es_block_reader_wait. */
void es_block_reader_ask(struct es_block_reader *reader, uint8_t *buffer, uint64_t offset,
                         size_t block_bytes, size_t needed_bytes);

/* Until the request is answered. True with at least the needed bytes; otherwise have_bytes and
 * cause say where it stopped and why. */
ES_MUST_CHECK bool es_block_reader_wait(struct es_block_reader *reader);

/* Waits for a request that is under way. */
void es_block_reader_close(struct es_block_reader *reader);
