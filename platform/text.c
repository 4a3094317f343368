#include "platform/text.h"

#include <stddef.h>
#include <string.h>

/* Bytes that a UTF-8 character with this first byte has; 1 for a byte that cannot start one. */
static size_t character_bytes(unsigned char first) {
    if (first >= 0xf0 && first <= 0xf4) {
        return 4;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return 3;
    }
    return first >= 0xc2 && first <= 0xdf ? 2 : 1;
}

void es_text_make_printable(char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            text[i] = '?';
        }
    }
    size_t start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && start - 1 + character_bytes((unsigned char)text[start - 1]) > length) {
        text[start - 1] = '\0';
    }
}
