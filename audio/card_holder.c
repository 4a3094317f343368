#include "audio/card_holder.h"

#include "platform/bounds.h"
#include "platform/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARD_COUNT_MAX 32   /* of the kernel */
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
    for (int card = 0; card < CARD_COUNT_MAX; card++) {
        if (card_index >= 0 && card != card_index) {
            continue;
        }
        char path[ES_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%s/proc/asound/card%d", root, card);
        if (access(path, F_OK) != 0) {
            continue;
        }
        for (int device = 0; device < DEVICE_COUNT_MAX; device++) {
            if (device_index >= 0 && device != device_index) {
                continue;
            }
            for (int substream = 0; substream < SUBSTREAM_COUNT_MAX; substream++) {
                if (holder_of(root, card, device, substream, holder)) {
                    return true;
                }
            }
        }
    }
    return false;
}
