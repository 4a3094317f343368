/* gpio_driver.h - what gpio.c needs of libgpiod: gpio_v1.c, gpio_v2.c, or gpio_none.c in a build
 * without it. CMake chooses one; tests put a fake in its place. Main thread, but for set and get.
 */
#pragma once

#include "board/gpio.h"

struct es_gpio_chip {
    char name[ES_GPIO_NAME_BYTES];
    char label[ES_GPIO_NAME_BYTES];
    uint32_t line_count;
};

struct es_gpio_request {
    uint32_t offset;
    bool is_output;
    bool is_active; /* of an output, at once */
    bool is_active_low;
    enum es_gpio_bias bias; /* of an input */
};

/* The chip at a path; NULL with errno when it cannot be opened or is none. */
void *es_gpio_driver_open(const char *path, struct es_gpio_chip *info);
void es_gpio_driver_close(void *chip);

/* Offset of the line with that name, or -1. */
int es_gpio_driver_find(void *chip, const char *line_name);

/* The line's name and its user's, "" for none; both [ES_GPIO_NAME_BYTES]. */
void es_gpio_driver_describe(void *chip, uint32_t offset, char *name, char *consumer);

/* The line, claimed under the name "earshot"; NULL with errno. */
void *es_gpio_driver_request(void *chip, const struct es_gpio_request *request);
void es_gpio_driver_release(void *request);

/* 0 or an errno. One ioctl, no allocation. */
int es_gpio_driver_set(void *request, uint32_t offset, bool is_active);
/* 0, 1, or -errno. */
int es_gpio_driver_get(void *request, uint32_t offset);

const char *es_gpio_driver_library(void);
