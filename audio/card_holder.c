#include "audio/card_holder.h"

#include "platform/bounds.h"
#include "platform/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICE_COUNT_MAX 32 /* of alsa-lib's numbering; the kernel's cards have a handful */
#define SUBSTREAM_COUNT_MAX 8

/* Reads a small file of /proc as a string. */
static bool read_text(const char *path, char *text, size_t bytes) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t count = read(fd, text, bytes - 1);
    (void)close(fd);
    text[count > 0 ? count : 0] = '\0';
    return count > 0;
}

static bool holder_of(const char *root, int card, int device, int substream,
                      struct es_card_holder *holder) {
    char path[ES_PATH_BYTES_MAX];
    char text[1024];
    (void)snprintf(path, sizeof path, "%s/proc/asound/card%d/pcm%dc/sub%d/status", root, card,
                   device, substream);
    if (!read_text(path, text, sizeof text)) {
        return false;
    }
    const char *owner = strstr(text, "owner_pid");
    const char *colon = owner != NULL ? strchr(owner, ':') : NULL;
    const long pid = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    if (pid <= 0) {
        return false; /* "closed" */
    }
    holder->pid = (int)pid;
    (void)snprintf(holder->name, sizeof holder->name, "?");
    (void)snprintf(path, sizeof path, "%s/proc/%ld/comm", root, pid);
    if (read_text(path, text, sizeof text)) {
        text[strcspn(text, "\n")] = '\0';
        (void)snprintf(holder->name, sizeof holder->name, "%.63s", text);
        es_text_make_printable(holder->name);
    }
    return true;
}

bool es_card_holder(const char *root, int card_index, int device_index,
                    struct es_card_holder *holder) {
    for (int device = 0; card_index >= 0 && device < DEVICE_COUNT_MAX; device++) {
        if (device_index >= 0 && device != device_index) {
            continue;
        }
        for (int substream = 0; substream < SUBSTREAM_COUNT_MAX; substream++) {
            if (holder_of(root, card_index, device, substream, holder)) {
                return true;
            }
        }
    }
    return false;
}

/* "DEV" of "CARD=Mic,DEV=1", or the second of "Mic,1"; NULL where it is not given. */
static const char *argument(const char *arguments, const char *key, int place) {
    const size_t key_bytes = strlen(key);
    for (int i = 0; arguments != NULL; i++) {
        if (strncmp(arguments, key, key_bytes) == 0 && arguments[key_bytes] == '=') {
            return arguments + key_bytes + 1;
        }
        if (i == place && arguments[strcspn(arguments, "=,")] != '=') {
            return arguments;
        }
        arguments = strchr(arguments, ',');
        arguments = arguments != NULL ? arguments + 1 : NULL;
    }
    return NULL;
}

bool es_card_of_pcm(const char *pcm, char *card, size_t card_bytes, int *device_index) {
    const char *colon = strchr(pcm, ':');
    const size_t kind_bytes = colon != NULL ? (size_t)(colon - pcm) : 0;
    const bool is_hardware = (kind_bytes == 2 && strncmp(pcm, "hw", 2) == 0) ||
                             (kind_bytes == 6 && strncmp(pcm, "plughw", 6) == 0);
    const char *name = is_hardware ? argument(colon + 1, "CARD", 0) : NULL;
    if (name == NULL || strchr(pcm, '{') != NULL || strcspn(name, ",") == 0) {
        return false;
    }
    (void)snprintf(card, card_bytes, "%.*s", (int)strcspn(name, ","), name);
    const char *device = argument(colon + 1, "DEV", 1);
    *device_index = device != NULL ? (int)strtol(device, NULL, 10) : 0;
    return *device_index >= 0;
}

void es_card_explain_busy(const char *pcm, const char *root, int card_index, int device_index,
                          struct es_error *error) {
    struct es_card_holder holder;
    if (card_index < 0) {
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound card %s: in use by another program, usually PipeWire or PulseAudio; "
                      "stop it (`sudo fuser -v /dev/snd/*` names it), or give an id that `earshot "
                      "devices` lists",
                      pcm);
    } else if (!es_card_holder(root, card_index, device_index, &holder)) {
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound card %s: in use by a program that this user cannot see; `sudo fuser "
                      "-v /dev/snd/*` names it: stop it, or give it another card",
                      pcm);
    } else if (strcmp(holder.name, "?") == 0) {
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound card %s: in use by process %d, which this user cannot see; `sudo "
                      "fuser -v /dev/snd/*` names it: stop it, or give it another card",
                      pcm, holder.pid);
    } else {
        (void)es_fail(error, ES_ERR_HARDWARE,
                      "sound card %s: in use by %s (pid %d); stop it, or give it another card "
                      "(PipeWire: systemctl --user stop pipewire.socket pipewire)",
                      pcm, holder.name, holder.pid);
    }
}
