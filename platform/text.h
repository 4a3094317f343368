/* text.h - lines that are safe to show on a terminal, and strings for JSON.
 *
 *   vsnprintf(line, sizeof line, format, args);
 *   es_text_make_printable(line);
 *   used += es_text_json(line + used, bytes, byte_count); */
#pragma once

#include <stddef.h>

/* Replaces every control character (below 0x20, 0x7f, and the bytes of U+0080 to U+009F, of which
 * U+009B is what some terminals take for an escape) by '?' and drops a UTF-8 character that
 * a cut left incomplete at the end. In place; `text` is terminated. Any thread. */
void es_text_make_printable(char *text);

/* What one byte may become, as \u00xx. */
#define ES_TEXT_JSON_BYTES_PER_BYTE 6u

/* The bytes as they stand between the quotes of a JSON string, into `out` (not terminated), which
 * has room for ES_TEXT_JSON_BYTES_PER_BYTE of each. Returns how many. Valid UTF-8 in, valid JSON
 * out. Any thread. */
size_t es_text_json(char *out, const char *bytes, size_t byte_count);
