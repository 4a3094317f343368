#include "board/mute.h"

#include <string.h>

struct es_debounce es_debounce_start(uint32_t unmute_ms) {
    return (struct es_debounce){.is_muted = true, .unmute_ms = unmute_ms};
}

struct es_debounce es_debounce_next(struct es_debounce before, bool says_muted, uint64_t now_ms) {
    struct es_debounce after = before;
    if (says_muted) {
        after.is_clear = false;
        after.is_muted = true;
        return after;
    }
    if (!before.is_clear) {
        after.is_clear = true;
        after.clear_ms = now_ms;
    }
    after.is_muted = before.is_muted && now_ms - after.clear_ms < before.unmute_ms;
    return after;
}

enum es_status es_mute_open(struct es_mute *mute, const struct es_mute_config *config,
                            struct es_error *error) {
    memset(mute, 0, sizeof *mute);
    mute->config = *config;
    mute->debounce = es_debounce_start(config->unmute_ms);
    if (!config->has_switch) {
        mute->debounce.is_muted = false;
        return ES_OK;
    }
    /* Active is muted, and the bias pulls there: a wire that is cut reads as muted. */
    struct es_gpio_pin pin = config->pin;
    pin.is_active_low = config->is_muted_low;
    pin.bias = config->is_muted_low ? ES_GPIO_BIAS_PULL_DOWN : ES_GPIO_BIAS_PULL_UP;
    return es_gpio_open_input(&mute->gpio, &pin, config->root, error);
}

bool es_mute_poll(struct es_mute *mute, uint64_t now_ms) {
    if (!mute->config.has_switch) {
        return false;
    }
    bool was_muted = mute->debounce.is_muted;
    int value = es_gpio_get(&mute->gpio, &mute->failure);
    mute->is_unreadable = value < 0;
    mute->debounce = es_debounce_next(mute->debounce, value != 0, now_ms);
    mute->change_count += was_muted != mute->debounce.is_muted;
    return mute->debounce.is_muted;
}

bool es_mute_is_settling(const struct es_mute *mute) {
    return mute->debounce.is_muted && mute->debounce.is_clear;
}

void es_mute_close(struct es_mute *mute) {
    es_gpio_close(&mute->gpio);
}
