/* gpio_none.c - a build without libgpiod: whoever configures an LED or a switch is told. */
#include "board/gpio_driver.h"

#include <errno.h>
#include <stddef.h>

void *es_gpio_driver_open(const char *path, struct es_gpio_chip *info) {
    (void)path;
    (void)info;
    errno = ENOSYS;
    return NULL;
}

void es_gpio_driver_close(void *chip) {
    (void)chip;
}

int es_gpio_driver_find(void *chip, const char *line_name) {
    (void)chip;
    (void)line_name;
    return -1;
}

void es_gpio_driver_describe(void *chip, uint32_t offset, char *name, char *consumer) {
    (void)chip;
    (void)offset;
    name[0] = '\0';
    consumer[0] = '\0';
}

void *es_gpio_driver_request(void *chip, const struct es_gpio_request *request) {
    (void)chip;
    (void)request;
    errno = ENOSYS;
    return NULL;
}

void es_gpio_driver_release(void *request) {
    (void)request;
}

int es_gpio_driver_set(void *request, uint32_t offset, bool is_active) {
    (void)request;
    (void)offset;
    (void)is_active;
    return ENOSYS;
}

int es_gpio_driver_get(void *request, uint32_t offset) {
    (void)request;
    (void)offset;
    return -ENOSYS;
}

const char *es_gpio_driver_library(void) {
    return "none";
}
