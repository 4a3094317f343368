/* Stands for card_alsa.c where the program is built without ALSA. */
#include "audio/card_alsa.h"

#include "platform/clock.h"

#include <string.h>

static void explain(struct es_error *error) {
    (void)es_fail(error, ES_ERR_HARDWARE,
                  "sound cards: this program was built without ALSA; install libasound2-dev and "
                  "build it again");
}

static enum es_card_result none_open(struct es_card *card, const struct es_card_want *want,
                                     struct es_card_setup *setup, struct es_error *error) {
    (void)card, (void)want, (void)setup;
    explain(error);
    return ES_CARD_UNUSABLE;
}

static uint64_t none_now_ns(struct es_card *card) {
    (void)card;
    return es_clock_boot_ns();
}

static void none_sleep_until(struct es_card *card, uint64_t deadline_ns) {
    (void)card;
    es_clock_boot_sleep_until(deadline_ns);
}

/* A card that never opens is asked nothing else. */
struct es_card *es_card_alsa(struct es_card_alsa *memory) {
    static const struct es_card_ops ops = {
        .open = none_open, .now_ns = none_now_ns, .sleep_until = none_sleep_until};
    memset(memory, 0, sizeof *memory);
    memory->base.ops = &ops;
    return &memory->base;
}

int es_card_list(es_card_visit *visit, void *context, struct es_error *error) {
    (void)visit, (void)context;
    explain(error);
    return 0;
}
