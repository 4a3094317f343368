#include "app/commands.h"
#include "app/output.h"
#include "audio/card.h"
#include "board/board.h"
#include "board/directory.h"
#include "board/gpio_driver.h"
#include "board/tty.h"
#include "platform/text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct es_output output;

/* A line; names in it are what devices and programs say of themselves. */
ES_PRINTF(1, 2) static void say(const char *format, ...) {
    char line[ES_LOG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    es_text_make_printable(line);
    es_output_text(&output, line);
    es_output_text(&output, "\n");
}

/* -- microphones ------------------------------------------------------------------------------- */

static void print_card(void *context, const struct es_card_entry *entry) {
    (void)context;
    const char *mark = entry->is_auto ? " <- auto" : "";
    if (entry->trouble[0] != '\0') {
        say("  microphone = %-24s %s (%s)%s", entry->id, entry->name, entry->trouble, mark);
    } else {
        say("  microphone = %-24s %s, %u to %u Hz, %u to %u channels, %s%s", entry->id, entry->name,
            entry->rate_min, entry->rate_max, entry->channel_min, entry->channel_max,
            entry->formats, mark);
    }
}

static void print_cards(void) {
    struct es_error error;
    es_output_text(&output, "microphones\n");
    if (es_card_list(print_card, NULL, &error) == 0) {
        say("  none: %s", error.text);
    }
}

/* -- serial lines ------------------------------------------------------------------------------ */

/* Whether the device in `folder` is on a bus that `uart` looks at. */
static bool is_on_bus(const char *folder) {
    static const char *const buses[] = {"platform", "amba", "pci", "usb"};
    char path[PATH_MAX];
    char target[PATH_MAX];
    int length = snprintf(path, sizeof path, "%.*s/subsystem", PATH_MAX - 16, folder);
    ssize_t count = length > 0 ? readlink(path, target, sizeof target - 1u) : -1;
    target[count > 0 ? count : 0] = '\0';
    const char *slash = strrchr(target, '/');
    for (size_t i = 0; slash != NULL && i < sizeof buses / sizeof buses[0]; i++) {
        if (strcmp(slash + 1, buses[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* From the tty up to a device whose address finds this tty again, as `uart` does. */
static bool find_address(const char *root, const char *tty, char *address, size_t address_bytes) {
    char path[PATH_MAX];
    char folder[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/sys/class/tty/%s/device", root, tty);
    if (realpath(path, folder) == NULL) {
        return false;
    }
    for (char *slash; (slash = strrchr(folder, '/')) != NULL && slash != folder; *slash = '\0') {
        char found[ES_DEVICE_NAME_BYTES];
        char device[ES_DEVICE_NAME_BYTES];
        (void)snprintf(device, sizeof device, "/dev/%.64s", tty);
        if (is_on_bus(folder) && es_tty_find(slash + 1, root, found, NULL) == ES_OK &&
            strcmp(found, device) == 0) {
            (void)snprintf(address, address_bytes, "%s", slash + 1);
            return true;
        }
    }
    return false;
}

/* A port that the kernel has only prepared has no hardware behind it. */
static bool is_phantom(const char *root, const char *tty) {
    char path[PATH_MAX];
    char type[8] = "";
    (void)snprintf(path, sizeof path, "%s/sys/class/tty/%s/type", root, tty);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool is_read = fgets(type, sizeof type, file) != NULL;
    (void)fclose(file);
    return is_read && strcmp(type, "0\n") == 0;
}

static void print_lines(const char *root) {
    char path[PATH_MAX];
    struct es_directory ttys;
    uint32_t count = 0;
    es_output_text(&output, "\nserial lines\n");
    (void)snprintf(path, sizeof path, "%s/sys/class/tty", root);
    bool is_open = es_directory_open(&ttys, path);
    const char *tty;
    while (is_open && (tty = es_directory_next(&ttys)) != NULL) {
        char address[ES_DEVICE_NAME_BYTES];
        char holder[ES_DEVICE_NAME_BYTES];
        char device[ES_DEVICE_NAME_BYTES];
        (void)snprintf(path, sizeof path, "%s/sys/class/tty/%s/device", root, tty);
        if (access(path, F_OK) != 0 || is_phantom(root, tty)) {
            continue;
        }
        (void)snprintf(device, sizeof device, "/dev/%.64s", tty);
        bool has_address = find_address(root, tty, address, sizeof address);
        bool is_held = es_tty_holder(device, root, holder, sizeof holder);
        say("  uart = %-30s %s%s%s", has_address ? address : device, device,
            is_held ? ", held by " : "", is_held ? holder : "");
        count++;
    }
    if (is_open) {
        es_directory_close(&ttys);
    }
    if (count == 0) {
        es_output_text(&output, "  none: plug a USB serial adapter in, or use uart = pty\n");
    }
}

/* -- GPIO -------------------------------------------------------------------------------------- */

static void print_chips(const char *root) {
    char path[PATH_MAX];
    struct es_directory devices;
    uint32_t count = 0;
    es_output_format(&output, "\nGPIO chips (%s): led, step_led and mute are CHIP:LINE\n",
                     es_gpio_library());
    (void)snprintf(path, sizeof path, "%s/dev", root);
    bool is_open = es_directory_open(&devices, path);
    const char *name;
    while (is_open && (name = es_directory_next(&devices)) != NULL) {
        struct es_gpio_chip chip;
        if (strncmp(name, "gpiochip", 8) != 0) {
            continue;
        }
        count++;
        (void)snprintf(path, sizeof path, "%s/dev/%s", root, name);
        void *opened = es_gpio_driver_open(path, &chip);
        if (opened == NULL) {
            say("  %s: cannot be asked (%s)%s", name, strerror(errno),
                errno == EACCES ? "; add the user to the group gpio" : "");
            continue;
        }
        say("  %-30s %u lines, now %s", chip.label, chip.line_count, chip.name);
        es_gpio_driver_close(opened);
    }
    if (is_open) {
        es_directory_close(&devices);
    }
    if (count == 0) {
        es_output_text(&output, "  none\n");
    }
}

static void print_board(const char *root) {
    const struct es_board *board = es_board_detect(root);
    bool has_uart = board->uart[0] != '\0';
    es_output_text(&output, "\nboard\n");
    say("  board = %-30s %s; uart = board is %s", board->name, board->title,
        has_uart ? board->uart : "not known: give one of the lines above");
    if (board->pin_count > 0) {
        es_output_text(&output, "  pins for led, step_led and mute:");
        for (uint32_t i = 0; i < board->pin_count; i++) {
            es_output_format(&output, " %u", board->pins[i].number);
        }
        es_output_text(&output, "\n");
    }
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    es_output_init(&output, STDOUT_FILENO, "standard output");
    print_cards();
    print_lines(options->root);
    print_chips(options->root);
    print_board(options->root);
    return es_output_flush(&output, error);
}

const struct es_command es_command_devices = {
    .name = "devices",
    .summary = "microphones, serial lines and GPIO chips, in the words of the configuration",
    .help = "usage: earshot devices [--root DIR]\n"
            "\n"
            "Lists what `earshot listen` can use, each as the configuration wants it: by names\n"
            "that stay the same when something is plugged in again.\n"
            "\n"
            "  --root DIR         look below DIR instead of /sys, /dev and /proc (not for sound\n"
            "                     cards)\n"
            "\n"
            "Exit code: 0 ok, 5 output failed.\n",
    .accepted = ES_OPTION_ROOT,
    .takes_file = false,
    .run = run,
};
