/* card_auto.h - which card `microphone = auto` means; private to audio/card_*.c.
 *
 *   count = es_card_candidates("", candidates);                        card_find.h
 *   count = es_card_auto_order(&memory, candidates, count);            the best first
 *   result = es_card_auto_open(&memory, candidates, count, open, context, &opened, &error);
 *   memory.is_heard = true;                                            samples came
 *
 * A USB card was plugged in to be heard; a board's own cards can capture, too, and mostly have no
 * microphone behind them. The first that opens is taken. Once a card was heard the choice stands
 * for as long as the memory does: never another microphone without a person's knowledge. One
 * thread, the one that captures. */
#pragma once

#include "audio/card.h"

/* In the order of preference. */
enum es_card_kind {
    ES_CARD_KIND_USB,
    ES_CARD_KIND_OTHER,
    ES_CARD_KIND_TEGRA, /* on the board of a Jetson: APE and HDA */
};

struct es_card_found {
    char pcm[ES_CARD_NAME_BYTES];  /* for snd_pcm_open: "hw:CARD=Loopback,DEV=1" */
    char name[ES_CARD_NAME_BYTES]; /* for people: "Loopback, Loopback PCM"; "" where not known */
    int card_index, device_index;  /* negative: not known (a pcm of alsa-lib's configuration) */
};

struct es_card_candidate {
    struct es_card_found found;
    char id[ES_CARD_ID_BYTES]; /* the kernel's: "Device" */
    char name[ES_CARD_NAME_BYTES];
    enum es_card_kind kind;
    enum es_card_result result; /* of es_card_auto_open; OK where it was not tried */
};

/* Over many openings; zero at first. */
struct es_card_auto {
    char id[ES_CARD_ID_BYTES];     /* of the card last opened; "" for none */
    char name[ES_CARD_NAME_BYTES]; /* what it calls itself */
    bool is_heard;                 /* it has given samples: from now on this one alone */
};

/* By sysfs, where a card's device leads through a USB bus; `root` before /sys ("" usually). */
enum es_card_kind es_card_kind_of(const char *root, int card_index, const char *id);

/* Sorts the candidates, the best first, and leaves out those that are not to be tried. Returns how
 * many are left. A card that was opened and gave nothing comes last; a card that was heard is the
 * only one, by its id, or, where a quick replug gave it another one, by its name. */
uint32_t es_card_auto_order(const struct es_card_auto *memory, struct es_card_candidate *candidates,
                            uint32_t count);

typedef enum es_card_result es_card_try(void *context, const struct es_card_candidate *candidate,
                                        struct es_error *error);

/* Opens the first that can be; *opened is its place. Where none can (or there is none), the result
 * and the line are the first one's (or ES_CARD_ABSENT, with no line). */
enum es_card_result es_card_auto_open(struct es_card_auto *memory,
                                      struct es_card_candidate *candidates, uint32_t count,
                                      es_card_try *try, void *context, uint32_t *opened,
                                      struct es_error *error);

/* "Device (in use), PCH": the ids of all but the one at `opened`, and what came in between; "" for
 * none. */
void es_card_auto_others(const struct es_card_candidate *candidates, uint32_t count,
                         uint32_t opened, char *text, size_t text_bytes);
