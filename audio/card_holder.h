/* card_holder.h - which program holds a sound card, from /proc.
 *
 *   if (es_card_holder("", card_index, device_index, &holder)) {
 *       "in use by %s (pid %d)", holder.name, holder.pid
 *   }
 *
 * /proc/asound/cardN/pcmNc/subN/status names the owner of each capture stream that is open. Any
 * thread; allocates nothing. */
#pragma once

#include <stdbool.h>

struct es_card_holder {
    int pid;
    char name[64]; /* of the program, as the kernel knows it; "?" where it does not say */
};

/* `root` stands before /proc ("" for the real one: tests give a folder). A negative index means
 * any. False when no stream that fits is held. */
bool es_card_holder(const char *root, int card_index, int device_index,
                    struct es_card_holder *holder);
