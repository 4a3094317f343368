/* card_find.h - from what a person wrote to a capture device of ALSA; private to audio/card_*.c.
 *
 *   result = es_card_find("USB PnP", &found, &error);
 *   snd_pcm_open(&pcm, found.pcm, ...);
 *
 * Cards are found anew each time: their indexes move with every replug. */
#pragma once

#include "audio/card_auto.h"

/* The cards that capture, with the first device of each, in the order of their numbers. candidates
 * [ES_CARD_COUNT_MAX]; returns how many. `root` before /sys ("" usually): which are USB. */
uint32_t es_card_candidates(const char *root, struct es_card_candidate *candidates);

/* Writes that no card is there, or, with `id` of a card that was heard, that this one is not. */
enum es_card_result es_card_fail_absent(const char *id, struct es_error *error);

/* As es_card_want.name, where one is given. ES_CARD_OK, or ES_CARD_ABSENT or ES_CARD_DENIED with
 * the line written. */
enum es_card_result es_card_find(const char *wanted, struct es_card_found *found,
                                 struct es_error *error);

/* alsa-lib prints its own complaints on stderr unless it is told not to. */
void es_card_silence_alsa(void);

/* Writes why a device could not be opened, and returns which kind of failure that is. `code` is
 * alsa-lib's (negative errno). */
enum es_card_result es_card_explain(const struct es_card_found *found, int code,
                                    struct es_error *error);
