/* console_rig.h - a console with its memory, on a serial end or a pty.
 *
 *   console_rig_start(&rig, &config);        polled by hand: no thread
 *   ...
 *   console_rig_stop(&rig); */
#pragma once

#include "board/console.h"

struct console_rig {
    struct es_plan plan;
    struct es_arena arena;
    struct es_console_layout layout;
    struct es_console console;
    struct es_error error;
    uint64_t now_ms;
};

/* Text, words, 1500 ms of pause, 115200 baud on ROOT/dev/ttyUSB0. */
struct es_console_config console_rig_config(enum es_console_mode mode);
void console_rig_start(struct console_rig *rig, const struct es_console_config *config);
void console_rig_stop(struct console_rig *rig);
void console_rig_word(struct console_rig *rig, const char *text, uint64_t start_ms,
                      uint64_t end_ms);
void console_rig_event(struct console_rig *rig, const char *name, const char *text, uint64_t at_ms);
/* Lets `span_ms` go by, in steps of 20 ms. */
void console_rig_poll(struct console_rig *rig, uint32_t span_ms);
