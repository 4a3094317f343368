#include "app/forced_ids.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64 /* far more than an id needs */

static enum es_status add(struct es_forced_ids *forced, int32_t id, uint64_t *room,
                          const char *path, struct es_error *error) {
    if (forced->id_count == *room) {
        uint64_t more = *room == 0 ? 4096u : *room * 2u;
        int32_t *grown = realloc(forced->ids, more * sizeof *grown);
        if (grown == NULL) {
            return es_fail(error, ES_ERR_HARDWARE, "%s: no memory for its ids; give a shorter file",
                           path);
        }
        forced->ids = grown;
        *room = more;
    }
    forced->ids[forced->id_count++] = id;
    return ES_OK;
}

static bool read_id(const char *line, uint32_t vocab_size, int32_t *id) {
    if (line[0] < '0' || line[0] > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long value = strtoul(line, &end, 10);
    *id = (int32_t)value;
    return errno == 0 && value < vocab_size && end[strspn(end, "\r\n")] == '\0';
}

static enum es_status read_lines(struct es_forced_ids *forced, FILE *file, const char *path,
                                 uint32_t vocab_size, struct es_error *error) {
    char line[LINE_BYTES];
    uint64_t room = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        int32_t id;
        if (!read_id(line, vocab_size, &id)) {
            line[strcspn(line, "\r\n")] = '\0';
            return es_fail(error, ES_ERR_INPUT,
                           "%s: line %llu: \"%s\" is not a token id; give one number from 0 to %u "
                           "per line",
                           path, (unsigned long long)forced->id_count + 1u, line, vocab_size - 1u);
        }
        enum es_status status = add(forced, id, &room, path, error);
        if (status != ES_OK) {
            return status;
        }
    }
    if (ferror(file)) {
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be read (%s); check the file", path,
                       strerror(errno));
    }
    return ES_OK;
}

enum es_status es_forced_ids_read(struct es_forced_ids *forced, const char *path,
                                  uint32_t vocab_size, struct es_error *error) {
    *forced = (struct es_forced_ids){0};
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be opened (%s); give a file of token ids",
                       path, strerror(errno));
    }
    enum es_status status = read_lines(forced, file, path, vocab_size, error);
    (void)fclose(file);
    if (status != ES_OK) {
        es_forced_ids_free(forced);
    }
    return status;
}

void es_forced_ids_free(struct es_forced_ids *forced) {
    free(forced->ids);
    *forced = (struct es_forced_ids){0};
}
