/* console_text.h - text made safe for a terminal, and the stamps before it.
 *
 *   es_console_text_add(&text, &utf8, bytes, byte_count, is_ascii);
 *   es_console_text_finish(&text, &utf8, is_ascii);           what the end cut off
 *
 * Pure; any thread. */
#pragma once

#include "platform/bounds.h"
#include "platform/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte that is no character becomes U+FFFD, of three bytes; '?' and transliterations are no
 * longer. */
#define ES_CONSOLE_TEXT_BYTES_MAX (3u * ES_WORD_BYTES_MAX + 16u)

struct es_console_text {
    uint32_t used_bytes;
    char bytes[ES_CONSOLE_TEXT_BYTES_MAX];
};

/* Appends; white space of any kind becomes blanks, other controls (C0, DEL, C1) and what is no
 * UTF-8 become U+FFFD, or with is_ascii '?'. A character that is not whole stays in `utf8`. */
void es_console_text_add(struct es_console_text *text, struct es_utf8 *utf8, const char *bytes,
                         uint32_t byte_count, bool is_ascii);
void es_console_text_finish(struct es_console_text *text, struct es_utf8 *utf8, bool is_ascii);

/* "[01:02:03]" into stamp [ES_CONSOLE_STAMP_BYTES], terminated. With a time of day it wraps
 * after 24 hours, otherwise the hours go on. */
#define ES_CONSOLE_STAMP_BYTES 32u
uint32_t es_console_stamp(char *stamp, uint64_t ms, bool is_time_of_day);

/* JSON with what is not ASCII as \uxxxx. In place of `line` [line_bytes used, room for
 * ES_WORD_JSON_BYTES_MAX]; returns the new count. Valid UTF-8 in. */
size_t es_console_json_ascii(char *line, size_t line_bytes);
