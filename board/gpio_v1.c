/* gpio_v1.c - libgpiod 1.4 to 1.6: every JetPack, Debian 12, Ubuntu 22.04 and 24.04. */
#include "board/gpio_driver.h"

#include <errno.h>
#include <gpiod.h>
#include <stdio.h>
#include <string.h>

static void copy_name(char *to, const char *from) {
    (void)snprintf(to, ES_GPIO_NAME_BYTES, "%s", from != NULL ? from : "");
}

void *es_gpio_driver_open(const char *path, struct es_gpio_chip *info) {
    struct gpiod_chip *chip = gpiod_chip_open(path);
    if (chip != NULL) {
        copy_name(info->name, gpiod_chip_name(chip));
        copy_name(info->label, gpiod_chip_label(chip));
        info->line_count = gpiod_chip_num_lines(chip);
    }
    return chip;
}

void es_gpio_driver_close(void *chip) {
    gpiod_chip_close(chip);
}

int es_gpio_driver_find(void *chip, const char *line_name) {
    struct gpiod_line *line = gpiod_chip_find_line(chip, line_name);
    return line != NULL ? (int)gpiod_line_offset(line) : -1;
}

void es_gpio_driver_describe(void *chip, uint32_t offset, char *name, char *consumer) {
    struct gpiod_line *line = gpiod_chip_get_line(chip, offset);
    copy_name(name, line != NULL ? gpiod_line_name(line) : NULL);
    copy_name(consumer, line != NULL ? gpiod_line_consumer(line) : NULL);
}

static int flags_of(const struct es_gpio_request *request) {
    int flags = request->is_active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
    if (!request->is_output && request->bias == ES_GPIO_BIAS_PULL_UP) {
        flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
    } else if (!request->is_output && request->bias == ES_GPIO_BIAS_PULL_DOWN) {
        flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN;
    }
    return flags;
}

void *es_gpio_driver_request(void *chip, const struct es_gpio_request *request) {
    struct gpiod_line *line = gpiod_chip_get_line(chip, request->offset);
    const struct gpiod_line_request_config config = {
        .consumer = "earshot",
        .request_type = request->is_output ? GPIOD_LINE_REQUEST_DIRECTION_OUTPUT
                                           : GPIOD_LINE_REQUEST_DIRECTION_INPUT,
        .flags = flags_of(request),
    };
    if (line == NULL || gpiod_line_request(line, &config, request->is_active) != 0) {
        return NULL;
    }
    return line;
}

void es_gpio_driver_release(void *request) {
    gpiod_line_release(request);
}

int es_gpio_driver_set(void *request, uint32_t offset, bool is_active) {
    (void)offset;
    return gpiod_line_set_value(request, is_active) == 0 ? 0 : errno;
}

int es_gpio_driver_get(void *request, uint32_t offset) {
    (void)offset;
    int value = gpiod_line_get_value(request);
    return value < 0 ? -errno : value;
}

const char *es_gpio_driver_library(void) {
    static char text[32];
    (void)snprintf(text, sizeof text, "libgpiod %s", gpiod_version_string());
    return text;
}
