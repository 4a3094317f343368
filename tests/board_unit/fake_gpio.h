/* fake_gpio.h - GPIO chips in memory, behind a directory with their device files.
 *
 *   fake_gpio_reset();
 *   fake_gpio_add("tegra234-gpio", 164);              becomes ROOT/dev/gpiochip0
 *   ... the code under test, with root fake_gpio_root() ...
 *   ES_EXPECT(fake_gpio_line("tegra234-gpio", 144)->level);
 *
 * Three fronts, each for one test program: fake_gpiod_v1.c and fake_gpiod_v2.c have the symbols of
 * the two libgpiods, fake_gpio_driver.c those of board/gpio_driver.h. */
#pragma once

#include "board/gpio.h"

#define FAKE_CHIP_COUNT_MAX 8u
#define FAKE_LINE_COUNT_MAX 256u

struct fake_line {
    char name[ES_GPIO_NAME_BYTES];
    char consumer[ES_GPIO_NAME_BYTES]; /* set: another program has it */
    bool is_requested;                 /* by the code under test */
    bool is_output;
    bool is_active_low;
    enum es_gpio_bias bias;
    bool is_driven; /* an input: from outside; otherwise the bias decides */
    bool level;     /* electrical */
    int failure;    /* errno of every set and get */
    uint32_t set_count;
};

struct fake_chip {
    char path[160];
    char name[ES_GPIO_NAME_BYTES];
    char label[ES_GPIO_NAME_BYTES];
    uint32_t line_count;
    bool has_no_bias;
    int open_failure;    /* errno */
    int request_failure; /* errno */
    int open_count;      /* opened and not closed */
    struct fake_line lines[FAKE_LINE_COUNT_MAX];
};

void fake_gpio_reset(void);
const char *fake_gpio_root(void);
struct fake_chip *fake_gpio_add(const char *label, uint32_t line_count);
struct fake_chip *fake_gpio_chip(const char *label);
struct fake_line *fake_gpio_line(const char *label, uint32_t offset);
/* Chips opened and lines requested, and not given back. */
uint32_t fake_gpio_held_count(void);

/* -- for the fronts ---------------------------------------------------------------------------- */

/* NULL with errno. */
struct fake_chip *fake_gpio_open(const char *path);
/* The offset, or -1. */
int fake_gpio_find(const struct fake_chip *chip, const char *line_name);
/* 0 or an errno. */
int fake_gpio_request(struct fake_chip *chip, uint32_t offset, bool is_output, bool is_active,
                      bool is_active_low, enum es_gpio_bias bias);
int fake_gpio_set(struct fake_line *line, bool is_active);
/* 0, 1, or -errno. */
int fake_gpio_get(const struct fake_line *line);
