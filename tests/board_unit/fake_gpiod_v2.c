/* fake_gpiod_v2.c - the part of libgpiod 2.x that gpio_v2.c calls, on chips in memory. Objects that
 * are not freed show as held. */
#include "tests/board_unit/fake_gpio.h"

#include <errno.h>
#include <gpiod.h>
#include <stdlib.h>
#include <string.h>

struct gpiod_line_settings {
    bool is_output, is_active, is_active_low;
    enum es_gpio_bias bias;
};
struct gpiod_line_config {
    struct gpiod_line_settings settings;
    unsigned int offset;
    size_t count;
};
struct gpiod_request_config {
    char consumer[32];
};
struct gpiod_line_request {
    struct fake_chip *chip;
    unsigned int offset;
};

struct gpiod_chip *gpiod_chip_open(const char *path) {
    return (struct gpiod_chip *)fake_gpio_open(path);
}

void gpiod_chip_close(struct gpiod_chip *chip) {
    ((struct fake_chip *)chip)->open_count--;
}

struct gpiod_chip_info *gpiod_chip_get_info(struct gpiod_chip *chip) {
    ((struct fake_chip *)chip)->open_count++;
    return (struct gpiod_chip_info *)chip;
}

void gpiod_chip_info_free(struct gpiod_chip_info *info) {
    ((struct fake_chip *)info)->open_count--;
}

const char *gpiod_chip_info_get_name(struct gpiod_chip_info *info) {
    return ((struct fake_chip *)info)->name;
}

const char *gpiod_chip_info_get_label(struct gpiod_chip_info *info) {
    return ((struct fake_chip *)info)->label;
}

size_t gpiod_chip_info_get_num_lines(struct gpiod_chip_info *info) {
    return ((struct fake_chip *)info)->line_count;
}

int gpiod_chip_get_line_offset_from_name(struct gpiod_chip *chip, const char *name) {
    errno = ENOENT;
    return fake_gpio_find((struct fake_chip *)chip, name);
}

struct gpiod_line_info *gpiod_chip_get_line_info(struct gpiod_chip *chip, unsigned int offset) {
    struct fake_chip *fake = (struct fake_chip *)chip;
    if (offset >= fake->line_count) {
        errno = EINVAL;
        return NULL;
    }
    struct fake_line *copy = malloc(sizeof *copy);
    *copy = fake->lines[offset];
    return (struct gpiod_line_info *)copy;
}

void gpiod_line_info_free(struct gpiod_line_info *info) {
    free(info);
}

const char *gpiod_line_info_get_name(struct gpiod_line_info *info) {
    const struct fake_line *line = (const struct fake_line *)info;
    return line->name[0] != '\0' ? line->name : NULL;
}

const char *gpiod_line_info_get_consumer(struct gpiod_line_info *info) {
    const struct fake_line *line = (const struct fake_line *)info;
    return line->consumer[0] != '\0' ? line->consumer : NULL;
}

struct gpiod_line_settings *gpiod_line_settings_new(void) {
    return calloc(1, sizeof(struct gpiod_line_settings));
}

void gpiod_line_settings_free(struct gpiod_line_settings *settings) {
    free(settings);
}

int gpiod_line_settings_set_direction(struct gpiod_line_settings *settings,
                                      enum gpiod_line_direction direction) {
    settings->is_output = direction == GPIOD_LINE_DIRECTION_OUTPUT;
    return 0;
}

int gpiod_line_settings_set_bias(struct gpiod_line_settings *settings, enum gpiod_line_bias bias) {
    settings->bias = bias == GPIOD_LINE_BIAS_PULL_UP     ? ES_GPIO_BIAS_PULL_UP
                     : bias == GPIOD_LINE_BIAS_PULL_DOWN ? ES_GPIO_BIAS_PULL_DOWN
                                                         : ES_GPIO_BIAS_AS_IS;
    return 0;
}

void gpiod_line_settings_set_active_low(struct gpiod_line_settings *settings, bool active_low) {
    settings->is_active_low = active_low;
}

int gpiod_line_settings_set_output_value(struct gpiod_line_settings *settings,
                                         enum gpiod_line_value value) {
    settings->is_active = value == GPIOD_LINE_VALUE_ACTIVE;
    return 0;
}

struct gpiod_line_config *gpiod_line_config_new(void) {
    return calloc(1, sizeof(struct gpiod_line_config));
}

void gpiod_line_config_free(struct gpiod_line_config *config) {
    free(config);
}

int gpiod_line_config_add_line_settings(struct gpiod_line_config *config,
                                        const unsigned int *offsets, size_t num_offsets,
                                        struct gpiod_line_settings *settings) {
    config->settings = *settings;
    config->offset = offsets[0];
    config->count = num_offsets;
    return 0;
}

struct gpiod_request_config *gpiod_request_config_new(void) {
    return calloc(1, sizeof(struct gpiod_request_config));
}

void gpiod_request_config_free(struct gpiod_request_config *config) {
    free(config);
}

void gpiod_request_config_set_consumer(struct gpiod_request_config *config, const char *consumer) {
    strncpy(config->consumer, consumer, sizeof config->consumer - 1);
}

struct gpiod_line_request *gpiod_chip_request_lines(struct gpiod_chip *chip,
                                                    struct gpiod_request_config *req_cfg,
                                                    struct gpiod_line_config *line_cfg) {
    const struct gpiod_line_settings *settings = &line_cfg->settings;
    if (line_cfg->count != 1 || strcmp(req_cfg->consumer, "earshot") != 0) {
        errno = EINVAL;
        return NULL;
    }
    int cause = fake_gpio_request((struct fake_chip *)chip, line_cfg->offset, settings->is_output,
                                  settings->is_active, settings->is_active_low, settings->bias);
    if (cause != 0) {
        errno = cause;
        return NULL;
    }
    struct gpiod_line_request *request = malloc(sizeof *request);
    *request = (struct gpiod_line_request){(struct fake_chip *)chip, line_cfg->offset};
    return request;
}

void gpiod_line_request_release(struct gpiod_line_request *request) {
    request->chip->lines[request->offset].is_requested = false;
    free(request);
}

enum gpiod_line_value gpiod_line_request_get_value(struct gpiod_line_request *request,
                                                   unsigned int offset) {
    int value = fake_gpio_get(&request->chip->lines[offset]);
    errno = value < 0 ? -value : 0;
    return value < 0   ? GPIOD_LINE_VALUE_ERROR
           : value > 0 ? GPIOD_LINE_VALUE_ACTIVE
                       : GPIOD_LINE_VALUE_INACTIVE;
}

int gpiod_line_request_set_value(struct gpiod_line_request *request, unsigned int offset,
                                 enum gpiod_line_value value) {
    errno = fake_gpio_set(&request->chip->lines[offset], value == GPIOD_LINE_VALUE_ACTIVE);
    return errno == 0 ? 0 : -1;
}

const char *gpiod_api_version(void) {
    return "v2, a fake";
}
