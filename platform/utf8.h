/* utf8.h - bytes that come in any pieces, out in whole characters.
 *
 *   n = es_utf8_push(&utf8, byte, characters);     0, 1 or 2 characters
 *   n = es_utf8_finish(&utf8, characters);         0 or 1: what the end cut off
 *
 * A token may hold part of a character. What can be no part of one (a lone continuation byte, an
 * overlong form, a surrogate, a start that is never continued) becomes U+FFFD, one for each maximal
 * part of a character, as the Unicode Standard recommends (section 3.9, U+FFFD substitution). Plain
 * data, zero is the empty state. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_utf8 {
    uint8_t bytes[4];
    uint8_t byte_count;     /* held back */
    uint8_t expected_count; /* of the character that they begin */
};

struct es_utf8_character {
    char bytes[4]; /* not terminated */
    uint8_t byte_count;
    bool is_replacement; /* stands for bytes that were no character */
};

#define ES_UTF8_CHARACTERS_PER_BYTE 2u

/* characters [ES_UTF8_CHARACTERS_PER_BYTE]; returns how many were written. */
uint32_t es_utf8_push(struct es_utf8 *utf8, uint8_t byte, struct es_utf8_character *characters);
uint32_t es_utf8_finish(struct es_utf8 *utf8, struct es_utf8_character *characters);
