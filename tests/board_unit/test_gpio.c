/* One list of sentences for both libgpiods: built as test_gpio_v1 and test_gpio_v2. */
#include "board/gpio.h"

#include "tests/board_unit/fake_gpio.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct es_gpio gpio;
static struct es_error error;

static struct es_gpio_pin pin_of(const char *text) {
    struct es_gpio_pin pin;
    ES_EXPECT_EQ(es_gpio_pin_parse(&pin, text, &error), ES_OK);
    return pin;
}

static void set_up(void) {
    fake_gpio_reset();
    fake_gpio_add("pl061", 8);
    fake_gpio_add("tegra234-gpio", 164);
    snprintf(fake_gpio_line("tegra234-gpio", 144)->name, ES_GPIO_NAME_BYTES, "PAC.06");
}

static void refused(const char *text, const char *says) {
    struct es_gpio_pin pin = pin_of(text);
    ES_EXPECT_EQ(es_gpio_open_output(&gpio, &pin, false, fake_gpio_root(), &error),
                 ES_ERR_HARDWARE);
    ES_EXPECT(!es_gpio_is_open(&gpio));
    ES_EXPECT_CONTAINS(error.text, says);
    es_test_note("%s", error.text);
    es_gpio_close(&gpio);
}

ES_TEST("the library is the one that this program is about") {
    es_test_note("%s", es_gpio_library());
    ES_EXPECT_CONTAINS(es_gpio_library(), GPIO_API);
}

ES_TEST("a line is CHIP:LINE, and what is not is refused") {
    static const char *const wrong[] = {"",
                                        ":",
                                        "a:",
                                        ":1",
                                        "7",
                                        "a-chip-with-a-name-that-is-too-long-for-it:1",
                                        "a:a-line-with-a-name-that-is-too-long"};
    struct es_gpio_pin pin = pin_of("tegra234-gpio:PAC.06");
    ES_EXPECT_TEXT(pin.chip, "tegra234-gpio");
    ES_EXPECT_TEXT(pin.line, "PAC.06");
    ES_EXPECT(!pin.is_active_low);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ES_EXPECT_EQ(es_gpio_pin_parse(&pin, wrong[i], &error), ES_ERR_USAGE);
        ES_EXPECT_CONTAINS(error.text, "CHIP:LINE");
    }
}

ES_TEST("chips go by label or name, lines by offset or name") {
    static const char *const same[] = {"tegra234-gpio:144", "tegra234-gpio:PAC.06", "gpiochip1:144",
                                       "gpiochip1:PAC.06"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        set_up();
        struct es_gpio_pin pin = pin_of(same[i]);
        ES_EXPECT_EQ(es_gpio_open_output(&gpio, &pin, true, fake_gpio_root(), &error), ES_OK);
        ES_EXPECT_TEXT(gpio.line_name, "PAC.06");
        ES_EXPECT(fake_gpio_line("tegra234-gpio", 144)->level);
        es_gpio_close(&gpio);
        ES_EXPECT_EQ(fake_gpio_held_count(), 0);
    }
}

ES_TEST("an output has its first value at once, and follows; active low is turned round") {
    for (int low = 0; low < 2; low++) {
        for (int first = 0; first < 2; first++) {
            set_up();
            struct es_gpio_pin pin = pin_of("pl061:3");
            pin.is_active_low = low == 1;
            ES_EXPECT_EQ(es_gpio_open_output(&gpio, &pin, first == 1, fake_gpio_root(), &error),
                         ES_OK);
            struct fake_line *line = fake_gpio_line("pl061", 3);
            ES_EXPECT(line->is_output);
            ES_EXPECT_EQ(line->level, first != low);
            ES_EXPECT_EQ(es_gpio_set(&gpio, first == 0, &error), ES_OK);
            ES_EXPECT_EQ(line->level, first == low);
            es_gpio_close(&gpio);
        }
    }
}

ES_TEST("an input is read, with its bias; active low is turned round") {
    for (int low = 0; low < 2; low++) {
        set_up();
        struct es_gpio_pin pin = pin_of("pl061:5");
        pin.is_active_low = low == 1;
        pin.bias = ES_GPIO_BIAS_PULL_UP;
        ES_EXPECT_EQ(es_gpio_open_input(&gpio, &pin, fake_gpio_root(), &error), ES_OK);
        struct fake_line *line = fake_gpio_line("pl061", 5);
        ES_EXPECT(!line->is_output);
        ES_EXPECT_EQ(es_gpio_get(&gpio, &error), low == 0);
        line->is_driven = true;
        ES_EXPECT_EQ(es_gpio_get(&gpio, &error), low == 1);
        es_gpio_close(&gpio);
        ES_EXPECT_EQ(fake_gpio_held_count(), 0);
    }
}

ES_TEST("a missing chip is named with those that are there") {
    set_up();
    refused("tegra194-gpio:3", "gpio tegra194-gpio: no chip has that label or name; there are: ");
    ES_EXPECT_CONTAINS(error.text, "tegra234-gpio");
    ES_EXPECT_CONTAINS(error.text, "pl061");
    ES_EXPECT_EQ(fake_gpio_held_count(), 0);
    fake_gpio_reset();
    refused("tegra194-gpio:3", "this machine has no GPIO chip");
}

ES_TEST("a missing line is named with those that are there") {
    set_up();
    refused("pl061:8", "gpio pl061 line 8: is not there; the chip has lines 0 to 7");
    refused("pl061:PAC.06", "gpio pl061 line PAC.06: is not there");
    refused("pl061:99999999999999999999", "is not there");
    ES_EXPECT_EQ(fake_gpio_held_count(), 0);
}

ES_TEST("without access the group is named") {
    set_up();
    fake_gpio_chip("pl061")->open_failure = EACCES;
    fake_gpio_chip("tegra234-gpio")->open_failure = EACCES;
    refused("pl061:3", "group gpio");
    set_up();
    fake_gpio_chip("pl061")->request_failure = EPERM;
    refused("pl061:3", "group gpio");
}

ES_TEST("a busy line is named with who has it") {
    set_up();
    snprintf(fake_gpio_line("pl061", 3)->consumer, ES_GPIO_NAME_BYTES, "heartbeat");
    refused("pl061:3", "gpio pl061 line 3: is in use by \"heartbeat\"");
    ES_EXPECT_EQ(fake_gpio_held_count(), 0);
}

ES_TEST("a line that the kernel refuses points at the pin multiplexer") {
    set_up();
    fake_gpio_chip("pl061")->request_failure = EINVAL;
    refused("pl061:3", "pin multiplexer");
}

ES_TEST("a chip that goes away is an error of each set and get, and not a crash") {
    set_up();
    struct es_gpio_pin pin = pin_of("pl061:3");
    ES_EXPECT_EQ(es_gpio_open_output(&gpio, &pin, false, fake_gpio_root(), &error), ES_OK);
    fake_gpio_line("pl061", 3)->failure = ENODEV;
    ES_EXPECT_EQ(es_gpio_set(&gpio, true, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "gpio pl061 line 3");
    ES_EXPECT_EQ(es_gpio_get(&gpio, NULL), ES_ERR_HARDWARE);
    es_gpio_close(&gpio);
    es_gpio_close(&gpio); /* twice is once */
    ES_EXPECT_EQ(fake_gpio_held_count(), 0);
}
