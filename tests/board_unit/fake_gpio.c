#include "tests/board_unit/fake_gpio.h"

#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fake_chip chips[FAKE_CHIP_COUNT_MAX];
static uint32_t chip_count;

const char *fake_gpio_root(void) {
    static char root[128];
    char path[160];
    snprintf(root, sizeof root, "%s/gpio", es_test_directory());
    mkdir(root, 0700);
    snprintf(path, sizeof path, "%s/dev", root);
    mkdir(path, 0700);
    return root;
}

void fake_gpio_reset(void) {
    for (uint32_t i = 0; i < chip_count; i++) {
        unlink(chips[i].path);
    }
    memset(chips, 0, sizeof chips);
    chip_count = 0;
}

struct fake_chip *fake_gpio_add(const char *label, uint32_t line_count) {
    ES_EXPECT(chip_count < FAKE_CHIP_COUNT_MAX && line_count <= FAKE_LINE_COUNT_MAX);
    struct fake_chip *chip = &chips[chip_count];
    snprintf(chip->name, sizeof chip->name, "gpiochip%u", chip_count);
    snprintf(chip->path, sizeof chip->path, "%s/dev/gpiochip%u", fake_gpio_root(), chip_count);
    snprintf(chip->label, sizeof chip->label, "%s", label);
    chip->line_count = line_count;
    FILE *file = fopen(chip->path, "w");
    ES_EXPECT(file != NULL);
    fclose(file);
    chip_count++;
    return chip;
}

struct fake_chip *fake_gpio_chip(const char *label) {
    for (uint32_t i = 0; i < chip_count; i++) {
        if (strcmp(chips[i].label, label) == 0) {
            return &chips[i];
        }
    }
    es_test_fail(__FILE__, __LINE__, "no fake chip %s", label);
}

struct fake_line *fake_gpio_line(const char *label, uint32_t offset) {
    return &fake_gpio_chip(label)->lines[offset];
}

uint32_t fake_gpio_held_count(void) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < chip_count; i++) {
        count += (uint32_t)chips[i].open_count;
        for (uint32_t offset = 0; offset < chips[i].line_count; offset++) {
            count += chips[i].lines[offset].is_requested;
        }
    }
    return count;
}

struct fake_chip *fake_gpio_open(const char *path) {
    for (uint32_t i = 0; i < chip_count; i++) {
        if (strcmp(chips[i].path, path) == 0) {
            if (chips[i].open_failure != 0) {
                errno = chips[i].open_failure;
                return NULL;
            }
            chips[i].open_count++;
            return &chips[i];
        }
    }
    errno = ENOENT;
    return NULL;
}

int fake_gpio_find(const struct fake_chip *chip, const char *line_name) {
    for (uint32_t offset = 0; offset < chip->line_count; offset++) {
        if (strcmp(chip->lines[offset].name, line_name) == 0) {
            return (int)offset;
        }
    }
    return -1;
}

int fake_gpio_request(struct fake_chip *chip, uint32_t offset, bool is_output, bool is_active,
                      bool is_active_low, enum es_gpio_bias bias) {
    struct fake_line *line = &chip->lines[offset];
    if (offset >= chip->line_count) {
        return EINVAL;
    }
    if (line->is_requested || line->consumer[0] != '\0') {
        return EBUSY;
    }
    if (chip->request_failure != 0) {
        return chip->request_failure;
    }
    if (chip->has_no_bias && bias != ES_GPIO_BIAS_AS_IS) {
        return EINVAL;
    }
    line->is_requested = true;
    line->is_output = is_output;
    line->is_active_low = is_active_low;
    line->bias = bias;
    if (is_output) {
        line->level = is_active != is_active_low;
    }
    return 0;
}

int fake_gpio_set(struct fake_line *line, bool is_active) {
    if (!line->is_requested || !line->is_output) {
        return EPERM;
    }
    if (line->failure == 0) {
        line->level = is_active != line->is_active_low;
        line->set_count++;
    }
    return line->failure;
}

int fake_gpio_get(const struct fake_line *line) {
    if (!line->is_requested) {
        return -EPERM;
    }
    bool level =
        line->is_driven || line->is_output ? line->level : line->bias == ES_GPIO_BIAS_PULL_UP;
    return line->failure != 0 ? -line->failure : level != line->is_active_low;
}
