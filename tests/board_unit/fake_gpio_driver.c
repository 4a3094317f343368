/* fake_gpio_driver.c - board/gpio_driver.h on chips in memory. */
#include "board/gpio_driver.h"
#include "tests/board_unit/fake_gpio.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

void *es_gpio_driver_open(const char *path, struct es_gpio_chip *info) {
    struct fake_chip *chip = fake_gpio_open(path);
    if (chip != NULL) {
        memcpy(info->name, chip->name, sizeof info->name);
        memcpy(info->label, chip->label, sizeof info->label);
        info->line_count = chip->line_count;
    }
    return chip;
}

void es_gpio_driver_close(void *chip) {
    ((struct fake_chip *)chip)->open_count--;
}

int es_gpio_driver_find(void *chip, const char *line_name) {
    return fake_gpio_find(chip, line_name);
}

void es_gpio_driver_describe(void *chip, uint32_t offset, char *name, char *consumer) {
    const struct fake_line *line = &((struct fake_chip *)chip)->lines[offset];
    memcpy(name, line->name, sizeof line->name);
    memcpy(consumer, line->consumer, sizeof line->consumer);
}

void *es_gpio_driver_request(void *chip, const struct es_gpio_request *request) {
    errno = fake_gpio_request(chip, request->offset, request->is_output, request->is_active,
                              request->is_active_low, request->bias);
    return errno == 0 ? &((struct fake_chip *)chip)->lines[request->offset] : NULL;
}

void es_gpio_driver_release(void *request) {
    ((struct fake_line *)request)->is_requested = false;
}

int es_gpio_driver_set(void *request, uint32_t offset, bool is_active) {
    (void)offset;
    return fake_gpio_set(request, is_active);
}

int es_gpio_driver_get(void *request, uint32_t offset) {
    (void)offset;
    return fake_gpio_get(request);
}

const char *es_gpio_driver_library(void) {
    return "a fake";
}
