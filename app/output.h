/* output.h - what goes to standard output: a buffer of our own over write(2).
 *
 *   es_output_init(&output, STDOUT_FILENO, "standard output");
 *   es_output_text(&output, "yes"); es_output_format(&output, "%u\n", n);
 *   status = es_output_flush(&output, &error);
 *
 * stdio would allocate its buffer after the freeze, and hide a full disk until exit. A failure is
 * kept: later bytes are dropped, and every later flush reports it. An appliance takes the bytes
 * itself, at each flush, and never fails. One thread. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stddef.h>

struct es_output {
    int fd; /* borrowed; -1 with `take` */
    void (*take)(void *context, const char *bytes, size_t byte_count); /* NULL: fd */
    void *context;
    const char *name;
    size_t used_bytes;
    int failure; /* errno of the write that failed; 0 for none */
    char buffer[ES_OUTPUT_BUFFER_BYTES];
};

void es_output_init(struct es_output *output, int fd, const char *name);
/* Flushed bytes go to `take` instead of a descriptor. */
void es_output_init_sink(struct es_output *output,
                         void (*take)(void *context, const char *bytes, size_t byte_count),
                         void *context);
void es_output_bytes(struct es_output *output, const char *bytes, size_t byte_count);
void es_output_text(struct es_output *output, const char *text);
/* One call makes at most ES_OUTPUT_BUFFER_BYTES - 1 bytes; longer is cut. */
void es_output_format(struct es_output *output, const char *format, ...) ES_PRINTF(2, 3);

/* The bytes as a JSON string, quotes included. Valid UTF-8 in, valid JSON out. */
void es_output_json_string(struct es_output *output, const char *bytes, size_t byte_count);

/* ES_ERR_OUTPUT names the output, the reason and the remedy. */
ES_MUST_CHECK enum es_status es_output_flush(struct es_output *output, struct es_error *error);
