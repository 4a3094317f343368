#include "board/led.h"

#include "board/pad.h"
#include "platform/assert.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Told apart by counting: even and unhurried is good, flashes in groups want a person. */
static const struct es_led_pattern patterns[ES_STATE_COUNT] = {
    [ES_STATE_BOOT] = {1, 100, 200},       /* flickers */
    [ES_STATE_LOADING] = {1, 500, 1000},   /* half and half */
    [ES_STATE_LISTENING] = {1, 100, 2000}, /* a heartbeat: visible, and dim in a dark room */
    [ES_STATE_HEARING] = {1, 300, 400},    /* mostly lit */
    [ES_STATE_MUTED] = {2, 100, 2000},     [ES_STATE_LAGGING] = {3, 100, 2000},
    [ES_STATE_NO_MIC] = {4, 100, 2000},    [ES_STATE_FAULT] = {8, 100, 2000},
};

/* What es_leds_fault_off darkens: set last, so that a handler sees whole lines or none. */
static _Atomic(struct es_leds *) lit_leds;
/* From then on nobody lights them: the thread that dies may not be the one that shows. */
static atomic_bool is_dark_for_good;

const struct es_led_pattern *es_led_pattern_of(enum es_state state) {
    ES_ASSERT((unsigned)state < ES_STATE_COUNT);
    return &patterns[state];
}

bool es_led_level(enum es_state state, uint64_t now_ms) {
    const struct es_led_pattern *pattern = es_led_pattern_of(state);
    uint64_t slot = now_ms % pattern->period_ms / pattern->flash_ms;
    return slot % 2u == 0 && slot / 2u < pattern->flash_count;
}

bool es_led_step_level(uint64_t step_count) {
    return step_count % 2u == 1u;
}

size_t es_led_table(char *text, size_t text_bytes) {
    size_t used = 0;
    int count = snprintf(text, text_bytes, "| state | LED | meaning |\n| --- | --- | --- |\n");
    for (int i = -1; i < ES_STATE_COUNT; i++) {
        if (i >= 0) {
            const struct es_led_pattern *pattern = &patterns[i];
            count = snprintf(
                text + used, text_bytes - used, "| %s | %u x %u ms lit, every %u ms | %s |\n",
                es_state_name((enum es_state)i), pattern->flash_count, pattern->flash_ms,
                pattern->period_ms, es_state_meaning((enum es_state)i));
        }
        if (count < 0 || (size_t)count >= text_bytes - used) {
            return 0;
        }
        used += (size_t)count;
    }
    return used;
}

static enum es_status open_one(struct es_gpio *gpio, bool is_wanted, const struct es_gpio_pin *pin,
                               struct es_leds *leds, const char *root, struct es_error *error) {
    if (!is_wanted) {
        return ES_OK;
    }
    enum es_status status = es_gpio_open_output(gpio, pin, false, root, error);
    if (status == ES_OK && leds->note.text[0] == '\0') {
        (void)es_pad_state(root, gpio->line_name, &leds->note);
    }
    return status;
}

enum es_status es_leds_open(struct es_leds *leds, const struct es_leds_config *config,
                            struct es_error *error) {
    ES_ASSERT(atomic_load(&lit_leds) == NULL);
    memset(leds, 0, sizeof *leds);
    enum es_status status =
        open_one(&leds->state, config->has_state, &config->state, leds, config->root, error);
    if (status == ES_OK) {
        status = open_one(&leds->step, config->has_step, &config->step, leds, config->root, error);
    }
    if (status != ES_OK) {
        es_gpio_close(&leds->state);
        return status;
    }
    atomic_store(&is_dark_for_good, false);
    atomic_store(&lit_leds, leds);
    return ES_OK;
}

static enum es_status show(struct es_gpio *gpio, bool *is_lit, bool wants, struct es_error *error) {
    if (!es_gpio_is_open(gpio) || *is_lit == wants || atomic_load(&is_dark_for_good)) {
        return ES_OK;
    }
    enum es_status status = es_gpio_set(gpio, wants, error);
    if (status == ES_OK) {
        *is_lit = wants;
    }
    if (wants && atomic_load(&is_dark_for_good)) { /* it came between the look and the light */
        status = es_gpio_set(gpio, false, error);
    }
    return status;
}

enum es_status es_leds_show(struct es_leds *leds, enum es_state state, uint64_t step_count,
                            uint64_t now_ms, struct es_error *error) {
    enum es_status status =
        show(&leds->state, &leds->is_state_lit, es_led_level(state, now_ms), error);
    enum es_status step_status =
        show(&leds->step, &leds->is_step_lit, es_led_step_level(step_count), error);
    return status != ES_OK ? status : step_status;
}

void es_leds_fault_off(void) {
    struct es_leds *leds = atomic_load(&lit_leds);
    atomic_store(&is_dark_for_good, true);
    if (leds == NULL) {
        return;
    }
    if (es_gpio_is_open(&leds->state)) {
        enum es_status status = es_gpio_set(&leds->state, false, NULL);
        (void)status; /* dying: nobody is left to tell */
    }
    if (es_gpio_is_open(&leds->step)) {
        enum es_status status = es_gpio_set(&leds->step, false, NULL);
        (void)status;
    }
}

void es_leds_close(struct es_leds *leds) {
    if (atomic_load(&lit_leds) == leds) {
        es_leds_fault_off();
        atomic_store(&lit_leds, NULL);
    }
    es_gpio_close(&leds->state);
    es_gpio_close(&leds->step);
}
