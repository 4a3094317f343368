/* gpio.h - one line of a GPIO chip, through libgpiod 1.x (gpio_v1.c) or 2.x (gpio_v2.c).
 *
 *   status = es_gpio_pin_parse(&pin, "tegra234-gpio:144", &error);     or "gpiochip0:PAC.06"
 *   status = es_gpio_open_output(&gpio, &pin, false, "", &error);      the LED, dark
 *   status = es_gpio_set(&gpio, true, &error);
 *   es_gpio_close(&gpio);
 *
 * Values are logical: active or not; the pin's configuration says which level that is. libgpiod
 * allocates in open and close; set and get only make a system call, in either version. One
 * thread at a time, apart from what es_gpio_set says. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>

enum es_gpio_bias { ES_GPIO_BIAS_AS_IS, ES_GPIO_BIAS_PULL_UP, ES_GPIO_BIAS_PULL_DOWN };

struct es_gpio_pin {
    char
        chip[ES_GPIO_NAME_BYTES]; /* label ("tegra234-gpio"; numbers move), or name ("gpiochip0") */
    char line[ES_GPIO_NAME_BYTES]; /* offset ("144") or name ("PAC.06") */
    bool is_active_low;
    enum es_gpio_bias bias; /* inputs; a wish that many pads cannot fulfil: use a resistor */
};

struct es_gpio {
    struct es_gpio_pin pin;
    void *chip;    /* libgpiod's */
    void *request; /* libgpiod's; NULL while closed */
    uint32_t offset;
    char line_name[ES_GPIO_NAME_BYTES]; /* as the kernel has it; "" for none */
};

/* CHIP:LINE. ES_ERR_USAGE names what is wrong. Active high, bias as it is. */
ES_MUST_CHECK enum es_status es_gpio_pin_parse(struct es_gpio_pin *pin, const char *text,
                                               struct es_error *error);

/* Requests the line. ES_ERR_HARDWARE names chip, line and the remedy: no such chip (and which there
 * are), no such line, EACCES: the group gpio, busy: with whom. `root` stands before /dev ("").
 * After a failure the gpio is closed. Main thread, before the freeze. */
ES_MUST_CHECK enum es_status es_gpio_open_output(struct es_gpio *gpio,
                                                 const struct es_gpio_pin *pin, bool is_active,
                                                 const char *root, struct es_error *error);
ES_MUST_CHECK enum es_status es_gpio_open_input(struct es_gpio *gpio, const struct es_gpio_pin *pin,
                                                const char *root, struct es_error *error);
bool es_gpio_is_open(const struct es_gpio *gpio);

/* One ioctl; nothing is allocated or locked, so that a fault handler may call it, too. */
ES_MUST_CHECK enum es_status es_gpio_set(struct es_gpio *gpio, bool is_active,
                                         struct es_error *error);
/* 1 active, 0 not, < 0 an es_status. */
int es_gpio_get(struct es_gpio *gpio, struct es_error *error);

/* Releases the line: what it then does is the driver's affair (it may stay as it was). */
void es_gpio_close(struct es_gpio *gpio);

/* "libgpiod 1.6.3", "libgpiod 2.5", or "none" in a build without. Static storage. */
const char *es_gpio_library(void);
