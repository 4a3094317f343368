/* checksums.h - whether a model's files are those that were published: SHA256SUMS beside them.
 *
 *   count = es_checksums_read(&list, "models/bringup", &error);     0: there is no such list
 *   if (list.files[i].is_listed) {
 *       status = es_checksums_hash(path, text, &error);             reads the file through
 *       is_same = strcmp(text, list.files[i].text) == 0;
 *   }
 *
 * The list is as coreutils' sha256sum writes it: 64 hexadecimal digits, two spaces (or a space and
 * an asterisk), a name. Names other than the model's three are passed over. A damaged copy loads
 * and hears nonsense, or refuses some tensor: the sums say which, and that copying again helps.
 * Allocates nothing. Main thread. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ES_CHECKSUMS_NAME "SHA256SUMS"
#define ES_CHECKSUM_FILE_COUNT 3u
#define ES_CHECKSUM_TEXT_BYTES 65u /* digits in lower case, and the NUL */

struct es_checksums {
    struct {
        bool is_listed;
        char text[ES_CHECKSUM_TEXT_BYTES];
    } files[ES_CHECKSUM_FILE_COUNT];
};

/* "consolidated.safetensors", "params.json", "tekken.json". Static storage. */
const char *es_checksums_file_name(uint32_t index);

/* Reads DIRECTORY/SHA256SUMS. 1, 0 where there is none, or ES_ERR_INPUT: no such list, a name with
 * a path, one file with two sums, more than ES_CHECKSUMS_BYTES_MAX. */
ES_MUST_CHECK int es_checksums_read(struct es_checksums *list, const char *directory,
                                    struct es_error *error);

/* The same of bytes; `label` names them in the line. ES_OK or ES_ERR_INPUT. */
ES_MUST_CHECK enum es_status es_checksums_parse(struct es_checksums *list, const char *bytes,
                                                size_t byte_count, const char *label,
                                                struct es_error *error);

/* The file's SHA-256 as text [ES_CHECKSUM_TEXT_BYTES]. Tells the page cache to forget what was
 * read: the 4B model is larger than what a board has free. ES_ERR_INPUT: missing, unreadable, no
 * file. */
ES_MUST_CHECK enum es_status es_checksums_hash(const char *path, char *text,
                                               struct es_error *error);
