#include "board/console_text.h"

#include "board/ascii.h"
#include "board/word.h"
#include "platform/assert.h"

#include <stdio.h>
#include <string.h>

static uint32_t codepoint_of(const char *bytes, uint32_t byte_count) {
    static const uint8_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t codepoint = (uint8_t)bytes[0] & masks[byte_count];
    for (uint32_t i = 1; i < byte_count; i++) {
        codepoint = codepoint << 6 | ((uint8_t)bytes[i] & 0x3Fu);
    }
    return codepoint;
}

static void append(struct es_console_text *text, const char *bytes, uint32_t byte_count) {
    ES_ASSERT(text->used_bytes + byte_count <= sizeof text->bytes);
    memcpy(text->bytes + text->used_bytes, bytes, byte_count);
    text->used_bytes += byte_count;
}

static void add_character(struct es_console_text *text, const struct es_utf8_character *character,
                          bool is_ascii) {
    static const char replacement[] = {(char)0xEF, (char)0xBF, (char)0xBD};
    uint32_t codepoint = codepoint_of(character->bytes, character->byte_count);
    bool is_space = codepoint == ' ' || (codepoint >= '\t' && codepoint <= '\r');
    bool is_control = codepoint < 0x20 || (codepoint >= 0x7F && codepoint < 0xA0);
    if (is_space) {
        append(text, " ", 1);
    } else if (is_ascii) {
        char plain[ES_ASCII_BYTES_MAX];
        append(text, plain, es_ascii_of(codepoint, plain));
    } else if (is_control) {
        append(text, replacement, sizeof replacement);
    } else {
        append(text, character->bytes, character->byte_count);
    }
}

void es_console_text_add(struct es_console_text *text, struct es_utf8 *utf8, const char *bytes,
                         uint32_t byte_count, bool is_ascii) {
    ES_ASSERT(byte_count <= ES_WORD_BYTES_MAX);
    for (uint32_t i = 0; i < byte_count; i++) {
        struct es_utf8_character characters[ES_UTF8_CHARACTERS_PER_BYTE];
        uint32_t count = es_utf8_push(utf8, (uint8_t)bytes[i], characters);
        for (uint32_t c = 0; c < count; c++) {
            add_character(text, &characters[c], is_ascii);
        }
    }
}

void es_console_text_finish(struct es_console_text *text, struct es_utf8 *utf8, bool is_ascii) {
    struct es_utf8_character characters[ES_UTF8_CHARACTERS_PER_BYTE];
    if (es_utf8_finish(utf8, characters) > 0) {
        add_character(text, &characters[0], is_ascii);
    }
}

uint32_t es_console_stamp(char *stamp, uint64_t ms, bool is_time_of_day) {
    uint64_t seconds = ms / 1000u;
    uint64_t hours = seconds / 3600u;
    int count = snprintf(stamp, ES_CONSOLE_STAMP_BYTES, "[%02llu:%02u:%02u]",
                         (unsigned long long)(is_time_of_day ? hours % 24u : hours),
                         (unsigned)(seconds / 60u % 60u), (unsigned)(seconds % 60u));
    return (uint32_t)count;
}

static size_t escape_unit(char *out, uint32_t unit) {
    static const char digits[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++) {
        out[2 + i] = digits[unit >> (12 - 4 * i) & 15u];
    }
    return 6;
}

static uint32_t character_bytes(uint8_t first) {
    return first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
}

size_t es_console_json_ascii(char *line, size_t line_bytes) {
    char out[ES_WORD_JSON_BYTES_MAX];
    size_t used = 0;
    if (line_bytes == 0) {
        return 0;
    }
    for (size_t i = 0; i < line_bytes;) {
        uint32_t count = character_bytes((uint8_t)line[i]);
        ES_ASSERT(i + count <= line_bytes && used + 12u <= sizeof out);
        uint32_t codepoint = codepoint_of(line + i, count);
        if (count == 1) {
            out[used++] = line[i];
        } else if (codepoint < 0x10000u) {
            used += escape_unit(out + used, codepoint);
        } else {
            used += escape_unit(out + used, 0xD800u + ((codepoint - 0x10000u) >> 10));
            used += escape_unit(out + used, 0xDC00u + ((codepoint - 0x10000u) & 0x3FFu));
        }
        i += count;
    }
    memcpy(line, out, used);
    return used;
}
