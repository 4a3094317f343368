#include "board/board.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIB (1024ull * 1024ull * 1024ull)
/* Orin Nano 8 GB, headless: 7.4 GiB MemTotal, about 6.8 GiB of it free (NVIDIA developer forum and
 * the boards' own /proc/meminfo as users posted it). */
#define USABLE(gib) ((gib)*GIB * 68u / 80u)
#define COUNT(table) ((uint32_t)(sizeof(table) / sizeof(table)[0]))

/* The 40-pin headers of the developer kits (NVIDIA's pinmux tables, as Jetson.GPIO has them). */
static const struct es_board_pin orin_nano_pins[] = {
    {7, "tegra234-gpio", 144},  {11, "tegra234-gpio", 112}, {12, "tegra234-gpio", 50},
    {13, "tegra234-gpio", 122}, {15, "tegra234-gpio", 85},  {16, "tegra234-gpio", 126},
    {18, "tegra234-gpio", 125}, {19, "tegra234-gpio", 135}, {21, "tegra234-gpio", 134},
    {22, "tegra234-gpio", 123}, {23, "tegra234-gpio", 133}, {24, "tegra234-gpio", 136},
    {26, "tegra234-gpio", 137}, {29, "tegra234-gpio", 105}, {31, "tegra234-gpio", 106},
    {32, "tegra234-gpio", 41},  {33, "tegra234-gpio", 43},  {35, "tegra234-gpio", 53},
    {36, "tegra234-gpio", 113}, {37, "tegra234-gpio", 124}, {38, "tegra234-gpio", 52},
    {40, "tegra234-gpio", 51},
};
static const struct es_board_pin agx_orin_pins[] = {
    {7, "tegra234-gpio", 106},    {16, "tegra234-gpio-aon", 9}, {29, "tegra234-gpio-aon", 1},
    {31, "tegra234-gpio-aon", 0}, {32, "tegra234-gpio-aon", 8}, {33, "tegra234-gpio-aon", 2},
    {37, "tegra234-gpio-aon", 3},
};

/* Orin's header pins 8 and 10. */
#define ORIN_UART "3100000.serial"
#define ORIN_NANO ORIN_UART, orin_nano_pins, COUNT(orin_nano_pins)
#define AGX_ORIN ORIN_UART, agx_orin_pins, COUNT(agx_orin_pins)

static const struct es_board boards[] = {
    {"orin-nano-4gb", "Jetson Orin Nano 4 GB", "p3767-0004", 4 * GIB, USABLE(4), true, 6, 51.2e9,
     ORIN_NANO},
    {"orin-nano-8gb", "Jetson Orin Nano 8 GB", "p3767-0003 p3767-0005", 8 * GIB, USABLE(8), false,
     6, 102.4e9, ORIN_NANO},
    {"orin-nx-8gb", "Jetson Orin NX 8 GB", "p3767-0001", 8 * GIB, USABLE(8), true, 6, 102.4e9,
     ORIN_NANO},
    {"orin-nx-16gb", "Jetson Orin NX 16 GB", "p3767-0000", 16 * GIB, USABLE(16), true, 8, 102.4e9,
     ORIN_NANO},
    {"agx-orin-32gb", "Jetson AGX Orin 32 GB", "p3701-0000 p3701-0004", 32 * GIB, USABLE(32), true,
     8, 204.8e9, AGX_ORIN},
    {"agx-orin-64gb", "Jetson AGX Orin 64 GB", "p3701-0005", 64 * GIB, USABLE(64), true, 12,
     204.8e9, AGX_ORIN},
    {"thor-128gb", "Jetson AGX Thor 128 GB", "p3834-0008", 128 * GIB, USABLE(128), true, 14, 273e9,
     "", NULL, 0},
    {"host", "any other machine", "", 0, 0, false, 0, 0, "pty", NULL, 0},
};

const struct es_board *es_board_at(uint32_t index) {
    return index < COUNT(boards) ? &boards[index] : NULL;
}

const struct es_board *es_board_find(const char *name) {
    for (uint32_t i = 0; i < COUNT(boards); i++) {
        if (strcmp(name, boards[i].name) == 0) {
            return &boards[i];
        }
    }
    return NULL;
}

const char *es_board_listing(void) {
    return "orin-nano-4gb, orin-nano-8gb, orin-nx-8gb, orin-nx-16gb, agx-orin-32gb, agx-orin-64gb "
           "or thor-128gb";
}

/* Whether one of the board's modules, separated by blanks, stands in the devicetree's list. */
static bool names_module(const char *compatible, const char *modules) {
    while (*modules != '\0') {
        char module[16];
        size_t length = strcspn(modules, " ");
        (void)snprintf(module, sizeof module, "%.*s", (int)length, modules);
        if (strstr(compatible, module) != NULL) {
            return true;
        }
        modules += length;
        modules += strspn(modules, " ");
    }
    return false;
}

const struct es_board *es_board_detect(const char *root) {
    char path[256];
    char compatible[512];
    (void)snprintf(path, sizeof path, "%s/proc/device-tree/compatible", root);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, compatible, sizeof compatible - 1u) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    for (ssize_t i = 0; i < count; i++) {
        compatible[i] = compatible[i] == '\0' ? ' ' : compatible[i];
    }
    compatible[count > 0 ? count : 0] = '\0';
    for (uint32_t i = 0; i < COUNT(boards); i++) {
        if (names_module(compatible, boards[i].modules)) {
            return &boards[i];
        }
    }
    return es_board_find("host");
}

enum es_status es_board_uart(const struct es_board *board, const char *text, const char **device,
                             struct es_error *error) {
    *device = strcmp(text, "board") == 0 ? board->uart : text;
    if ((*device)[0] != '\0') {
        return ES_OK;
    }
    return es_fail(error, ES_ERR_USAGE,
                   "which port the header of %s (%s) has is not known; give a path or an address "
                   "that `earshot devices` lists, or pty",
                   board->name, board->title);
}

static enum es_status fail_pin(const struct es_board *board, const char *text,
                               struct es_error *error) {
    char known[160] = "";
    if (board->pin_count == 0) {
        return es_fail(error, ES_ERR_USAGE,
                       "pin %s: which lines the header of %s (%s) has is not known; give "
                       "CHIP:LINE (`gpioinfo` lists them)",
                       text, board->name, board->title);
    }
    for (uint32_t i = 0; i < board->pin_count; i++) {
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%u", i > 0 ? " " : "",
                       board->pins[i].number);
    }
    return es_fail(error, ES_ERR_USAGE,
                   "pin %s: is no GPIO of the header of %s; give one of %s, or CHIP:LINE", text,
                   board->name, known);
}

enum es_status es_board_pin(const struct es_board *board, const char *text, struct es_gpio_pin *pin,
                            struct es_error *error) {
    if (strchr(text, ':') != NULL) {
        return es_gpio_pin_parse(pin, text, error);
    }
    for (uint32_t i = 0; i < board->pin_count; i++) {
        char number[8];
        (void)snprintf(number, sizeof number, "%u", board->pins[i].number);
        if (strcmp(number, text) == 0) {
            memset(pin, 0, sizeof *pin);
            (void)snprintf(pin->chip, sizeof pin->chip, "%s", board->pins[i].chip);
            (void)snprintf(pin->line, sizeof pin->line, "%u", board->pins[i].line);
            return ES_OK;
        }
    }
    return fail_pin(board, text, error);
}
