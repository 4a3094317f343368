/* mute.h - the hardware mute switch: the authority, and a cut wire means muted.
 *
 *   status = es_mute_open(&mute, &config, &error);
 *   is_muted = es_mute_poll(&mute, now_ms);                every control tick
 *
 * Wiring: the switch pulls the line to the level that means "may listen" when it is closed; open,
 * unplugged or cut, a resistor pulls it to the level that means muted. By default high is muted:
 * switch to ground, pull-up of about 10 kOhm to 3.3 V. The chip's own bias is asked for as well, in
 * the direction of muted, and not relied upon (header pins may sit behind level shifters).
 *
 * Muted is believed at the first reading, and again with every bounce; listening only after the
 * line has said so without a break for unmute_ms. A line that cannot be read is muted. */
#pragma once

#include "board/gpio.h"

struct es_debounce {
    bool is_muted;
    uint32_t unmute_ms;
    bool is_clear;     /* the last reading said: may listen */
    uint64_t clear_ms; /* since when, without a break */
};

/* Pure: starts muted, whatever the first reading says. */
struct es_debounce es_debounce_start(uint32_t unmute_ms);
/* Pure: one reading. `now_ms` never decreases. */
struct es_debounce es_debounce_next(struct es_debounce before, bool says_muted, uint64_t now_ms);

struct es_mute_config {
    bool has_switch;        /* false: never muted */
    struct es_gpio_pin pin; /* chip and line; its level and bias follow from is_muted_low */
    bool is_muted_low;      /* low means muted (then the resistor pulls down) */
    uint32_t unmute_ms;     /* ES_MUTE_UNMUTE_MS */
    const char *root;       /* "" */
};

struct es_mute {
    struct es_mute_config config;
    struct es_gpio gpio;
    struct es_debounce debounce;
    uint64_t change_count;
    bool is_unreadable; /* and so muted */
    struct es_error failure;
};

/* Requests the line. A switch that was configured and cannot be had is an error, never "not muted".
 * Main thread, before the freeze. */
ES_MUST_CHECK enum es_status es_mute_open(struct es_mute *mute, const struct es_mute_config *config,
                                          struct es_error *error);
/* Reads the line. Control thread; call it at least every ES_MUTE_POLL_MS. */
bool es_mute_poll(struct es_mute *mute, uint64_t now_ms);
/* The line says "may listen", and has not said so for long enough yet. */
bool es_mute_is_settling(const struct es_mute *mute);
void es_mute_close(struct es_mute *mute);
