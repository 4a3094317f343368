/* tokenizer.h - token id to bytes of text, from tekken.json.
 *
 *   es_tokenizer_layout(&model, &plan, &layout);
 *   es_tokenizer_load(&tokenizer, &model, &layout, &arena, directory, &error);
 *   n = es_tokenizer_piece(&tokenizer, id, &bytes);      0 for control ids
 *
 * A piece may hold part of a UTF-8 character: whoever prints keeps the bytes until it is whole.
 * Sources: tekken.json of the model and mistral-common tokens/tokenizers/tekken.py. Immutable after
 * loading. */
#pragma once

#include "engine/model.h"
#include "platform/arena.h"

#define ES_ID_BOS 1
#define ES_ID_EOS 2
#define ES_ID_STREAMING_PAD 32  /* nothing to say at this position */
#define ES_ID_STREAMING_WORD 33 /* a word follows */

struct es_tokenizer_layout {
    uint32_t offsets_region;
    uint32_t text_region;
};

struct es_tokenizer {
    const uint32_t *offsets; /* [vocab_size + 1] into text; control ids are empty */
    const char *text;        /* all pieces, in order of id; not terminated */
    uint32_t vocab_size;
    uint32_t special_count; /* ids below are control ids: 1000 */
};

void es_tokenizer_layout(const struct es_model *model, struct es_plan *plan,
                         struct es_tokenizer_layout *layout);

/* Reads DIRECTORY/tekken.json. Checks: base64, ranks complete and in order, the first 256 pieces
 * are the single bytes, as many pieces as vocab_size needs, text within its region. Allocates while
 * it reads. */
ES_MUST_CHECK enum es_status es_tokenizer_load(struct es_tokenizer *tokenizer,
                                               const struct es_model *model,
                                               const struct es_tokenizer_layout *layout,
                                               const struct es_arena *arena, const char *directory,
                                               struct es_error *error);

/* The same from the text of a tekken.json in memory; `label` names it in errors. */
ES_MUST_CHECK enum es_status
es_tokenizer_parse(struct es_tokenizer *tokenizer, const struct es_model *model,
                   const struct es_tokenizer_layout *layout, const struct es_arena *arena,
                   const char *label, const char *text, size_t text_bytes, struct es_error *error);

/* Length of the piece in bytes, 0 for control ids; *bytes points into the arena. id < vocab_size.
 */
uint32_t es_tokenizer_piece(const struct es_tokenizer *tokenizer, int32_t id, const char **bytes);
