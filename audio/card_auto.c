#include "audio/card_auto.h"

#include "platform/bounds.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ".../usb1/1-2/1-2:1.0": a host controller's bus. */
static bool is_on_usb(const char *folder) {
    for (const char *at = folder; (at = strstr(at, "/usb")) != NULL; at += 4) {
        if (isdigit((unsigned char)at[4])) {
            return true;
        }
    }
    return false;
}

/* NVIDIA's ids of the cards on a Jetson, as JetPack 5 to 7 number them: APE has the ports of the
 * header and no microphone, HDA is the HDMI output. */
static bool is_tegra(const char *id) {
    return strcmp(id, "APE") == 0 || strcmp(id, "HDA") == 0;
}

enum es_card_kind es_card_kind_of(const char *root, int card_index, const char *id) {
    char path[ES_PATH_BYTES_MAX];
    char folder[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/sys/class/sound/card%d/device", root, card_index);
    if (realpath(path, folder) != NULL && is_on_usb(folder)) {
        return ES_CARD_KIND_USB;
    }
    return is_tegra(id) ? ES_CARD_KIND_TEGRA : ES_CARD_KIND_OTHER;
}

/* -- order ------------------------------------------------------------------------------------ */

static bool is_same_id(const struct es_card_auto *memory, const struct es_card_candidate *card) {
    return memory->id[0] != '\0' && strcmp(card->id, memory->id) == 0;
}

static bool is_same_name(const struct es_card_auto *memory, const struct es_card_candidate *card) {
    return memory->name[0] != '\0' && strcmp(card->name, memory->name) == 0;
}

/* The one that was heard at the beginning; 1, or 0 when it is not there. */
static uint32_t keep_heard(const struct es_card_auto *memory, struct es_card_candidate *candidates,
                           uint32_t count) {
    uint32_t kept = count;
    for (uint32_t i = 0; i < count; i++) {
        if (is_same_id(memory, &candidates[i])) {
            kept = i;
            break;
        }
        kept = kept == count && is_same_name(memory, &candidates[i]) ? i : kept;
    }
    if (kept == count) {
        return 0;
    }
    candidates[0] = candidates[kept];
    return 1;
}

static int rank_of(const struct es_card_auto *memory, const struct es_card_candidate *card) {
    const bool gave_nothing = is_same_id(memory, card); /* it would have been heard otherwise */
    return gave_nothing ? INT_MAX : (int)card->kind;
}

uint32_t es_card_auto_order(const struct es_card_auto *memory, struct es_card_candidate *candidates,
                            uint32_t count) {
    if (memory->is_heard) {
        return keep_heard(memory, candidates, count);
    }
    /* By insertion: a handful, and equals stay in the order of their numbers. */
    for (uint32_t i = 1; i < count; i++) {
        const struct es_card_candidate card = candidates[i];
        uint32_t at = i;
        while (at > 0 && rank_of(memory, &candidates[at - 1u]) > rank_of(memory, &card)) {
            candidates[at] = candidates[at - 1u];
            at--;
        }
        candidates[at] = card;
    }
    return count;
}

/* -- opening ---------------------------------------------------------------------------------- */

enum es_card_result es_card_auto_open(struct es_card_auto *memory,
                                      struct es_card_candidate *candidates, uint32_t count,
                                      es_card_try *try, void *context, uint32_t *opened,
                                      struct es_error *error) {
    for (uint32_t i = 0; i < count; i++) {
        struct es_error why = {""};
        candidates[i].result = try(context, &candidates[i], &why);
        if (candidates[i].result == ES_CARD_OK) {
            (void)snprintf(memory->id, sizeof memory->id, "%s", candidates[i].id);
            (void)snprintf(memory->name, sizeof memory->name, "%s", candidates[i].name);
            *opened = i;
            return ES_CARD_OK;
        }
        if (i == 0) {
            *error = why;
        }
    }
    return count > 0 ? candidates[0].result : ES_CARD_ABSENT;
}

void es_card_auto_others(const struct es_card_candidate *candidates, uint32_t count,
                         uint32_t opened, char *text, size_t text_bytes) {
    static const char *const words[] = {
        [ES_CARD_OK] = "",
        [ES_CARD_ABSENT] = " (gone)",
        [ES_CARD_BUSY] = " (in use)",
        [ES_CARD_DENIED] = " (not permitted)",
        [ES_CARD_UNUSABLE] = " (unusable)",
    };
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < count && length + ES_CARD_ID_BYTES + 24u < text_bytes; i++) {
        if (i != opened) {
            length += (size_t)snprintf(text + length, text_bytes - length, "%s%s%s",
                                       length > 0 ? ", " : "", candidates[i].id,
                                       words[candidates[i].result]);
        }
    }
}
