#include "board/gpio.h"

#include "board/directory.h"
#include "board/gpio_driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 512u

enum es_status es_gpio_pin_parse(struct es_gpio_pin *pin, const char *text,
                                 struct es_error *error) {
    const char *colon = strrchr(text, ':');
    size_t chip_bytes = colon != NULL ? (size_t)(colon - text) : 0;
    size_t line_bytes = colon != NULL ? strlen(colon + 1) : 0;
    if (chip_bytes == 0 || line_bytes == 0 || chip_bytes >= sizeof pin->chip ||
        line_bytes >= sizeof pin->line) {
        return es_fail(error, ES_ERR_USAGE,
                       "gpio \"%s\": is no line; give CHIP:LINE, such as tegra234-gpio:144 "
                       "(`gpioinfo` lists them)",
                       text);
    }
    memset(pin, 0, sizeof *pin);
    memcpy(pin->chip, text, chip_bytes);
    memcpy(pin->line, colon + 1, line_bytes);
    return ES_OK;
}

/* What a search for a chip has seen, for the message when it fails. */
struct search {
    char labels[200];
    uint32_t seen_count;
    int failure; /* errno of the last chip that could not be opened */
};

static void note_label(struct search *search, const char *label) {
    size_t used = strlen(search->labels);
    (void)snprintf(search->labels + used, sizeof search->labels - used, "%s%s",
                   used > 0 ? ", " : "", label);
    search->seen_count++;
}

static void *find_chip(const struct es_gpio_pin *pin, const char *root, struct es_gpio_chip *info,
                       struct search *search) {
    char path[PATH_BYTES];
    struct es_directory devices;
    void *chip = NULL;
    (void)snprintf(path, sizeof path, "%s/dev", root);
    if (!es_directory_open(&devices, path)) {
        search->failure = errno;
        return NULL;
    }
    const char *name;
    uint32_t count = 0;
    while (chip == NULL && count < ES_GPIO_CHIP_COUNT_MAX &&
           (name = es_directory_next(&devices)) != NULL) {
        if (strncmp(name, "gpiochip", 8) != 0) {
            continue;
        }
        count++;
        (void)snprintf(path, sizeof path, "%s/dev/%s", root, name);
        void *opened = es_gpio_driver_open(path, info);
        if (opened == NULL) {
            search->failure = errno;
        } else if (strcmp(info->label, pin->chip) == 0 || strcmp(info->name, pin->chip) == 0) {
            chip = opened;
        } else {
            note_label(search, info->label);
            es_gpio_driver_close(opened);
        }
    }
    es_directory_close(&devices);
    return chip;
}

static enum es_status fail_chip(const struct es_gpio_pin *pin, const struct search *search,
                                struct es_error *error) {
    if (search->failure == ENOSYS) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "gpio %s: this build has no libgpiod; install libgpiod-dev and build again, "
                       "or configure no LED and no switch",
                       pin->chip);
    }
    if (search->failure == EACCES || search->failure == EPERM) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "gpio %s: access to /dev/gpiochip* is denied; add the user to the group "
                       "gpio (usermod -aG gpio USER, then log in again)",
                       pin->chip);
    }
    if (search->seen_count > 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "gpio %s: no chip has that label or name; there are: %s", pin->chip,
                       search->labels);
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "gpio %s: this machine has no GPIO chip that can be opened (%s); check "
                   "`gpiodetect`",
                   pin->chip, search->failure != 0 ? strerror(search->failure) : "none in /dev");
}

static bool find_line(void *chip, const char *line, uint32_t line_count, uint32_t *offset) {
    if (line[strspn(line, "0123456789")] == '\0' && strlen(line) < 9) {
        unsigned long number = strtoul(line, NULL, 10);
        *offset = (uint32_t)number;
        return number < line_count;
    }
    int found = es_gpio_driver_find(chip, line);
    *offset = (uint32_t)found;
    return found >= 0;
}

static enum es_status fail_request(const struct es_gpio_pin *pin, int cause, const char *consumer,
                                   struct es_error *error) {
    if (cause == EBUSY) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "gpio %s line %s: is in use by \"%s\"; release it there, or choose another "
                       "line",
                       pin->chip, pin->line, consumer[0] != '\0' ? consumer : "the kernel");
    }
    if (cause == EACCES || cause == EPERM) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "gpio %s line %s: access is denied; add the user to the group gpio "
                       "(usermod -aG gpio USER, then log in again)",
                       pin->chip, pin->line);
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "gpio %s line %s: cannot be used (%s); check that the pin multiplexer gives it "
                   "to GPIO (on a Jetson: jetson-io), and `gpioinfo`",
                   pin->chip, pin->line, strerror(cause));
}

static enum es_status open_line(struct es_gpio *gpio, const struct es_gpio_pin *pin,
                                struct es_gpio_request *request, const char *root,
                                struct es_error *error) {
    struct es_gpio_chip info;
    struct search search = {.labels = ""};
    memset(gpio, 0, sizeof *gpio);
    void *chip = find_chip(pin, root, &info, &search);
    if (chip == NULL) {
        return fail_chip(pin, &search, error);
    }
    if (!find_line(chip, pin->line, info.line_count, &request->offset)) {
        es_gpio_driver_close(chip);
        return es_fail(error, ES_ERR_HARDWARE,
                       "gpio %s line %s: is not there; the chip has lines 0 to %u (`gpioinfo` "
                       "names them)",
                       pin->chip, pin->line, info.line_count - 1u);
    }
    char consumer[ES_GPIO_NAME_BYTES];
    es_gpio_driver_describe(chip, request->offset, gpio->line_name, consumer);
    void *made = es_gpio_driver_request(chip, request);
    if (made == NULL && (errno == ENXIO || errno == EINVAL || errno == ENOTSUP) &&
        request->bias != ES_GPIO_BIAS_AS_IS) {
        /* A chip without bias refuses the wish; the resistor outside is what counts. */
        request->bias = ES_GPIO_BIAS_AS_IS;
        made = es_gpio_driver_request(chip, request);
    }
    if (made == NULL) {
        int cause = errno;
        es_gpio_driver_close(chip);
        return fail_request(pin, cause, consumer, error);
    }
    gpio->pin = *pin;
    gpio->chip = chip;
    gpio->request = made;
    gpio->offset = request->offset;
    return ES_OK;
}

enum es_status es_gpio_open_output(struct es_gpio *gpio, const struct es_gpio_pin *pin,
                                   bool is_active, const char *root, struct es_error *error) {
    struct es_gpio_request request = {
        .is_output = true, .is_active = is_active, .is_active_low = pin->is_active_low};
    return open_line(gpio, pin, &request, root, error);
}

enum es_status es_gpio_open_input(struct es_gpio *gpio, const struct es_gpio_pin *pin,
                                  const char *root, struct es_error *error) {
    struct es_gpio_request request = {.is_active_low = pin->is_active_low, .bias = pin->bias};
    return open_line(gpio, pin, &request, root, error);
}

bool es_gpio_is_open(const struct es_gpio *gpio) {
    return gpio->request != NULL;
}

static enum es_status fail_io(const struct es_gpio *gpio, int cause, struct es_error *error) {
    if (error == NULL) {
        return ES_ERR_HARDWARE; /* the fault path: no formatting in a signal handler */
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "gpio %s line %s: cannot be driven or read any more (%s); check that its chip "
                   "is still there (`gpiodetect`)",
                   gpio->pin.chip, gpio->pin.line, strerror(cause));
}

enum es_status es_gpio_set(struct es_gpio *gpio, bool is_active, struct es_error *error) {
    int cause = es_gpio_driver_set(gpio->request, gpio->offset, is_active);
    return cause == 0 ? ES_OK : fail_io(gpio, cause, error);
}

int es_gpio_get(struct es_gpio *gpio, struct es_error *error) {
    int value = es_gpio_driver_get(gpio->request, gpio->offset);
    return value >= 0 ? value : (int)fail_io(gpio, -value, error);
}

void es_gpio_close(struct es_gpio *gpio) {
    if (gpio->request != NULL) {
        es_gpio_driver_release(gpio->request);
        es_gpio_driver_close(gpio->chip);
    }
    gpio->request = NULL;
    gpio->chip = NULL;
}

const char *es_gpio_library(void) {
    return es_gpio_driver_library();
}
