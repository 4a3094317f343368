/* appliance_board.c - an appliance's board: LEDs, mute switch, clock; and what both do while it
 * loads. */
#include "app/appliance.h"
#include "board/board.h"
#include "platform/clock.h"

#include <string.h>

#define NS_PER_MS 1000000ull

static void read_clock(const struct es_appliance_options *options,
                       struct es_walltime_reading *reading) {
    if (options->read_clock != NULL) {
        options->read_clock(reading, options->root);
    } else {
        es_walltime_read(reading, options->root);
    }
}

void es_appliance_read_clock(struct es_appliance *appliance) {
    read_clock(&appliance->options, &appliance->now);
}

bool es_appliance_read_switch(struct es_appliance *appliance) {
    bool is_muted = es_mute_poll(&appliance->mute, appliance->now.monotonic_ms);
    return is_muted || (appliance->options.is_muted != NULL && appliance->options.is_muted());
}

/* -- the board --------------------------------------------------------------------------------- */

enum es_status es_appliance_find_board(const struct es_appliance *appliance,
                                       const struct es_board **board, struct es_error *error) {
    const char *name = appliance->options.config->board;
    if (strcmp(name, "auto") == 0) {
        *board = es_board_detect(appliance->options.root);
        return ES_OK;
    }
    *board = es_board_find(name);
    if (*board == NULL) {
        return es_config_blame(appliance->options.config, "board",
                               es_fail(error, ES_ERR_USAGE,
                                       "\"%s\" is not known; give auto, host, %s", name,
                                       es_board_listing()),
                               error);
    }
    return ES_OK;
}

enum es_status es_appliance_open_leds(struct es_appliance *appliance, const struct es_board *board,
                                      struct es_error *error) {
    const struct es_config *config = appliance->options.config;
    struct es_leds_config leds = {.has_state = es_config_has(config->led),
                                  .has_step = es_config_has(config->step_led),
                                  .root = appliance->options.root};
    enum es_status status = ES_OK;
    if (leds.has_state) {
        status = es_config_blame(config, "led",
                                 es_board_pin(board, config->led, &leds.state, error), error);
    }
    if (status == ES_OK && leds.has_step) {
        status = es_config_blame(config, "step_led",
                                 es_board_pin(board, config->step_led, &leds.step, error), error);
    }
    if (status != ES_OK || (!leds.has_state && !leds.has_step)) {
        return status;
    }
    leds.state.is_active_low = config->led_active == ES_CONFIG_LEVEL_LOW;
    leds.step.is_active_low = leds.state.is_active_low;
    status = es_leds_open(&appliance->leds, &leds, error);
    appliance->has_leds = status == ES_OK;
    /* The state's LED is opened first, and is known by its pin once it was. */
    bool is_step = leds.has_step && (!leds.has_state || appliance->leds.state.pin.chip[0] != '\0');
    return es_config_blame(config, is_step ? "step_led" : "led", status, error);
}

enum es_status es_appliance_open_mute(struct es_appliance *appliance, const struct es_board *board,
                                      struct es_error *error) {
    const struct es_config *config = appliance->options.config;
    struct es_mute_config mute = {.has_switch = es_config_has(config->mute),
                                  .is_muted_low = config->mute_active == ES_CONFIG_LEVEL_LOW,
                                  .unmute_ms = ES_MUTE_UNMUTE_MS,
                                  .root = appliance->options.root};
    enum es_status status = ES_OK;
    if (mute.has_switch) {
        status = es_board_pin(board, config->mute, &mute.pin, error);
    }
    if (status == ES_OK) {
        status = es_mute_open(&appliance->mute, &mute, error);
    }
    appliance->has_mute = status == ES_OK;
    return es_config_blame(config, "mute", status, error);
}

/* -- loading ----------------------------------------------------------------------------------- */

/* The LED blinks from a thread of its own, for the main one is busy; it watches the switch as well,
 * so that its verdict is there when the model is. */
static void wait_visibly(void *context) {
    struct es_appliance *appliance = context;
    struct es_appliance_loading *loading = &appliance->loading;
    uint64_t extended_ns = 0;
    while (!atomic_load(&loading->is_over)) {
        const uint64_t now_ns = es_clock_ns();
        struct es_walltime_reading now;
        read_clock(&appliance->options, &now);
        if (appliance->has_leds) {
            enum es_state state =
                atomic_load(&loading->is_reading_model) ? ES_STATE_LOADING : ES_STATE_BOOT;
            enum es_status status =
                es_leds_show(&appliance->leds, state, 0, now.monotonic_ms, NULL);
            (void)status; /* the first tick tells */
        }
        (void)es_mute_poll(&appliance->mute, now.monotonic_ms);
        if (now_ns >= extended_ns) { /* a large model takes longer than systemd's patience */
            es_notify_send(&appliance->notify, "EXTEND_TIMEOUT_USEC=%u",
                           ES_START_EXTEND_MS * 1000u);
            extended_ns = now_ns + ES_START_EXTEND_MS / 2u * NS_PER_MS;
        }
        es_clock_sleep_until(now_ns + ES_TICK_MS * NS_PER_MS);
    }
}

enum es_status es_appliance_begin_loading(struct es_appliance *appliance, struct es_error *error) {
    return es_thread_start(&appliance->loading.thread, "es-loading", 0, wait_visibly, appliance,
                           error);
}

void es_appliance_end_loading(struct es_appliance *appliance) {
    atomic_store(&appliance->loading.is_over, true);
    es_thread_join(&appliance->loading.thread);
}

bool es_appliance_settled_switch(struct es_appliance *appliance) {
    const uint64_t end_ns = es_clock_ns() + 2u * ES_MUTE_UNMUTE_MS * NS_PER_MS;
    for (;;) {
        es_appliance_read_clock(appliance);
        bool is_muted = es_appliance_read_switch(appliance);
        if (!is_muted || !es_mute_is_settling(&appliance->mute) || es_clock_ns() >= end_ns) {
            return is_muted;
        }
        es_clock_sleep_until(es_clock_ns() + ES_MUTE_POLL_MS / 4u * NS_PER_MS);
    }
}
