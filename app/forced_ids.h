/* forced_ids.h - ids to feed in place of the model's own choices, read from a file.
 *
 *   status = es_forced_ids_read(&forced, "ids.txt", vocab_size, &error);     before the freeze
 *   id = forced.ids[decision_index];
 *   es_forced_ids_free(&forced);
 *
 * One decimal id per line, as `transcribe --format tokens` prints them. */
#pragma once

#include "platform/status.h"

#include <stdint.h>

struct es_forced_ids {
    int32_t *ids; /* owned; NULL before reading */
    uint64_t id_count;
};

/* ES_ERR_INPUT names the file and the line. */
ES_MUST_CHECK enum es_status es_forced_ids_read(struct es_forced_ids *forced, const char *path,
                                                uint32_t vocab_size, struct es_error *error);
void es_forced_ids_free(struct es_forced_ids *forced);
