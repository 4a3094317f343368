/* container.h - how many bytes of samples an audio file's header promises, and how many it has.
 *
 *   if (es_container_extent(fd, file_bytes, &extent) &&
 *       extent.found_bytes < extent.promised_bytes) { the file is cut short }
 *
 * libsndfile quietly shortens a truncated file, so the promise is read here. Understood: WAV
 * (RIFF, RIFX, RF64, BW64), W64, AIFF and AIFC, CAF, AU. Ogg promises no length, but marks its
 * last page. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_container_extent {
    uint64_t promised_bytes;
    uint64_t found_bytes; /* at most promised_bytes */
};

/* Reads with pread: the descriptor's position stays. False when the file is of another kind, has
 * no samples in reach, or was streamed by a program that did not know its length. */
bool es_container_extent(int fd, uint64_t file_bytes, struct es_container_extent *extent);

/* True when a file of Ogg pages ends in the middle of one, or in one that is not marked as the
 * last. Only for files that are known to be Ogg. */
bool es_container_ogg_is_cut(int fd, uint64_t file_bytes);
