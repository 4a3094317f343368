#include "engine/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 160

enum es_status es_file_open(const char *path, int *fd, uint64_t *file_bytes,
                            struct es_error *error) {
    /* Not blocking: a named pipe in the place of a file must not hang the boot. */
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0) {
        const char *remedy = errno == ENOENT || errno == ENOTDIR
                                 ? "give the directory that holds it"
                                 : "make it readable for this user";
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be opened: %s; %s", path, strerror(errno),
                       remedy);
    }
    struct stat status;
    if (fstat(opened, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(opened);
        return es_fail(error, ES_ERR_INPUT, "%s: is not a regular file; put the model's file there",
                       path);
    }
    *fd = opened;
    *file_bytes = (uint64_t)status.st_size;
    return ES_OK;
}

static enum es_status read_all(int fd, const char *path, char *text, size_t text_bytes,
                               struct es_error *error) {
    size_t have = 0;
    while (have < text_bytes) {
        ssize_t n = read(fd, text + have, text_bytes - have);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return es_fail(error, ES_ERR_INPUT,
                           "%s: reading stopped at byte %zu of %zu: %s; copy it again", path, have,
                           text_bytes, n < 0 ? strerror(errno) : "the file became shorter");
        }
        have += (size_t)n;
    }
    text[text_bytes] = '\0';
    return ES_OK;
}

enum es_status es_file_read(const char *path, size_t bytes_max, char **text, size_t *text_bytes,
                            struct es_error *error) {
    int fd = -1;
    uint64_t file_bytes = 0;
    enum es_status status = es_file_open(path, &fd, &file_bytes, error);
    if (status != ES_OK) {
        return status;
    }
    char *buffer = NULL;
    if (file_bytes == 0) {
        status = es_fail(error, ES_ERR_INPUT, "%s: is empty; copy it again", path);
    } else if (file_bytes > bytes_max) {
        status = es_fail(error, ES_ERR_INPUT,
                         "%s: has %" PRIu64 " bytes, more than the %zu that such a file may have; "
                         "is it the right file?",
                         path, file_bytes, bytes_max);
    } else if ((buffer = malloc((size_t)file_bytes + 1)) == NULL) {
        status = es_fail(error, ES_ERR_HARDWARE, "%s: no memory for its %" PRIu64 " bytes", path,
                         file_bytes);
    } else {
        status = read_all(fd, path, buffer, (size_t)file_bytes, error);
    }
    close(fd);
    if (status != ES_OK) {
        free(buffer);
        return status;
    }
    *text = buffer;
    *text_bytes = (size_t)file_bytes;
    return ES_OK;
}

enum es_status es_json_fail_at(const struct es_json_cursor *cursor, size_t at,
                               struct es_error *error, const char *what) {
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at && i < cursor->text_bytes; i++) {
        column = cursor->text[i] == '\n' ? 1 : column + 1;
        line += cursor->text[i] == '\n';
    }
    return es_fail(error, ES_ERR_INPUT, "%s: line %zu, column %zu: %s; copy the file again",
                   cursor->label, line, column, what);
}

/* Parses the value at the cursor; jansson counts its position from there. */
static enum es_status load(struct es_json_cursor *cursor, size_t flags, json_t **value,
                           struct es_error *error) {
    json_error_t trouble;
    json_t *loaded = json_loadb(cursor->text + cursor->at, cursor->text_bytes - cursor->at,
                                flags | JSON_REJECT_DUPLICATES, &trouble);
    size_t passed = trouble.position > 0 ? (size_t)trouble.position : 0;
    if (loaded == NULL) {
        return es_json_fail_at(cursor, cursor->at + passed, error, trouble.text);
    }
    cursor->at += passed;
    *value = loaded;
    return ES_OK;
}

enum es_status es_json_parse(const char *label, const char *text, size_t text_bytes, json_t **root,
                             struct es_error *error) {
    struct es_json_cursor cursor = {.label = label, .text = text, .text_bytes = text_bytes};
    return load(&cursor, 0, root, error);
}

/* -- reader ------------------------------------------------------------------------------------ */

const json_t *es_json_find(const struct es_json_reader *reader, const char *path) {
    if (reader->status != ES_OK) {
        return NULL;
    }
    char full[PATH_BYTES];
    snprintf(full, sizeof full, "%s%s", reader->prefix, path);
    const json_t *node = reader->root;
    char *rest = full;
    while (node != NULL && rest != NULL) {
        char *part = strsep(&rest, ".");
        node = json_object_get(node, part);
    }
    return node;
}

static void describe(const json_t *value, char *text, size_t text_bytes) {
    if (value == NULL) {
        snprintf(text, text_bytes, "missing");
    } else if (json_is_string(value)) {
        snprintf(text, text_bytes, "\"%.40s\"", json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(text, text_bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        snprintf(text, text_bytes, "%.9g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        snprintf(text, text_bytes, "%s", json_is_true(value) ? "true" : "false");
    } else {
        snprintf(text, text_bytes, "%s",
                 json_is_null(value)    ? "null"
                 : json_is_array(value) ? "a list"
                                        : "an object");
    }
}

void es_json_reject(struct es_json_reader *reader, const char *path, const char *remedy, ...) {
    if (reader->status != ES_OK) {
        return;
    }
    char found[64];
    describe(es_json_find(reader, path), found, sizeof found);
    char advice[256];
    va_list args;
    va_start(args, remedy);
    vsnprintf(advice, sizeof advice, remedy, args);
    va_end(args);
    reader->status = es_fail(reader->error, ES_ERR_INPUT, "%s: %s%s is %s; %s", reader->label,
                             reader->prefix, path, found, advice);
}

uint32_t es_json_u32(struct es_json_reader *reader, const char *path, uint32_t min, uint32_t max) {
    const json_t *value = es_json_find(reader, path);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (!(number >= (double)min && number <= (double)max) || number != floor(number)) {
        es_json_reject(reader, path, "give a whole number %" PRIu32 "..%" PRIu32, min, max);
        return 0;
    }
    return (uint32_t)number;
}

double es_json_number(struct es_json_reader *reader, const char *path, double min, double max) {
    const json_t *value = es_json_find(reader, path);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (!(number >= min && number <= max)) {
        es_json_reject(reader, path, "give a number %g..%g", min, max);
        return 0.0;
    }
    return number;
}

bool es_json_bool(struct es_json_reader *reader, const char *path) {
    const json_t *value = es_json_find(reader, path);
    if (!json_is_boolean(value)) {
        es_json_reject(reader, path, "give true or false");
        return false;
    }
    return json_is_true(value);
}

/* -- cursor ------------------------------------------------------------------------------------ */

/* The next byte that is not white space, or '\0' at the end of the text. */
static char peek(struct es_json_cursor *cursor) {
    while (cursor->at < cursor->text_bytes) {
        char c = cursor->text[cursor->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return c;
        }
        cursor->at++;
    }
    return '\0';
}

static enum es_status expect(struct es_json_cursor *cursor, char c, struct es_error *error) {
    if (peek(cursor) != c) {
        char what[32];
        snprintf(what, sizeof what, "'%c' expected", c);
        return es_json_fail_at(cursor, cursor->at, error, what);
    }
    cursor->at++;
    return ES_OK;
}

enum es_status es_json_enter(struct es_json_cursor *cursor, char bracket, struct es_error *error) {
    enum es_status status = expect(cursor, bracket, error);
    if (status != ES_OK) {
        return status;
    }
    cursor->is_first = true;
    if (bracket == '{') {
        es_json_leave(cursor);
        cursor->keys = json_object();
        if (cursor->keys == NULL) {
            return es_fail(error, ES_ERR_HARDWARE, "%s: no memory for its keys", cursor->label);
        }
    }
    return ES_OK;
}

/* At the closing bracket: passes it. Else passes the comma that separates members. */
static enum es_status next_member(struct es_json_cursor *cursor, char bracket, bool *has_member,
                                  struct es_error *error) {
    *has_member = peek(cursor) != bracket;
    if (!*has_member) {
        cursor->at++;
        return ES_OK;
    }
    if (!cursor->is_first) {
        return expect(cursor, ',', error);
    }
    cursor->is_first = false;
    return ES_OK;
}

enum es_status es_json_next_key(struct es_json_cursor *cursor, const char **key,
                                struct es_error *error) {
    *key = NULL;
    bool has_member = false;
    enum es_status status = next_member(cursor, '}', &has_member, error);
    if (status != ES_OK || !has_member) {
        return status;
    }
    if (peek(cursor) != '"') {
        return es_json_fail_at(cursor, cursor->at, error, "a key in quotes expected");
    }
    size_t start = cursor->at;
    json_t *name = NULL;
    status = load(cursor, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &name, error);
    if (status != ES_OK) {
        return status;
    }
    if (json_object_get(cursor->keys, json_string_value(name)) != NULL) {
        json_decref(name);
        return es_json_fail_at(cursor, start, error, "this key stands there twice");
    }
    /* The key keeps its own string as value: the caller's pointer lives as long as the object. */
    const char *text = json_string_value(name);
    if (json_object_set_new(cursor->keys, text, name) != 0) {
        return es_fail(error, ES_ERR_HARDWARE, "%s: no memory for its keys", cursor->label);
    }
    *key = text;
    return expect(cursor, ':', error);
}

enum es_status es_json_next_element(struct es_json_cursor *cursor, bool *has_element,
                                    struct es_error *error) {
    return next_member(cursor, ']', has_element, error);
}

enum es_status es_json_value(struct es_json_cursor *cursor, json_t **value,
                             struct es_error *error) {
    (void)peek(cursor);
    return load(cursor,
                JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | (cursor->allow_nul ? JSON_ALLOW_NUL : 0),
                value, error);
}

/* Passes a string; the cursor stands on its opening quote. */
static bool skip_string(struct es_json_cursor *cursor) {
    for (size_t i = cursor->at + 1; i < cursor->text_bytes; i++) {
        if (cursor->text[i] == '\\') {
            i++;
        } else if (cursor->text[i] == '"') {
            cursor->at = i + 1;
            return true;
        }
    }
    return false;
}

enum es_status es_json_skip(struct es_json_cursor *cursor, struct es_error *error) {
    size_t start = cursor->at;
    size_t depth = 0;
    do {
        char c = peek(cursor);
        if (c == '\0' || (depth == 0 && (c == ',' || c == ']' || c == '}'))) {
            return es_json_fail_at(cursor, c == '\0' ? start : cursor->at, error,
                                   "a complete value expected");
        }
        if (c == '"') {
            if (!skip_string(cursor)) {
                return es_json_fail_at(cursor, cursor->at, error, "this string has no end");
            }
            continue;
        }
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        cursor->at++;
        /* The rest of a number or a word. */
        while (depth == 0 && c != ']' && c != '}' && cursor->at < cursor->text_bytes &&
               strchr(",]} \t\r\n", cursor->text[cursor->at]) == NULL) {
            cursor->at++;
        }
    } while (depth > 0);
    return ES_OK;
}

enum es_status es_json_end(struct es_json_cursor *cursor, struct es_error *error) {
    (void)peek(cursor);
    if (cursor->at != cursor->text_bytes) {
        return es_json_fail_at(cursor, cursor->at, error, "end of file expected");
    }
    return ES_OK;
}

void es_json_leave(struct es_json_cursor *cursor) {
    json_decref(cursor->keys);
    cursor->keys = NULL;
}
