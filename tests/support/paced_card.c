#include "tests/support/paced_card.h"

#include <unistd.h>

static struct es_paced_card *paced_of(struct es_card *card) {
    return (struct es_paced_card *)card;
}

static const struct es_card_ops *ops_of(struct es_paced_card *paced) {
    return paced->fake.base.ops;
}

/* Waits until there is time to give out. */
static void pause_at_limit(struct es_paced_card *paced) {
    pthread_mutex_lock(&paced->mutex);
    while (!paced->is_free && paced->fake.now_ns >= paced->limit_ns) {
        paced->is_waiting = true;
        pthread_cond_broadcast(&paced->moved);
        pthread_cond_wait(&paced->moved, &paced->mutex);
    }
    paced->is_waiting = false;
    bool is_free = paced->is_free;
    pthread_mutex_unlock(&paced->mutex);
    if (is_free) {
        (void)usleep(1000);
    }
}

static enum es_card_result paced_open(struct es_card *card, const struct es_card_want *want,
                                      struct es_card_setup *setup, struct es_error *error) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->open(&paced->fake.base, want, setup, error);
}

static void paced_close(struct es_card *card) {
    struct es_paced_card *paced = paced_of(card);
    ops_of(paced)->close(&paced->fake.base);
}

static int paced_start(struct es_card *card) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->start(&paced->fake.base);
}

static int paced_resume(struct es_card *card) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->resume(&paced->fake.base);
}

static int paced_wait(struct es_card *card, uint32_t timeout_ms) {
    struct es_paced_card *paced = paced_of(card);
    pause_at_limit(paced);
    return ops_of(paced)->wait(&paced->fake.base, timeout_ms);
}

static int64_t paced_avail(struct es_card *card) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->avail(&paced->fake.base);
}

static int64_t paced_skip(struct es_card *card, uint64_t frame_count) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->skip(&paced->fake.base, frame_count);
}

static int64_t paced_read(struct es_card *card, void *frames, uint32_t frame_count) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->read(&paced->fake.base, frames, frame_count);
}

static uint64_t paced_now_ns(struct es_card *card) {
    struct es_paced_card *paced = paced_of(card);
    return ops_of(paced)->now_ns(&paced->fake.base);
}

static void paced_sleep_until(struct es_card *card, uint64_t deadline_ns) {
    struct es_paced_card *paced = paced_of(card);
    pause_at_limit(paced);
    ops_of(paced)->sleep_until(&paced->fake.base, deadline_ns);
}

void es_paced_card_init(struct es_paced_card *paced, const struct es_card_setup *setup) {
    static const struct es_card_ops ops = {
        .open = paced_open,
        .close = paced_close,
        .start = paced_start,
        .resume = paced_resume,
        .wait = paced_wait,
        .avail = paced_avail,
        .skip = paced_skip,
        .read = paced_read,
        .now_ns = paced_now_ns,
        .sleep_until = paced_sleep_until,
    };
    es_fake_card_init(&paced->fake, setup);
    paced->base.ops = &ops;
    (void)pthread_mutex_init(&paced->mutex, NULL);
    (void)pthread_cond_init(&paced->moved, NULL);
    paced->limit_ns = 0;
    paced->is_waiting = false;
    paced->is_free = false;
}

void es_paced_card_run_to(struct es_paced_card *paced, uint64_t limit_ns) {
    pthread_mutex_lock(&paced->mutex);
    paced->limit_ns = limit_ns;
    paced->is_waiting = false;
    pthread_cond_broadcast(&paced->moved);
    while (!paced->is_waiting) {
        pthread_cond_wait(&paced->moved, &paced->mutex);
    }
    pthread_mutex_unlock(&paced->mutex);
}

void es_paced_card_free(struct es_paced_card *paced) {
    pthread_mutex_lock(&paced->mutex);
    paced->is_free = true;
    pthread_cond_broadcast(&paced->moved);
    pthread_mutex_unlock(&paced->mutex);
}
