/* led.h - LEDs that never lie: alive always blinks, steady means dead.
 *
 *   status = es_leds_open(&leds, &config, &error);            dark until the first show
 *   es_leds_show(&leds, state, step_count, now_ms, &error);   every control tick
 *   es_assert_set_hook(es_leds_fault_off);                    and in the handlers of deadly signals
 *   es_leds_close(&leds);                                     dark, then released
 *
 * One table of patterns, printed in the README (a test compares). The optional second LED changes
 * with every executed decoder step: it stands still when the engine does. */
#pragma once

#include "board/gpio.h"
#include "board/state.h"

#include <stddef.h>

/* A pattern: so many flashes, then dark for the rest of the period. */
struct es_led_pattern {
    uint8_t flash_count;
    uint16_t flash_ms; /* lit, and as long dark between two flashes */
    uint16_t period_ms;
};

const struct es_led_pattern *es_led_pattern_of(enum es_state state);

/* Pure: whether the state's LED is lit at `now_ms`. */
bool es_led_level(enum es_state state, uint64_t now_ms);
/* Pure: the second LED. */
bool es_led_step_level(uint64_t step_count);

/* The table as Markdown, one row per state, for the README. Returns its bytes, or 0 when it does
 * not fit. */
size_t es_led_table(char *text, size_t text_bytes);

struct es_leds_config {
    bool has_state;
    struct es_gpio_pin state; /* is_active_low: lit by a low level */
    bool has_step;
    struct es_gpio_pin step;
    const char *root; /* "" */
};

struct es_leds {
    struct es_gpio state;
    struct es_gpio step;
    bool is_state_lit;
    bool is_step_lit;
    struct es_error note; /* the pin multiplexer keeps a line from its pad (pad.h); or "" */
};

/* Requests the lines, dark; `note` is worth a warning. On failure nothing stays requested. With
 * neither LED it does nothing. One open es_leds of a process at a time; it stays where it is until
 * closed. Main thread, before the freeze. */
ES_MUST_CHECK enum es_status es_leds_open(struct es_leds *leds, const struct es_leds_config *config,
                                          struct es_error *error);

/* Sets what has changed. ES_ERR_HARDWARE: a line could not be set. Control thread. */
ES_MUST_CHECK enum es_status es_leds_show(struct es_leds *leds, enum es_state state,
                                          uint64_t step_count, uint64_t now_ms,
                                          struct es_error *error);
void es_leds_close(struct es_leds *leds);

/* Dark at once, from wherever the process dies, and dark for good: one ioctl per LED, no lock, no
 * allocation. es_leds_show lights nothing after it, until they are opened anew. Any thread, and
 * signal handlers; does nothing when no LED is open. */
void es_leds_fault_off(void);
