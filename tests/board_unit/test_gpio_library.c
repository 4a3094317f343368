/* The driver on the library itself: no chip is needed to see that they fit together. */
#include "board/gpio.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

ES_TEST("the library refuses a file that is no chip, and the error says so") {
    char path[256];
    struct es_error error;
    struct es_gpio gpio;
    struct es_gpio_pin pin;
    es_test_note("%s", es_gpio_library());
    ES_EXPECT_CONTAINS(es_gpio_library(), "libgpiod ");
    snprintf(path, sizeof path, "%s/dev", es_test_directory());
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/dev/gpiochip0", es_test_directory());
    FILE *file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    fclose(file);
    ES_EXPECT_EQ(es_gpio_pin_parse(&pin, "tegra234-gpio:144", &error), ES_OK);
    ES_EXPECT_EQ(es_gpio_open_output(&gpio, &pin, false, es_test_directory(), &error),
                 ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "gpio tegra234-gpio: this machine has no GPIO chip");
    es_test_note("%s", error.text);
}
