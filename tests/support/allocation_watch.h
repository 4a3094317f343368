/* allocation_watch.h - counts what a process allocates after the freeze.
 *
 *   es_allocation_watch_start();            from here on; before that nothing is counted
 *   ...
 *   counts = es_allocation_watch_counts();
 *
 * Linked into a test program it takes the place of malloc and its family, mmap and mremap; under a
 * sanitizer, which has taken that place already, it listens at the sanitizer's hooks (mmap is then
 * not seen). Calls made inside of es_pcm_read are counted apart: that is where the libraries that
 * decode recordings do their own work (the program links with -Wl,--wrap=es_pcm_read). Any
 * thread. */
#pragma once

#include "tests/support/sanitizer.h"

#include <stddef.h>
#include <stdint.h>

struct es_allocation_counts {
    uint64_t product_count;  /* after the freeze, outside of es_pcm_read */
    size_t product_bytes;    /* of the first such call */
    void *product_caller;    /* who made it */
    uint64_t decoder_count;  /* after the freeze, inside of es_pcm_read */
    uint64_t read_count;     /* calls of es_pcm_read */
    int64_t early_bytes_max; /* most bytes held by the heap in reads 2..4, against read 1 */
    int64_t late_bytes_max;  /* and in all later ones */
};

void es_allocation_watch_start(void);
struct es_allocation_counts es_allocation_watch_counts(void);
