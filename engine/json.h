/* json.h - the JSON files of a model directory, through jansson, with errors that name the place.
 *
 *   es_file_read(path, ES_PARAMS_JSON_BYTES_MAX, &text, &text_bytes, &error);   free(text) after
 *   es_json_parse("params.json", text, text_bytes, &root, &error);              json_decref after
 *   struct es_json_reader reader = {root, "params.json", "", &error, ES_OK};
 *   dim = es_json_u32(&reader, "dim", 1, ES_DIM_MAX);
 *   if (reader.status != ES_OK) { ... }                                         the first failure
 *
 * Duplicate keys, invalid UTF-8 and nesting beyond jansson's limit (2048) are errors with line and
 * column. Texts too big to hold as a tree are walked with a cursor, one member at a time.
 * Allocates; boot only. */
#pragma once

#include "platform/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a regular file of at most `bytes_max` bytes. *text is the caller's to free; it is followed
 * by a NUL that *text_bytes does not count. */
ES_MUST_CHECK enum es_status es_file_read(const char *path, size_t bytes_max, char **text,
                                          size_t *text_bytes, struct es_error *error);

/* Opens a regular file for reading and tells its size; the caller closes *fd. */
ES_MUST_CHECK enum es_status es_file_open(const char *path, int *fd, uint64_t *file_bytes,
                                          struct es_error *error);

/* Parses a whole text. `label` names it in errors; *root is the caller's to json_decref. */
ES_MUST_CHECK enum es_status es_json_parse(const char *label, const char *text, size_t text_bytes,
                                           json_t **root, struct es_error *error);

/* Typed access to a tree by dotted path. The first failure is kept in status and error, and from
 * then on every getter returns its zero: check status once, at the end. */
struct es_json_reader {
    const json_t *root;
    const char *label;  /* "params.json" */
    const char *prefix; /* put before every path: "multimodal.whisper_model_args." or "" */
    struct es_error *error;
    enum es_status status;
};

/* NULL when the path is missing (not a failure) or a failure came before. Borrowed. */
const json_t *es_json_find(const struct es_json_reader *reader, const char *path);

/* Records "LABEL: PREFIX+PATH is FOUND; REMEDY" unless a failure came before. */
void es_json_reject(struct es_json_reader *reader, const char *path, const char *remedy, ...)
    ES_PRINTF(3, 4);

/* A whole number min..max; a float without fraction counts as one. */
uint32_t es_json_u32(struct es_json_reader *reader, const char *path, uint32_t min, uint32_t max);
/* A finite number min..max. */
double es_json_number(struct es_json_reader *reader, const char *path, double min, double max);
bool es_json_bool(struct es_json_reader *reader, const char *path);

/* A text whose members are read one by one.
 *
 *   struct es_json_cursor cursor = {"tekken.json", text, text_bytes, .allow_nul = true};
 *   es_json_enter(&cursor, '{', &error);
 *   while ((status = es_json_next_key(&cursor, &key, &error)) == ES_OK && key != NULL) {
 *       es_json_value(&cursor, &value, &error);  or es_json_skip
 *   }
 *   es_json_leave(&cursor); */
struct es_json_cursor {
    const char *label;
    const char *text;
    size_t text_bytes;
    size_t at;      /* next byte to read */
    bool allow_nul; /* \u0000 may stand in values: pieces of a tokenizer hold it */
    bool is_first;  /* no member was read yet */
    json_t *keys;   /* the object's keys so far: finds duplicates */
};

/* Enters the array ('[') or object ('{') that comes next. */
ES_MUST_CHECK enum es_status es_json_enter(struct es_json_cursor *cursor, char bracket,
                                           struct es_error *error);
/* The next key of an object, up to its colon; *key is NULL at the end of the object and else valid
 * until es_json_leave. */
ES_MUST_CHECK enum es_status es_json_next_key(struct es_json_cursor *cursor, const char **key,
                                              struct es_error *error);
/* Whether another element of an array follows. */
ES_MUST_CHECK enum es_status es_json_next_element(struct es_json_cursor *cursor, bool *has_element,
                                                  struct es_error *error);
/* The value that comes next; the caller's to json_decref. */
ES_MUST_CHECK enum es_status es_json_value(struct es_json_cursor *cursor, json_t **value,
                                           struct es_error *error);
/* Passes over the value that comes next, checking no more than its brackets and quotes. */
ES_MUST_CHECK enum es_status es_json_skip(struct es_json_cursor *cursor, struct es_error *error);
/* Nothing but white space may follow. */
ES_MUST_CHECK enum es_status es_json_end(struct es_json_cursor *cursor, struct es_error *error);
/* Frees what the cursor holds (not the text). Safe at any time, more than once. */
void es_json_leave(struct es_json_cursor *cursor);

/* "LABEL:LINE:COLUMN: what" with the place computed from `at`. */
enum es_status es_json_fail_at(const struct es_json_cursor *cursor, size_t at,
                               struct es_error *error, const char *what);
