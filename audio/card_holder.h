/* card_holder.h - which program holds a sound card, from /proc.
 *
 *   if (es_card_holder("", card_index, device_index, &holder)) {
 *       "in use by %s (pid %d)", holder.name, holder.pid
 *   }
 *
 *   es_card_explain_busy("hw:1,0", "", card_index, device_index, &error);       the same as a line
 *
 * /proc/asound/cardN/pcmNc/subN/status names the owner of each capture stream that is open. Any
 * thread; allocates nothing. */
#pragma once

#include "platform/status.h"

#include <stdbool.h>
#include <stddef.h>

struct es_card_holder {
    int pid;
    char name[64]; /* of the program, as the kernel knows it; "?" where it does not say */
};

/* `root` stands before /proc ("" for the real one: tests give a folder). A negative device means
 * any of the card. False when no stream that fits is held, and for a negative card: who holds some
 * other card is not the one to blame. */
bool es_card_holder(const char *root, int card_index, int device_index,
                    struct es_card_holder *holder);

/* The card and device that an ALSA name stands for by itself: "hw:1,0", "plughw:CARD=Mic,DEV=1".
 * The card, an index or an id, into `card`. False for others ("default"): they lead anywhere. */
bool es_card_of_pcm(const char *pcm, char *card, size_t card_bytes, int *device_index);

/* Writes why `pcm` is busy: who holds it, or that this cannot be seen, and what to do. */
void es_card_explain_busy(const char *pcm, const char *root, int card_index, int device_index,
                          struct es_error *error);
