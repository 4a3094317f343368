/* ascii.h - characters for terminals that know ASCII alone: "café" becomes "cafe".
 *
 *   n = es_ascii_of(0xE9, out);        1: "e" */
#pragma once

#include <stdint.h>

#define ES_ASCII_BYTES_MAX 4u

/* What stands for a character in ASCII, into out [ES_ASCII_BYTES_MAX]; returns how many bytes.
 * Latin letters lose their marks, German and Nordic letters become two, typographic marks their
 * plain forms; everything else is '?'. Controls are '?', too. Any thread. */
uint32_t es_ascii_of(uint32_t codepoint, char *out);
