#include "tests/board_unit/console_rig.h"

#include "platform/clock.h"
#include "tests/board_unit/serial_end.h"
#include "tests/support/test.h"

#include <string.h>

struct es_console_config console_rig_config(enum es_console_mode mode) {
    return (struct es_console_config){
        .mode = mode,
        .pause_ms = ES_CONSOLE_PAUSE_MS,
        .uart = {.device = "/dev/ttyUSB0", .baud = 115200, .root = serial_root()}};
}

void console_rig_start(struct console_rig *rig, const struct es_console_config *config) {
    es_plan_init(&rig->plan);
    es_console_layout(&rig->plan, &rig->layout);
    ES_EXPECT_EQ(es_arena_reserve(&rig->arena, &rig->plan, &rig->error), ES_OK);
    ES_EXPECT_EQ(es_console_init(&rig->console, config, &rig->layout, &rig->arena, &rig->error),
                 ES_OK);
    rig->now_ms = es_clock_ns() / 1000000u;
}

void console_rig_stop(struct console_rig *rig) {
    es_console_stop(&rig->console, 0);
    es_arena_release(&rig->arena);
}

void console_rig_word(struct console_rig *rig, const char *text, uint64_t start_ms,
                      uint64_t end_ms) {
    const struct es_word word = {text, (uint32_t)strlen(text), start_ms, end_ms};
    es_console_word(&rig->console, &word);
}

void console_rig_event(struct console_rig *rig, const char *name, const char *text,
                       uint64_t at_ms) {
    const struct es_event event = {name, text, at_ms};
    es_console_event(&rig->console, ES_LANE_CONTROL, &event);
}

void console_rig_poll(struct console_rig *rig, uint32_t span_ms) {
    for (uint32_t ms = 0; ms < span_ms; ms += 20u) {
        rig->now_ms += 20u;
        uint32_t wait_ms = es_console_poll(&rig->console, rig->now_ms);
        ES_EXPECT(wait_ms > 0 && wait_ms <= ES_UART_POLL_MS);
    }
}
