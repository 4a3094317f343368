#include "platform/log.h"

#include "platform/bounds.h"
#include "platform/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum es_log_level limit = ES_LOG_INFO;

void es_log_limit(enum es_log_level level) {
    limit = level;
}

void es_log(enum es_log_level level, const char *format, ...) {
    static const char *const prefixes[] = {"earshot: error: ", "earshot: warning: ", "earshot: "};
    char line[ES_LOG_LINE_BYTES];
    if (level > limit) {
        return;
    }
    size_t used = strlen(prefixes[level]);
    memcpy(line, prefixes[level], used);

    va_list args;
    va_start(args, format);
    (void)vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    es_text_make_printable(line + used);

    size_t bytes = strlen(line);
    line[bytes++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written; /* there is nowhere left to say that stderr is gone */
}
