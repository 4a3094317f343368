#include "app/output.h"

#include "platform/text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void es_output_init(struct es_output *output, int fd, const char *name) {
    output->fd = fd;
    output->take = NULL;
    output->context = NULL;
    output->name = name;
    output->used_bytes = 0;
    output->failure = 0;
}

void es_output_init_sink(struct es_output *output,
                         void (*take)(void *context, const char *bytes, size_t byte_count),
                         void *context) {
    es_output_init(output, -1, "sink");
    output->take = take;
    output->context = context;
}

static void drain(struct es_output *output) {
    size_t done_bytes = 0;
    if (output->take != NULL && output->used_bytes > 0) {
        output->take(output->context, output->buffer, output->used_bytes);
        done_bytes = output->used_bytes;
    }
    while (output->failure == 0 && done_bytes < output->used_bytes) {
        ssize_t written =
            write(output->fd, output->buffer + done_bytes, output->used_bytes - done_bytes);
        if (written >= 0) {
            done_bytes += (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = output->fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            output->failure = errno;
        }
    }
    output->used_bytes = 0;
}

void es_output_bytes(struct es_output *output, const char *bytes, size_t byte_count) {
    while (byte_count > 0) {
        size_t room = sizeof output->buffer - output->used_bytes;
        size_t count = byte_count < room ? byte_count : room;
        memcpy(output->buffer + output->used_bytes, bytes, count);
        output->used_bytes += count;
        bytes += count;
        byte_count -= count;
        if (output->used_bytes == sizeof output->buffer) {
            drain(output);
        }
    }
}

void es_output_text(struct es_output *output, const char *text) {
    es_output_bytes(output, text, strlen(text));
}

void es_output_format(struct es_output *output, const char *format, ...) {
    char line[ES_OUTPUT_BUFFER_BYTES];
    va_list args;
    va_start(args, format);
    int count = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (count > 0) {
        size_t bytes = (size_t)count < sizeof line ? (size_t)count : sizeof line - 1;
        es_output_bytes(output, line, bytes);
    }
}

void es_output_json_string(struct es_output *output, const char *bytes, size_t byte_count) {
    char escaped[64 * ES_TEXT_JSON_BYTES_PER_BYTE];
    es_output_text(output, "\"");
    for (size_t i = 0; i < byte_count; i += 64) {
        size_t count = byte_count - i < 64 ? byte_count - i : 64;
        es_output_bytes(output, escaped, es_text_json(escaped, bytes + i, count));
    }
    es_output_text(output, "\"");
}

enum es_status es_output_flush(struct es_output *output, struct es_error *error) {
    drain(output);
    switch (output->failure) {
    case 0:
        return ES_OK;
    case EPIPE:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: its reader has closed it; nobody receives the rest", output->name);
    case ENOSPC:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: no space left on the device; free some and run again", output->name);
    default:
        return es_fail(error, ES_ERR_OUTPUT, "%s: cannot be written (%s); check where it leads",
                       output->name, strerror(output->failure));
    }
}
