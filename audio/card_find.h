/* card_find.h - from what a person wrote to a capture device of ALSA; private to audio/card_*.c.
 *
 *   result = es_card_find("USB PnP", &found, &error);
 *   snd_pcm_open(&pcm, found.pcm, ...);
 *
 * Cards are found anew each time: their indexes move with every replug. */
#pragma once

#include "audio/card.h"

struct es_card_found {
    char pcm[ES_CARD_NAME_BYTES];  /* for snd_pcm_open: "hw:CARD=Loopback,DEV=1" */
    char name[ES_CARD_NAME_BYTES]; /* for people: "Loopback, Loopback PCM"; "" where not known */
    int card_index, device_index;  /* negative: not known (a pcm of alsa-lib's configuration) */
};

/* As es_card_want.name. ES_CARD_OK, or ES_CARD_ABSENT or ES_CARD_DENIED with the line written. */
enum es_card_result es_card_find(const char *wanted, struct es_card_found *found,
                                 struct es_error *error);

/* alsa-lib prints its own complaints on stderr unless it is told not to. */
void es_card_silence_alsa(void);

/* Writes why a device could not be opened, and returns which kind of failure that is. `code` is
 * alsa-lib's (negative errno). */
enum es_card_result es_card_explain(const struct es_card_found *found, int code,
                                    struct es_error *error);
