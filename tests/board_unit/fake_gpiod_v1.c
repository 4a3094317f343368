/* fake_gpiod_v1.c - the part of libgpiod 1.x that gpio_v1.c calls, on chips in memory. */
#include "tests/board_unit/fake_gpio.h"

#include <errno.h>
#include <gpiod.h>
#include <stddef.h>
#include <string.h>

struct gpiod_line {
    struct fake_chip *chip;
    uint32_t offset;
};

static struct gpiod_line lines[64];
static uint32_t line_count;

struct gpiod_chip *gpiod_chip_open(const char *path) {
    return (struct gpiod_chip *)fake_gpio_open(path);
}

void gpiod_chip_close(struct gpiod_chip *chip) {
    ((struct fake_chip *)chip)->open_count--;
}

const char *gpiod_chip_name(struct gpiod_chip *chip) {
    return ((struct fake_chip *)chip)->name;
}

const char *gpiod_chip_label(struct gpiod_chip *chip) {
    return ((struct fake_chip *)chip)->label;
}

unsigned int gpiod_chip_num_lines(struct gpiod_chip *chip) {
    return ((struct fake_chip *)chip)->line_count;
}

struct gpiod_line *gpiod_chip_get_line(struct gpiod_chip *chip, unsigned int offset) {
    struct fake_chip *fake = (struct fake_chip *)chip;
    if (offset >= fake->line_count) {
        errno = EINVAL;
        return NULL;
    }
    struct gpiod_line *line = &lines[line_count++ % 64u];
    *line = (struct gpiod_line){fake, offset};
    return line;
}

struct gpiod_line *gpiod_chip_find_line(struct gpiod_chip *chip, const char *name) {
    int offset = fake_gpio_find((struct fake_chip *)chip, name);
    if (offset < 0) {
        errno = ENOENT;
        return NULL;
    }
    return gpiod_chip_get_line(chip, (unsigned)offset);
}

static struct fake_line *fake_of(struct gpiod_line *line) {
    return &line->chip->lines[line->offset];
}

unsigned int gpiod_line_offset(struct gpiod_line *line) {
    return line->offset;
}

const char *gpiod_line_name(struct gpiod_line *line) {
    return fake_of(line)->name[0] != '\0' ? fake_of(line)->name : NULL;
}

const char *gpiod_line_consumer(struct gpiod_line *line) {
    return fake_of(line)->consumer[0] != '\0' ? fake_of(line)->consumer : NULL;
}

int gpiod_line_request(struct gpiod_line *line, const struct gpiod_line_request_config *config,
                       int default_val) {
    enum es_gpio_bias bias = ES_GPIO_BIAS_AS_IS;
    if ((config->flags & GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP) != 0) {
        bias = ES_GPIO_BIAS_PULL_UP;
    } else if ((config->flags & GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN) != 0) {
        bias = ES_GPIO_BIAS_PULL_DOWN;
    }
    if (strcmp(config->consumer, "earshot") != 0) {
        errno = EINVAL;
        return -1;
    }
    errno = fake_gpio_request(
        line->chip, line->offset, config->request_type == GPIOD_LINE_REQUEST_DIRECTION_OUTPUT,
        default_val != 0, (config->flags & GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW) != 0, bias);
    return errno == 0 ? 0 : -1;
}

void gpiod_line_release(struct gpiod_line *line) {
    fake_of(line)->is_requested = false;
}

int gpiod_line_set_value(struct gpiod_line *line, int value) {
    errno = fake_gpio_set(fake_of(line), value != 0);
    return errno == 0 ? 0 : -1;
}

int gpiod_line_get_value(struct gpiod_line *line) {
    int value = fake_gpio_get(fake_of(line));
    errno = value < 0 ? -value : 0;
    return value < 0 ? -1 : value;
}

const char *gpiod_version_string(void) {
    return "v1, a fake";
}
