#include "engine/cuda/patience.h"

#include "platform/clock.h"

#include <stdatomic.h>

#define WAKE_EARLY_NS 150000u /* timers of Linux are up to 50 us late, and steps differ by less */
#define LOOK_LONGER_NS 250000u
#define LOOKS_PER_CLOCK 64u

void es_patience_begin(struct es_patience *patience) {
    patience->begin_ns = es_clock_ns();
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool es_patience_sees(struct es_patience *patience, const volatile uint64_t *word, uint64_t value) {
    if (patience->usual_ns == 0) {
        return false;
    }
    uint64_t end_ns = patience->begin_ns + patience->usual_ns;
    if (patience->usual_ns > WAKE_EARLY_NS && es_clock_ns() < end_ns - WAKE_EARLY_NS) {
        es_clock_sleep_until(end_ns - WAKE_EARLY_NS);
    }
    while (es_clock_ns() < end_ns + LOOK_LONGER_NS) {
        for (uint32_t i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (*word == value) {
                atomic_thread_fence(memory_order_acquire); /* what was written before it */
                return true;
            }
            relax();
        }
    }
    return false;
}

/* Follows a faster pace at once and a slower one by an eighth a step: a single late step must not
 * make the next ones oversleep. */
void es_patience_end(struct es_patience *patience) {
    uint64_t took_ns = es_clock_ns() - patience->begin_ns;
    if (patience->usual_ns == 0 || took_ns < patience->usual_ns) {
        patience->usual_ns = took_ns;
    } else {
        patience->usual_ns += (took_ns - patience->usual_ns) / 8u;
    }
}
