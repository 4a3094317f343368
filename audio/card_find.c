#include "audio/card_find.h"

#include "audio/card_holder.h"

#include <alsa/asoundlib.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 5, 6))) static void
ignore(const char *file, int line, const char *function, int code, const char *format, ...) {
    (void)file, (void)line, (void)function, (void)code, (void)format;
}

void es_card_silence_alsa(void) {
    (void)snd_lib_error_set_handler(ignore);
}

/* -- one card --------------------------------------------------------------------------------- */

struct card {
    char id[ES_CARD_ID_BYTES];
    char name[80];
    char long_name[80];
    int first_device; /* that captures; -1: none does */
    char device_name[80];
};

/* The first device of an open card, from `first` on, that captures; -1: none. */
static int capture_device(snd_ctl_t *control, int first, char *name, size_t name_bytes) {
    snd_pcm_info_t *info;
    snd_pcm_info_alloca(&info);
    int device = first - 1;
    while (snd_ctl_pcm_next_device(control, &device) == 0 && device >= 0) {
        snd_pcm_info_set_device(info, (unsigned)device);
        snd_pcm_info_set_subdevice(info, 0);
        snd_pcm_info_set_stream(info, SND_PCM_STREAM_CAPTURE);
        if (snd_ctl_pcm_info(control, info) == 0) {
            (void)snprintf(name, name_bytes, "%s", snd_pcm_info_get_name(info));
            return device;
        }
    }
    return -1;
}

static bool read_card(int card_index, int device, struct card *card) {
    char name[32];
    snd_ctl_t *control = NULL;
    (void)snprintf(name, sizeof name, "hw:%d", card_index);
    if (snd_ctl_open(&control, name, SND_CTL_NONBLOCK) < 0) {
        return false;
    }
    snd_ctl_card_info_t *info;
    snd_ctl_card_info_alloca(&info);
    const bool is_read = snd_ctl_card_info(control, info) == 0;
    if (is_read) {
        (void)snprintf(card->id, sizeof card->id, "%s", snd_ctl_card_info_get_id(info));
        (void)snprintf(card->name, sizeof card->name, "%s", snd_ctl_card_info_get_name(info));
        (void)snprintf(card->long_name, sizeof card->long_name, "%s",
                       snd_ctl_card_info_get_longname(info));
        card->first_device =
            capture_device(control, device, card->device_name, sizeof card->device_name);
    }
    (void)snd_ctl_close(control);
    return is_read;
}

/* A card whose control node may not be opened does not exist for alsa-lib: it must be told from one
 * that is not there. */
static bool is_denied(void) {
    char path[64];
    for (int i = 0; i < (int)ES_CARD_COUNT_MAX; i++) {
        (void)snprintf(path, sizeof path, "/dev/snd/controlC%d", i);
        if (access(path, R_OK | W_OK) != 0 && errno == EACCES) {
            return true;
        }
    }
    return false;
}

static void set_found(struct es_card_found *found, int card_index, const struct card *card) {
    (void)snprintf(found->pcm, sizeof found->pcm, "hw:CARD=%s,DEV=%d", card->id,
                   card->first_device);
    (void)snprintf(found->name, sizeof found->name, "%.60s, %.30s", card->name, card->device_name);
    found->card_index = card_index;
    found->device_index = card->first_device;
}

/* -- looking for one -------------------------------------------------------------------------- */

/* The first card that captures and whose name has the words in it. */
static bool find_by_name(const char *words, struct es_card_found *found) {
    int index = -1;
    struct card card;
    while (snd_card_next(&index) == 0 && index >= 0) {
        if (read_card(index, 0, &card) && card.first_device >= 0 &&
            (strcasestr(card.name, words) != NULL || strcasestr(card.long_name, words) != NULL)) {
            set_found(found, index, &card);
            return true;
        }
    }
    return false;
}

/* "ID" or "ID,DEVICE", where ID may be an index, too. */
static bool find_by_id(const char *wanted, struct es_card_found *found) {
    char id[ES_CARD_NAME_BYTES];
    int device = 0;
    (void)snprintf(id, sizeof id, "%s", wanted);
    char *comma = strrchr(id, ',');
    if (comma != NULL) {
        char *end = NULL;
        device = (int)strtol(comma + 1, &end, 10);
        if (end == comma + 1 || *end != '\0' || device < 0) {
            return false;
        }
        *comma = '\0';
    }
    const int index = snd_card_get_index(id);
    struct card card;
    if (index < 0 || !read_card(index, device, &card) || card.first_device < 0 ||
        (comma != NULL && card.first_device != device)) {
        return false;
    }
    set_found(found, index, &card);
    return true;
}

/* "A, B" of the cards that capture; "none" without any. */
static void list_ids(char *text, size_t bytes) {
    int index = -1;
    size_t length = 0;
    struct card card;
    (void)snprintf(text, bytes, "none");
    while (snd_card_next(&index) == 0 && index >= 0 && length + 40 < bytes) {
        if (read_card(index, 0, &card) && card.first_device >= 0) {
            length += (size_t)snprintf(text + length, bytes - length, "%s%s",
                                       length > 0 ? ", " : "", card.id);
        }
    }
}

static enum es_card_result fail_absent(const char *wanted, struct es_error *error) {
    if (is_denied()) {
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound cards: not permitted (/dev/snd); add the user to the group audio "
                      "(usermod -aG audio USER) and log in anew");
        return ES_CARD_DENIED;
    }
    if (wanted == NULL || wanted[0] == '\0') {
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound cards: none here has a microphone; plug one in");
        return ES_CARD_ABSENT;
    }
    char ids[160];
    list_ids(ids, sizeof ids);
    (void)es_fail(error, ES_ERR_HARDWARE,
                  "sound card \"%s\": is not here (cards that capture: %s); plug it in, or choose "
                  "one that `earshot devices` lists",
                  wanted, ids);
    return ES_CARD_ABSENT;
}

uint32_t es_card_candidates(const char *root, struct es_card_candidate *candidates) {
    uint32_t count = 0;
    int index = -1;
    struct card card;
    while (count < ES_CARD_COUNT_MAX && snd_card_next(&index) == 0 && index >= 0) {
        if (!read_card(index, 0, &card) || card.first_device < 0) {
            continue;
        }
        struct es_card_candidate *candidate = &candidates[count++];
        memset(candidate, 0, sizeof *candidate);
        set_found(&candidate->found, index, &card);
        (void)snprintf(candidate->id, sizeof candidate->id, "%s", card.id);
        (void)snprintf(candidate->name, sizeof candidate->name, "%s", card.name);
        candidate->kind = es_card_kind_of(root, index, card.id);
    }
    return count;
}

enum es_card_result es_card_fail_absent(const char *id, struct es_error *error) {
    if (id[0] == '\0' || is_denied()) {
        return fail_absent(NULL, error);
    }
    char ids[160];
    list_ids(ids, sizeof ids);
    (void)es_fail(error, ES_ERR_HARDWARE,
                  "sound card \"%s\": is gone; plug it in again, or restart to choose anew (cards "
                  "that capture: %s)",
                  id, ids);
    return ES_CARD_ABSENT;
}

enum es_card_result es_card_find(const char *wanted, struct es_card_found *found,
                                 struct es_error *error) {
    memset(found, 0, sizeof *found);
    if (strlen(wanted) >= sizeof found->pcm) {
        return fail_absent(wanted, error);
    }
    const bool is_pcm = strchr(wanted, ':') != NULL;
    if (!is_pcm && (find_by_id(wanted, found) || find_by_name(wanted, found))) {
        return ES_CARD_OK;
    }
    snd_pcm_t *pcm = NULL;
    const int code = snd_pcm_open(&pcm, wanted, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
    if (code == 0) {
        (void)snd_pcm_close(pcm);
    } else if (code == -ENOENT || code == -ENODEV || code == -ENXIO) {
        return fail_absent(wanted, error);
    }
    (void)snprintf(found->pcm, sizeof found->pcm, "%s", wanted);
    char card[ES_CARD_NAME_BYTES];
    found->card_index = -1;
    found->device_index = -1;
    if (es_card_of_pcm(wanted, card, sizeof card, &found->device_index)) {
        found->card_index = snd_card_get_index(card);
    }
    return ES_CARD_OK;
}

enum es_card_result es_card_explain(const struct es_card_found *found, int code,
                                    struct es_error *error) {
    switch (code) {
    case -EBUSY:
        es_card_explain_busy(found->pcm, "", found->card_index, found->device_index, error);
        return ES_CARD_BUSY;
    case -EACCES:
    case -EPERM:
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound card %s: not permitted; add the user to the group audio (usermod -aG "
                      "audio USER) and log in anew",
                      found->pcm);
        return ES_CARD_DENIED;
    case -ENODEV:
    case -ENOENT:
    case -ENXIO:
        (void)es_fail(error, ES_ERR_HARDWARE, "sound card %s: is gone; plug it in again",
                      found->pcm);
        return ES_CARD_ABSENT;
    default:
        (void)es_fail(error, ES_ERR_HARDWARE, "sound card %s: cannot be used: %s; try another card",
                      found->pcm, snd_strerror(code));
        return ES_CARD_UNUSABLE;
    }
}
