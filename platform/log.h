/* log.h - one line per event on stderr: "earshot: warning: ...".
 *
 *   es_log(ES_LOG_WARNING, "memory is not locked: ...");
 *
 * Only the app and tools layers log; libraries return statuses (status.h). Never allocates; a line
 * is written with one write(2), cut at 1 KiB. Any thread. */
#pragma once

#include "platform/status.h"

enum es_log_level { ES_LOG_ERROR, ES_LOG_WARNING, ES_LOG_INFO };

/* Lines of a higher level are dropped from here on; ES_LOG_INFO, all of them, at first. Main
 * thread, at start. */
void es_log_limit(enum es_log_level level);

void es_log(enum es_log_level level, const char *format, ...) ES_PRINTF(2, 3);
