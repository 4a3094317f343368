/* gpio_v2.c - libgpiod 2.x: Debian 13, Ubuntu 25.04 and later, Yocto. */
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
    struct gpiod_chip_info *found = chip != NULL ? gpiod_chip_get_info(chip) : NULL;
    if (found == NULL) {
        int cause = errno;
        if (chip != NULL) {
            gpiod_chip_close(chip);
        }
        errno = cause;
        return NULL;
    }
    copy_name(info->name, gpiod_chip_info_get_name(found));
    copy_name(info->label, gpiod_chip_info_get_label(found));
    info->line_count = (uint32_t)gpiod_chip_info_get_num_lines(found);
    gpiod_chip_info_free(found);
    return chip;
}

void es_gpio_driver_close(void *chip) {
    gpiod_chip_close(chip);
}

int es_gpio_driver_find(void *chip, const char *line_name) {
    return gpiod_chip_get_line_offset_from_name(chip, line_name);
}

void es_gpio_driver_describe(void *chip, uint32_t offset, char *name, char *consumer) {
    struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, offset);
    copy_name(name, info != NULL ? gpiod_line_info_get_name(info) : NULL);
    copy_name(consumer, info != NULL ? gpiod_line_info_get_consumer(info) : NULL);
    if (info != NULL) {
        gpiod_line_info_free(info);
    }
}

/* 0, or -1 with errno. */
static int fill(struct gpiod_line_settings *settings, const struct es_gpio_request *request) {
    static const enum gpiod_line_bias biases[] = {
        [ES_GPIO_BIAS_AS_IS] = GPIOD_LINE_BIAS_AS_IS,
        [ES_GPIO_BIAS_PULL_UP] = GPIOD_LINE_BIAS_PULL_UP,
        [ES_GPIO_BIAS_PULL_DOWN] = GPIOD_LINE_BIAS_PULL_DOWN,
    };
    gpiod_line_settings_set_active_low(settings, request->is_active_low);
    if (request->is_output) {
        return gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_OUTPUT) != 0
                   ? -1
                   : gpiod_line_settings_set_output_value(
                         settings,
                         request->is_active ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE);
    }
    return gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_INPUT) != 0
               ? -1
               : gpiod_line_settings_set_bias(settings, biases[request->bias]);
}

void *es_gpio_driver_request(void *chip, const struct es_gpio_request *request) {
    struct gpiod_line_settings *settings = gpiod_line_settings_new();
    struct gpiod_line_config *lines = gpiod_line_config_new();
    struct gpiod_request_config *config = gpiod_request_config_new();
    struct gpiod_line_request *made = NULL;
    unsigned int offset = request->offset;
    if (settings != NULL && lines != NULL && config != NULL && fill(settings, request) == 0 &&
        gpiod_line_config_add_line_settings(lines, &offset, 1, settings) == 0) {
        gpiod_request_config_set_consumer(config, "earshot");
        made = gpiod_chip_request_lines(chip, config, lines);
    }
    int cause = errno;
    gpiod_request_config_free(config);
    gpiod_line_config_free(lines);
    gpiod_line_settings_free(settings);
    errno = cause;
    return made;
}

void es_gpio_driver_release(void *request) {
    gpiod_line_request_release(request);
}

int es_gpio_driver_set(void *request, uint32_t offset, bool is_active) {
    return gpiod_line_request_set_value(request, offset,
                                        is_active ? GPIOD_LINE_VALUE_ACTIVE
                                                  : GPIOD_LINE_VALUE_INACTIVE) == 0
               ? 0
               : errno;
}

int es_gpio_driver_get(void *request, uint32_t offset) {
    switch (gpiod_line_request_get_value(request, offset)) {
    case GPIOD_LINE_VALUE_INACTIVE:
        return 0;
    case GPIOD_LINE_VALUE_ACTIVE:
        return 1;
    default:
        return -errno;
    }
}

const char *es_gpio_driver_library(void) {
    static char text[32];
    (void)snprintf(text, sizeof text, "libgpiod %s", gpiod_api_version());
    return text;
}
