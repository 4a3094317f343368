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
        unsigned char next = (unsigned char)text[i + 1u]; /* the end at the latest */
        if (c < 0x20 || c == 0x7f) {
            text[i] = '?';
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            text[i] = '?';
            text[i + 1u] = '?';
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

size_t es_text_json(char *out, const char *bytes, size_t byte_count) {
    static const char digits[] = "0123456789abcdef";
    static const char escape[4] = {'\\', 'u', '0', '0'};
    size_t used = 0;
    for (size_t i = 0; i < byte_count; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\') {
            out[used++] = '\\';
            out[used++] = (char)c;
        } else if (c < 0x20 || c == 0x7F) {
            memcpy(out + used, escape, sizeof escape);
            out[used + 4] = digits[c >> 4];
            out[used + 5] = digits[c & 15u];
            used += ES_TEXT_JSON_BYTES_PER_BYTE;
        } else {
            out[used++] = (char)c;
        }
    }
    return used;
}
