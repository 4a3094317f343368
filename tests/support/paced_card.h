/* paced_card.h - a fake card whose virtual time a test gives out, for capture in its own thread.
 *
 *   es_paced_card_init(&paced, &setup);
 *   es_fake_card_add(&paced.fake, fault);                   before or between the runs
 *   options.card = &paced.base;
 *   es_paced_card_run_to(&paced, 20 * MS);                  the capture thread has come so far
 *   es_paced_card_free(&paced);                             before es_capture_stop
 *
 * The capture thread may run until its card's time reaches the limit, and waits there. */
#pragma once

#include "tests/support/fake_card.h"

#include <pthread.h>

struct es_paced_card {
    struct es_card base;
    struct es_fake_card fake;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    uint64_t limit_ns;
    bool is_waiting; /* the capture thread, at the limit */
    bool is_free;
};

void es_paced_card_init(struct es_paced_card *paced, const struct es_card_setup *setup);

/* Returns when the capture thread waits at `limit_ns` or beyond. */
void es_paced_card_run_to(struct es_paced_card *paced, uint64_t limit_ns);

/* Lets the thread run on, a millisecond a call. */
void es_paced_card_free(struct es_paced_card *paced);
