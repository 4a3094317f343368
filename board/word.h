/* word.h - what the console and the journal are told: words, and events beside them.
 *
 *   struct es_word word = {"seven", 5, 1450, 2000};
 *   n = es_word_json(&word, line);        {"start_ms":1450,"end_ms":2000,"text":..}
 *   struct es_event event = {"state", "muted", 5210};
 *   n = es_event_json(&event, line);      {"event":"state","at_ms":5210,"text":..}
 *
 * The one place where these objects are written, for `transcribe`, the UART and `earshot journal`.
 * Any thread. */
#pragma once

#include "platform/bounds.h"

#include <stddef.h>
#include <stdint.h>

struct es_word {
    const char *text;    /* [text_bytes] UTF-8, not terminated; borrowed for the call */
    uint32_t text_bytes; /* at most ES_WORD_BYTES_MAX */
    uint64_t start_ms;   /* recording time */
    uint64_t end_ms;
};

struct es_event {
    const char *name; /* "state", "lost", "gap", "clock", "journal", ...: for programs */
    const char *text; /* one line for a person: "muted"; longer than ES_WORD_BYTES_MAX is cut */
    uint64_t at_ms;   /* recording time */
};

/* A line of at most this many bytes: every byte of the text escaped as \u00xx, and the rest. */
#define ES_WORD_JSON_BYTES_MAX (6u * ES_WORD_BYTES_MAX + 192u)

/* One object without line end, not terminated, into line [ES_WORD_JSON_BYTES_MAX]; returns its
 * bytes. Valid UTF-8 in, valid JSON out. */
size_t es_word_json(const struct es_word *word, char *line);
size_t es_event_json(const struct es_event *event, char *line);
