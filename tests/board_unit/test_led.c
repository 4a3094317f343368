#include "board/led.h"

#include "platform/assert.h"
#include "tests/board_unit/fake_gpio.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct es_error error;

ES_TEST("complaint: LED stuck on listening: alive always blinks, in every state") {
    for (int state = 0; state < ES_STATE_COUNT; state++) {
        uint64_t changed_ms = 0;
        uint64_t longest_ms = 0;
        bool was_lit = es_led_level((enum es_state)state, 0);
        for (uint64_t ms = 1; ms < 20000; ms++) {
            bool is_lit = es_led_level((enum es_state)state, ms);
            if (is_lit != was_lit) {
                changed_ms = ms;
                was_lit = is_lit;
            }
            longest_ms = ms - changed_ms > longest_ms ? ms - changed_ms : longest_ms;
        }
        ES_EXPECT(longest_ms < 2000);
    }
}

ES_TEST("no two states look alike") {
    for (int a = 0; a < ES_STATE_COUNT; a++) {
        for (int b = 0; b < a; b++) {
            ES_EXPECT(memcmp(es_led_pattern_of((enum es_state)a),
                             es_led_pattern_of((enum es_state)b),
                             sizeof(struct es_led_pattern)) != 0);
        }
    }
}

ES_TEST("flashes are counted, last as long as the table says, and can be seen at 20 ms a tick") {
    for (int state = 0; state < ES_STATE_COUNT; state++) {
        const struct es_led_pattern *pattern = es_led_pattern_of((enum es_state)state);
        uint32_t lit_ms = 0;
        uint32_t rise_count = 0;
        ES_EXPECT(pattern->flash_ms >= 100);
        for (uint64_t ms = 1; ms <= pattern->period_ms; ms++) {
            bool is_lit = es_led_level((enum es_state)state, ms);
            lit_ms += is_lit;
            rise_count += is_lit && !es_led_level((enum es_state)state, ms - 1);
        }
        ES_EXPECT_EQ(lit_ms, pattern->flash_count * pattern->flash_ms);
        ES_EXPECT_EQ(rise_count, pattern->flash_count);
        ES_EXPECT((2u * pattern->flash_count - 1u) * pattern->flash_ms < pattern->period_ms);
    }
}

ES_TEST("the second LED changes with each step, and stands still with the engine") {
    for (uint64_t step = 0; step < 100; step++) {
        ES_EXPECT(es_led_step_level(step) != es_led_step_level(step + 1));
    }
}

ES_TEST("the README prints the table") {
    char table[2048];
    ES_EXPECT(es_led_table(table, sizeof table) > 0);
    ES_EXPECT_EQ(es_led_table(table + 1, 100), 0);
    ES_EXPECT(es_led_table(table, sizeof table) > 0);
    FILE *file = fopen(ES_SOURCE_DIR "/README.md", "r");
    ES_EXPECT(file != NULL);
    static char readme[200000];
    size_t bytes = fread(readme, 1, sizeof readme - 1, file);
    readme[bytes] = '\0';
    fclose(file);
    if (strstr(readme, table) == NULL) {
        es_test_fail(__FILE__, __LINE__, "README.md lacks this table; put it in:\n%s", table);
    }
}

static struct es_leds_config config_of(bool is_active_low) {
    struct es_leds_config config = {.has_state = true, .has_step = true, .root = fake_gpio_root()};
    fake_gpio_reset();
    fake_gpio_add("tegra234-gpio", 164);
    ES_EXPECT_EQ(es_gpio_pin_parse(&config.state, "tegra234-gpio:144", &error), ES_OK);
    ES_EXPECT_EQ(es_gpio_pin_parse(&config.step, "tegra234-gpio:112", &error), ES_OK);
    config.state.is_active_low = is_active_low;
    config.step.is_active_low = is_active_low;
    return config;
}

ES_TEST("LEDs start dark, follow, and are dark after closing; either level may be lit") {
    for (int low = 0; low < 2; low++) {
        struct es_leds_config config = config_of(low == 1);
        struct es_leds leds;
        ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_OK);
        struct fake_line *state = fake_gpio_line("tegra234-gpio", 144);
        struct fake_line *step = fake_gpio_line("tegra234-gpio", 112);
        ES_EXPECT_EQ(state->level, low);
        ES_EXPECT_EQ(step->level, low);
        for (uint64_t ms = 0; ms < 3000; ms += 20) {
            ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_MUTED, ms / 80, ms, &error), ES_OK);
            ES_EXPECT_EQ(state->level != low, es_led_level(ES_STATE_MUTED, ms));
            ES_EXPECT_EQ(step->level != low, es_led_step_level(ms / 80));
        }
        ES_EXPECT_EQ(state->set_count, 8); /* only changes: 4 in each period of 2 s */
        ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_HEARING, 1, 0, &error), ES_OK);
        ES_EXPECT_EQ(state->level, low == 0);
        es_leds_close(&leds);
        ES_EXPECT_EQ(state->level, low);
        ES_EXPECT_EQ(step->level, low);
        ES_EXPECT_EQ(fake_gpio_held_count(), 0);
    }
}

ES_TEST("a fault leaves the LEDs dark: steady means dead, and lit must mean alive") {
    struct es_leds_config config = config_of(false);
    struct es_leds leds;
    es_leds_fault_off(); /* none open: nothing happens */
    ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_OK);
    ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error), ES_OK);
    ES_EXPECT(fake_gpio_line("tegra234-gpio", 144)->level);
    ES_EXPECT(fake_gpio_line("tegra234-gpio", 112)->level);
    es_leds_fault_off();
    ES_EXPECT(!fake_gpio_line("tegra234-gpio", 144)->level);
    ES_EXPECT(!fake_gpio_line("tegra234-gpio", 112)->level);
    es_leds_close(&leds);
    es_leds_fault_off();
}

static void tell_levels(void) {
    es_leds_fault_off();
    char text[32];
    int count =
        snprintf(text, sizeof text, "levels %d %d\n", fake_gpio_line("tegra234-gpio", 144)->level,
                 fake_gpio_line("tegra234-gpio", 112)->level);
    (void)!write(STDERR_FILENO, text, (size_t)count);
}

static void die_lit(void) {
    struct es_leds_config config = config_of(false);
    struct es_leds leds;
    if (es_leds_open(&leds, &config, &error) == ES_OK &&
        es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error) == ES_OK &&
        fake_gpio_line("tegra234-gpio", 144)->level) {
        es_assert_set_hook(tell_levels);
        es_led_level(ES_STATE_COUNT, 0); /* no such state: a fault */
    }
}

ES_TEST("a failed assert takes the fault path and dies dark") {
    struct child_result result = child_run(die_lit);
    ES_EXPECT(WIFSIGNALED(result.wait_status));
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    ES_EXPECT_CONTAINS(result.text, "levels 0 0\n");
}

ES_TEST("what was put out by a fault stays dark, though another thread goes on showing") {
    struct es_leds_config config = config_of(false);
    struct es_leds leds;
    ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_OK);
    ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error), ES_OK);
    ES_EXPECT(fake_gpio_line("tegra234-gpio", 144)->level);
    es_leds_fault_off();
    for (uint64_t now_ms = 0; now_ms < 4000; now_ms += 20) {
        ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_HEARING, now_ms, now_ms, &error), ES_OK);
        ES_EXPECT(!fake_gpio_line("tegra234-gpio", 144)->level);
        ES_EXPECT(!fake_gpio_line("tegra234-gpio", 112)->level);
    }
    es_leds_close(&leds);
    ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_OK); /* a new beginning */
    ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error), ES_OK);
    ES_EXPECT(fake_gpio_line("tegra234-gpio", 144)->level);
    es_leds_close(&leds);
}

ES_TEST("without LEDs nothing is asked for, and one that is refused takes the other along") {
    struct es_leds_config config = config_of(false);
    struct es_leds leds;
    snprintf(fake_gpio_line("tegra234-gpio", 112)->consumer, ES_GPIO_NAME_BYTES, "fan");
    ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "\"fan\"");
    ES_EXPECT_EQ(fake_gpio_held_count(), 0);
    config.has_state = false;
    config.has_step = false;
    ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_OK);
    ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error), ES_OK);
    es_leds_close(&leds);
}

ES_TEST("a line that fails is an error of each show, and is tried again") {
    struct es_leds_config config = config_of(false);
    struct es_leds leds;
    ES_EXPECT_EQ(es_leds_open(&leds, &config, &error), ES_OK);
    fake_gpio_line("tegra234-gpio", 144)->failure = 5;
    ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error), ES_ERR_HARDWARE);
    ES_EXPECT(fake_gpio_line("tegra234-gpio", 112)->level); /* the other one goes on */
    fake_gpio_line("tegra234-gpio", 144)->failure = 0;
    ES_EXPECT_EQ(es_leds_show(&leds, ES_STATE_LISTENING, 1, 0, &error), ES_OK);
    ES_EXPECT(fake_gpio_line("tegra234-gpio", 144)->level);
    es_leds_close(&leds);
}
