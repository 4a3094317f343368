/* config_keys.h - the table of what can be configured; private to config.c and its tests.
 *
 *   for (size_t i = 0; i < es_config_key_count; i++) { es_config_keys[i].name ... } */
#pragma once

#include "app/config.h"

#include <stddef.h>

enum es_config_kind {
    ES_CONFIG_KIND_TEXT,   /* char [ES_CONFIG_VALUE_BYTES] */
    ES_CONFIG_KIND_NUMBER, /* uint32_t in min..max */
    ES_CONFIG_KIND_DELAY,  /* uint32_t, what the model was trained on */
    ES_CONFIG_KIND_GAIN,   /* char []; sets is_gain_auto and gain_db as well */
    ES_CONFIG_KIND_WORD,   /* uint32_t, the index in `words` */
};

struct es_config_key {
    const char *heading; /* begins a group in the sample file; NULL otherwise */
    const char *name;
    size_t offset; /* in struct es_config */
    enum es_config_kind kind;
    uint32_t min; /* NUMBER */
    uint32_t max;
    bool takes_zero;           /* NUMBER: 0 is allowed, too */
    const char *const *words;  /* WORD: ends with NULL */
    const char *default_value; /* as it would stand in the file; "" for nothing */
    const char *range;         /* for people: unit and what may be written */
    const char *doc;           /* a sentence or two, at most 96 columns a line */
};

extern const struct es_config_key es_config_keys[];
extern const size_t es_config_key_count;
