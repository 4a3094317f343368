#include "engine/tokenizer.h"

#include "engine/json.h"
#include "platform/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTE_PIECE_COUNT 256u

static size_t text_bytes_max(uint32_t vocab_size) {
    return (size_t)vocab_size * ES_PIECE_BYTES_MEAN_MAX;
}

void es_tokenizer_layout(const struct es_model *model, struct es_plan *plan,
                         struct es_tokenizer_layout *layout) {
    layout->offsets_region = es_plan_add(plan, ES_MEM_HOST, "tokenizer offsets",
                                         ((size_t)model->vocab_size + 1) * sizeof(uint32_t));
    layout->text_region =
        es_plan_add(plan, ES_MEM_HOST, "tokenizer text", text_bytes_max(model->vocab_size));
}

/* -- base64 ------------------------------------------------------------------------------------ */

static int sextet(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict (RFC 4648 section 4): whole groups of four, padding at the end only, no spare bits set.
 * Returns the bytes written, or -1 when it is not base64, or -2 when out_max is too few. */
static int decode_base64(const char *text, size_t length, uint8_t *out, size_t out_max) {
    if (length % 4 != 0) {
        return -1;
    }
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') {
        padding++;
    }
    if (length / 4 * 3 - padding > out_max) {
        return -2;
    }
    size_t written = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        bool is_padding = i >= length - padding;
        int value = is_padding ? 0 : sextet(text[i]);
        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 3) {
            continue;
        }
        size_t byte_count = i + 1 == length ? 3 - padding : 3;
        for (size_t j = 0; j < byte_count; j++) {
            out[written++] = (uint8_t)(bits >> (16 - 8 * j));
        }
        if ((bits & ((1u << (8 * (3 - byte_count))) - 1)) != 0) {
            return -1;
        }
        bits = 0;
    }
    return (int)written;
}

/* -- tekken.json ------------------------------------------------------------------------------- */

struct reading {
    const struct es_model *model;
    const char *label;
    struct es_error *error;
    uint32_t special_count;
    uint32_t *offsets;
    uint8_t *text;
    size_t text_bytes;
};

static enum es_status read_config(struct reading *reading, const json_t *config) {
    struct es_json_reader reader = {config, reading->label, "", reading->error, ES_OK};
    uint32_t model_vocab = reading->model->vocab_size;
    reading->special_count = es_json_u32(&reader, "default_num_special_tokens",
                                         ES_ID_STREAMING_WORD + 1, ES_VOCAB_SIZE_MAX);
    const json_t *vocab_size = es_json_find(&reader, "default_vocab_size");
    if (vocab_size != NULL &&
        es_json_u32(&reader, "default_vocab_size", 1, 2 * ES_VOCAB_SIZE_MAX) < model_vocab) {
        es_json_reject(&reader, "default_vocab_size",
                       "params.json has vocab_size %u; give files that belong together",
                       model_vocab);
    }
    /* A model with fewer ids than that has control ids only. */
    if (reading->special_count > model_vocab) {
        reading->special_count = model_vocab;
    }
    return reader.status;
}

/* One entry of the vocabulary: appends its bytes to the text. */
static enum es_status read_piece(struct reading *reading, uint32_t index, const json_t *entry) {
    const json_t *rank = json_object_get(entry, "rank");
    if (!json_is_integer(rank) || json_integer_value(rank) != (json_int_t)index) {
        char found[32] = "missing";
        if (json_is_integer(rank)) {
            snprintf(found, sizeof found, "%" JSON_INTEGER_FORMAT, json_integer_value(rank));
        }
        return es_fail(reading->error, ES_ERR_INPUT,
                       "%s: vocab[%u].rank is %s; ranks go 0, 1, 2, ... without gap, copy the file "
                       "again",
                       reading->label, index, found);
    }
    const json_t *encoded = json_object_get(entry, "token_bytes");
    if (!json_is_string(encoded)) {
        return es_fail(reading->error, ES_ERR_INPUT,
                       "%s: vocab[%u].token_bytes is not a string; copy the file again",
                       reading->label, index);
    }
    uint8_t *piece = reading->text + reading->text_bytes;
    size_t space = text_bytes_max(reading->model->vocab_size) - reading->text_bytes;
    int piece_bytes =
        decode_base64(json_string_value(encoded), json_string_length(encoded), piece, space);
    if (piece_bytes == -2) {
        return es_fail(reading->error, ES_ERR_INPUT,
                       "%s: vocab[%u]: the pieces have more than %u bytes on average, which is "
                       "what memory is planned for; is it the right file?",
                       reading->label, index, ES_PIECE_BYTES_MEAN_MAX);
    }
    if (piece_bytes <= 0) {
        return es_fail(reading->error, ES_ERR_INPUT,
                       "%s: vocab[%u].token_bytes is %s; copy the file again", reading->label,
                       index, piece_bytes == 0 ? "empty" : "not base64");
    }
    if (index < BYTE_PIECE_COUNT && (piece_bytes != 1 || piece[0] != index)) {
        return es_fail(reading->error, ES_ERR_INPUT,
                       "%s: vocab[%u] is not the single byte 0x%02x; the first 256 pieces are the "
                       "single bytes, copy the file again",
                       reading->label, index, index);
    }
    reading->text_bytes += (size_t)piece_bytes;
    reading->offsets[reading->special_count + index + 1] = (uint32_t)reading->text_bytes;
    return ES_OK;
}

/* The list of pieces. What stands behind the last one that the model uses is checked as JSON only:
 * the 4B model's file holds more pieces than its vocabulary. */
static enum es_status read_vocab(struct reading *reading, struct es_json_cursor cursor) {
    uint32_t needed = reading->model->vocab_size - reading->special_count;
    memset(reading->offsets, 0, (reading->special_count + 1) * sizeof reading->offsets[0]);
    uint32_t count = 0;
    bool has_element = false;
    enum es_status status = es_json_enter(&cursor, '[', reading->error);
    while (status == ES_OK) {
        status = es_json_next_element(&cursor, &has_element, reading->error);
        if (status != ES_OK || !has_element) {
            break;
        }
        json_t *entry = NULL;
        status = es_json_value(&cursor, &entry, reading->error);
        if (status == ES_OK && count < needed) {
            status = read_piece(reading, count, entry);
            count++;
        }
        json_decref(entry);
    }
    if (status == ES_OK && count < needed) {
        return es_fail(reading->error, ES_ERR_INPUT,
                       "%s: vocab has %u pieces, vocab_size %u of params.json less %u control ids "
                       "makes %u; give files that belong together",
                       reading->label, count, reading->model->vocab_size, reading->special_count,
                       needed);
    }
    return status;
}

/* The members of the file, one by one: a tree of 150,000 pieces would be 100 MB. The vocabulary is
 * passed over here and read after, because the configuration may stand behind it. */
static enum es_status find_members(struct reading *reading, struct es_json_cursor *cursor,
                                   size_t *vocab_at, bool *has_config) {
    const char *key = NULL;
    enum es_status status = es_json_enter(cursor, '{', reading->error);
    while (status == ES_OK) {
        status = es_json_next_key(cursor, &key, reading->error);
        if (status != ES_OK || key == NULL) {
            break;
        }
        if (strcmp(key, "vocab") == 0) {
            *vocab_at = cursor->at;
            status = es_json_skip(cursor, reading->error);
            continue;
        }
        json_t *value = NULL;
        status = es_json_value(cursor, &value, reading->error);
        if (status == ES_OK && strcmp(key, "config") == 0) {
            *has_config = true;
            status = read_config(reading, value);
        }
        json_decref(value);
    }
    return status == ES_OK ? es_json_end(cursor, reading->error) : status;
}

enum es_status es_tokenizer_parse(struct es_tokenizer *tokenizer, const struct es_model *model,
                                  const struct es_tokenizer_layout *layout,
                                  const struct es_arena *arena, const char *label, const char *text,
                                  size_t text_bytes, struct es_error *error) {
    struct reading reading = {
        .model = model,
        .label = label,
        .error = error,
        .offsets = es_arena_region(arena, layout->offsets_region),
        .text = es_arena_region(arena, layout->text_region),
    };
    struct es_json_cursor cursor = {
        .label = label, .text = text, .text_bytes = text_bytes, .allow_nul = true};
    size_t vocab_at = 0;
    bool has_config = false;
    enum es_status status = find_members(&reading, &cursor, &vocab_at, &has_config);
    es_json_leave(&cursor);
    if (status != ES_OK) {
        return status;
    }
    if (!has_config || vocab_at == 0) {
        return es_fail(error, ES_ERR_INPUT, "%s: %s is missing; give the model's tekken.json",
                       label, has_config ? "vocab" : "config");
    }
    cursor.at = vocab_at;
    status = read_vocab(&reading, cursor);
    if (status == ES_OK) {
        tokenizer->offsets = reading.offsets;
        tokenizer->text = (const char *)reading.text;
        tokenizer->vocab_size = model->vocab_size;
        tokenizer->special_count = reading.special_count;
    }
    return status;
}

enum es_status es_tokenizer_load(struct es_tokenizer *tokenizer, const struct es_model *model,
                                 const struct es_tokenizer_layout *layout,
                                 const struct es_arena *arena, const char *directory,
                                 struct es_error *error) {
    char path[ES_FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s/tekken.json", directory);
    char *text = NULL;
    size_t text_bytes = 0;
    enum es_status status = es_file_read(path, ES_TEKKEN_JSON_BYTES_MAX, &text, &text_bytes, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_tokenizer_parse(tokenizer, model, layout, arena, path, text, text_bytes, error);
    free(text);
    return status;
}

uint32_t es_tokenizer_piece(const struct es_tokenizer *tokenizer, int32_t id, const char **bytes) {
    ES_ASSERT(id >= 0);
    ES_ASSERT((uint32_t)id < tokenizer->vocab_size);
    uint32_t begin = tokenizer->offsets[id];
    *bytes = tokenizer->text + begin;
    return tokenizer->offsets[id + 1] - begin;
}
