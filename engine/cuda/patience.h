/* patience.h - waits for a word that the GPU writes, without a core spinning and without the
 * wake-up of a blocked thread.
 *
 *   es_patience_begin(&patience);                             as the work is launched
 *   if (!es_patience_sees(&patience, &output->position, p)) { block; }
 *   es_patience_end(&patience);                               learns how long it took
 *
 * A thread that blocks on the driver is woken tens of microseconds late, one that spins burns a
 * core for the whole step. The steps of a stream take nearly the same time: so sleep until shortly
 * before the usual end, look at the word for a moment, and leave what takes longer (or fails) to a
 * wait that blocks. Engine thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_patience {
    uint64_t begin_ns;
    uint64_t usual_ns; /* what it takes; 0: not known yet */
};

void es_patience_begin(struct es_patience *patience);

/* Whether *word became `value`. `word` is shared memory that a kernel writes last. At once false
 * while nothing is known of the time. */
bool es_patience_sees(struct es_patience *patience, const volatile uint64_t *word, uint64_t value);

void es_patience_end(struct es_patience *patience);
