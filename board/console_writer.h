/* console_writer.h - what the two halves of the console share: console.c (threads, producers) and
 * console_writer.c (what the stream says). For these two files. */
#pragma once

#include "board/console.h"

#define ES_CONSOLE_NO_CLOCK INT64_MIN

uint64_t es_console_now_ms(void);
/* Writer: text that found no room so far, in the ring or in a lane. */
uint64_t es_console_lost_bytes(const struct es_console *console);
/* Writer: ends the line that words stand in, unless there is no room or a loss to tell first. */
void es_console_end_line(struct es_console *console);
/* Writer: copies what other threads may ask for. */
void es_console_share(struct es_console *console);
