#include "platform/utf8.h"

#include <string.h>

static uint8_t length_of(uint8_t first) {
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* The second byte's range depends on the first: it rules out overlong forms, surrogates and what
 * lies beyond U+10FFFF. */
static bool continues(const struct es_utf8 *utf8, uint8_t byte) {
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    if (utf8->byte_count == 1) {
        switch (utf8->bytes[0]) {
        case 0xE0:
            low = 0xA0;
            break;
        case 0xED:
            high = 0x9F;
            break;
        case 0xF0:
            low = 0x90;
            break;
        case 0xF4:
            high = 0x8F;
            break;
        default:
            break;
        }
    }
    return byte >= low && byte <= high;
}

static void replace(struct es_utf8_character *character) {
    *character = (struct es_utf8_character){
        .bytes = {(char)0xEF, (char)0xBF, (char)0xBD}, .byte_count = 3, .is_replacement = true};
}

uint32_t es_utf8_push(struct es_utf8 *utf8, uint8_t byte, struct es_utf8_character *characters) {
    uint32_t count = 0;
    if (utf8->byte_count > 0) {
        if (continues(utf8, byte)) {
            utf8->bytes[utf8->byte_count++] = byte;
            if (utf8->byte_count < utf8->expected_count) {
                return 0;
            }
            characters[0] = (struct es_utf8_character){.byte_count = utf8->byte_count};
            memcpy(characters[0].bytes, utf8->bytes, utf8->byte_count);
            utf8->byte_count = 0;
            return 1;
        }
        utf8->byte_count = 0;
        replace(&characters[count++]);
    }
    uint8_t length = length_of(byte);
    if (length == 0) {
        replace(&characters[count++]);
    } else if (length == 1) {
        characters[count++] = (struct es_utf8_character){.bytes = {(char)byte}, .byte_count = 1};
    } else {
        utf8->bytes[0] = byte;
        utf8->byte_count = 1;
        utf8->expected_count = length;
    }
    return count;
}

uint32_t es_utf8_finish(struct es_utf8 *utf8, struct es_utf8_character *characters) {
    if (utf8->byte_count == 0) {
        return 0;
    }
    utf8->byte_count = 0;
    replace(&characters[0]);
    return 1;
}
