#include "platform/status.h"

#include "platform/text.h"

#include <stdarg.h>
#include <stdio.h>

enum es_status es_fail(struct es_error *error, enum es_status status, const char *format, ...) {
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
        es_text_make_printable(error->text);
    }
    return status;
}

int es_status_exit_code(enum es_status status) {
    switch (status) {
    case ES_OK:
        return 0;
    case ES_ERR_NO:
        return 1;
    case ES_ERR_USAGE:
        return 2;
    case ES_ERR_INPUT:
        return 3;
    case ES_ERR_HARDWARE:
        return 4;
    case ES_ERR_OUTPUT:
        return 5;
    case ES_ERR_INTERRUPTED:
        return 130;
    }
    return 1;
}
