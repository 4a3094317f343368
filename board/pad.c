#include "board/pad.h"

#include "board/directory.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "PAC.06" becomes "_pac6": how Tegra's pin controller ends the names of its groups. */
static bool suffix_of(const char *line_name, char *suffix, size_t suffix_bytes) {
    const char *dot = strchr(line_name, '.');
    if (line_name[0] != 'P' || dot == NULL || dot[1] == '\0' || strlen(dot + 1) > 2 ||
        dot - line_name > 4) {
        return false;
    }
    const char *number = dot[1] == '0' && dot[2] != '\0' ? dot + 2 : dot + 1;
    (void)snprintf(suffix, suffix_bytes, "_%.*s%s", (int)(dot - line_name), line_name, number);
    for (char *c = suffix; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return true;
}

/* "12 (soc_gpio59_pac6):" with the suffix "_pac6". */
static bool is_group(const char *line, const char *suffix) {
    const char *end = strstr(line, "):");
    size_t length = strlen(suffix);
    return end != NULL && (size_t)(end - line) > length &&
           strncmp(end - length, suffix, length) == 0;
}

struct reader {
    int fd;
    size_t used, at;
    char bytes[512];
};

/* The next line without its end; too long ones are cut. */
static bool next_line(struct reader *reader, char *line, size_t line_bytes) {
    size_t length = 0;
    bool has_any = false;
    for (;;) {
        if (reader->at == reader->used) {
            ssize_t count = read(reader->fd, reader->bytes, sizeof reader->bytes);
            reader->used = count > 0 ? (size_t)count : 0;
            reader->at = 0;
            if (count <= 0) {
                break;
            }
        }
        has_any = true;
        char c = reader->bytes[reader->at++];
        if (c == '\n') {
            break;
        }
        if (length + 1 < line_bytes) {
            line[length++] = c;
        }
    }
    line[length] = '\0';
    return has_any;
}

static enum es_pad_state scan(const char *path, const char *suffix) {
    struct reader reader = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    enum es_pad_state state = ES_PAD_UNKNOWN;
    char line[128];
    bool is_inside = false;
    if (reader.fd < 0) {
        return ES_PAD_UNKNOWN;
    }
    while (state == ES_PAD_UNKNOWN && next_line(&reader, line, sizeof line)) {
        if (strstr(line, "):") != NULL) {
            is_inside = is_group(line, suffix);
        } else if (is_inside && strstr(line, "tristate=1") != NULL) {
            state = ES_PAD_CLOSED;
        } else if (is_inside && strstr(line, "tristate=0") != NULL) {
            state = ES_PAD_OPEN;
        }
    }
    (void)close(reader.fd);
    return state;
}

enum es_pad_state es_pad_state(const char *root, const char *line_name, struct es_error *note) {
    char suffix[16];
    char folder[256];
    struct es_directory controllers;
    enum es_pad_state state = ES_PAD_UNKNOWN;
    note->text[0] = '\0';
    (void)snprintf(folder, sizeof folder, "%s/sys/kernel/debug/pinctrl", root);
    if (!suffix_of(line_name, suffix, sizeof suffix)) {
        return ES_PAD_UNKNOWN;
    }
    if (!es_directory_open(&controllers, folder)) {
        return ES_PAD_HIDDEN;
    }
    const char *name;
    while (state == ES_PAD_UNKNOWN && (name = es_directory_next(&controllers)) != NULL) {
        char path[512];
        int count = snprintf(path, sizeof path, "%s/%s/pinconf-groups", folder, name);
        if (count > 0 && (size_t)count < sizeof path) {
            state = scan(path, suffix);
        }
    }
    es_directory_close(&controllers);
    if (state == ES_PAD_CLOSED) {
        (void)es_fail(note, ES_OK,
                      "gpio line %s: its pad is set to tristate, so that the line cannot drive "
                      "the pin and the LED stays dark; set the pin to GPIO output (on a Jetson: "
                      "a pinmux overlay, or jetson-io)",
                      line_name);
    }
    return state;
}
