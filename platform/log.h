/* log.h - one line per event on stderr: "earshot: warning: ...".
 *
 *   es_log(ES_LOG_WARNING, "memory is not locked: ...");
 *
 * Only the app and tools layers log; libraries return statuses (status.h). Never allocates; a line
 * is cut at 1 KiB. Any thread.
 *
 * A line is written by its caller, who waits for whoever reads stderr. A terminal that was stopped
 * with Ctrl-S, or a pipe that nobody empties, would then hold a control loop for ever; a program
 * that has one starts a writer:
 *
 *   status = es_log_start_writer(&error);       a thread; callers never wait from here on
 *   es_log_stop_writer(ES_STOP_LOG_MS);         what waits is written, as far as it is taken */
#pragma once

#include "platform/status.h"

#include <stdint.h>

enum es_log_level { ES_LOG_ERROR, ES_LOG_WARNING, ES_LOG_INFO };

/* Lines of a higher level are dropped from here on; ES_LOG_INFO, all of them, at first. Main
 * thread, at start. */
void es_log_limit(enum es_log_level level);

void es_log(enum es_log_level level, const char *format, ...) ES_PRINTF(2, 3);

/* Lines that find no room in ES_LOG_LANE_BYTES are counted, and that is said when there is room.
 * Before the freeze. Main thread, as the next one. */
ES_MUST_CHECK enum es_status es_log_start_writer(struct es_error *error);
/* Callers write themselves again, unless the writer still hangs after `wait_ms`: then all further
 * lines are dropped. Without a writer it does nothing. */
void es_log_stop_writer(uint32_t wait_ms);
