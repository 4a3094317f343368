/* card_alsa.h - a sound card through alsa-lib.
 *
 *   static struct es_card_alsa alsa;
 *   config.card = es_card_alsa(&alsa);
 *
 * Where the program was built without ALSA (CMake option ES_ALSA), opening fails as
 * ES_CARD_UNUSABLE and says so. alsa-lib allocates while it opens and closes a card, and at no
 * other time: the named exception after the freeze (docs/ARCHITECTURE.md). */
#pragma once

#include "audio/card_auto.h"

struct es_card_alsa {
    struct es_card base;
    void *pcm;                  /* snd_pcm_t; NULL while closed */
    bool is_mmap;               /* the card offers no other access */
    struct es_card_auto memory; /* of `microphone = auto` */
};

/* Binds `memory` (the caller's, for as long as the card is used) and returns its seam. */
struct es_card *es_card_alsa(struct es_card_alsa *memory);
