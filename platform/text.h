/* text.h - lines that are safe to show on a terminal.
 *
 *   vsnprintf(line, sizeof line, format, args);
 *   es_text_make_printable(line); */
#pragma once

/* Replaces every control character (below 0x20, and 0x7f) by '?' and drops a UTF-8 character that
 * a cut left incomplete at the end. In place; `text` is terminated. Any thread. */
void es_text_make_printable(char *text);
