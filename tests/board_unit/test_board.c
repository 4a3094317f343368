#include "board/board.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct es_error error;
static struct es_gpio_pin pin;

static const char *root_with(const char *compatible, size_t bytes) {
    static char root[128];
    char path[256];
    snprintf(root, sizeof root, "%s/board", es_test_directory());
    mkdir(root, 0700);
    snprintf(path, sizeof path, "%s/proc", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/proc/device-tree", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/proc/device-tree/compatible", root);
    FILE *file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    ES_EXPECT_EQ(fwrite(compatible, 1, bytes, file), bytes);
    fclose(file);
    return root;
}

ES_TEST("a board is known by the module in its devicetree, and any other machine is host") {
    static const struct {
        const char *compatible;
        size_t bytes;
        const char *name;
    } cases[] = {
#define CASE(text, name) {text, sizeof text, name}
        CASE("nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234", "orin-nano-8gb"),
        CASE("nvidia,p3768-0000+p3767-0003\0nvidia,p3767-0003\0nvidia,tegra234", "orin-nano-8gb"),
        CASE("nvidia,p3767-0000\0nvidia,tegra234", "orin-nx-16gb"),
        CASE("nvidia,p3767-0001\0nvidia,tegra234", "orin-nx-8gb"),
        CASE("nvidia,p3767-0004\0nvidia,tegra234", "orin-nano-4gb"),
        CASE("nvidia,p3737-0000+p3701-0004\0nvidia,p3701-0004", "agx-orin-32gb"),
        CASE("nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005", "agx-orin-64gb"),
        CASE("nvidia,p3834-0008\0nvidia,tegra264", "thor-128gb"),
        CASE("raspberrypi,5-model-b\0brcm,bcm2712", "host"),
        CASE("", "host"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *root = root_with(cases[i].compatible, cases[i].bytes);
        ES_EXPECT_TEXT(es_board_detect(root)->name, cases[i].name);
    }
    ES_EXPECT_TEXT(es_board_detect("/nowhere")->name, "host");
}

ES_TEST("header pins of the Orin kits are lines, by label") {
    ES_EXPECT_EQ(es_board_pin(es_board_find("orin-nano-8gb"), "7", &pin, &error), ES_OK);
    ES_EXPECT_TEXT(pin.chip, "tegra234-gpio");
    ES_EXPECT_TEXT(pin.line, "144");
    ES_EXPECT_EQ(es_board_pin(es_board_find("orin-nx-16gb"), "40", &pin, &error), ES_OK);
    ES_EXPECT_TEXT(pin.line, "51");
    ES_EXPECT_EQ(es_board_pin(es_board_find("agx-orin-64gb"), "7", &pin, &error), ES_OK);
    ES_EXPECT_TEXT(pin.line, "106");
    ES_EXPECT_EQ(es_board_pin(es_board_find("agx-orin-64gb"), "32", &pin, &error), ES_OK);
    ES_EXPECT_TEXT(pin.chip, "tegra234-gpio-aon");
    ES_EXPECT_TEXT(pin.line, "8");
}

ES_TEST("a pin that is no GPIO is refused with those that are") {
    ES_EXPECT_EQ(es_board_pin(es_board_find("orin-nano-8gb"), "1", &pin, &error), ES_ERR_USAGE);
    ES_EXPECT_CONTAINS(error.text, "pin 1: is no GPIO of the header of orin-nano-8gb; give one of "
                                   "7 11 12");
    ES_EXPECT_CONTAINS(error.text, " 38 40, or CHIP:LINE");
    ES_EXPECT_EQ(es_board_pin(es_board_find("orin-nano-8gb"), "07", &pin, &error), ES_ERR_USAGE);
}

ES_TEST("what is not known of a board is refused and not invented; CHIP:LINE works everywhere") {
    ES_EXPECT_EQ(es_board_pin(es_board_find("thor-128gb"), "7", &pin, &error), ES_ERR_USAGE);
    ES_EXPECT_CONTAINS(error.text, "thor-128gb");
    ES_EXPECT_CONTAINS(error.text, "not known; give CHIP:LINE");
    ES_EXPECT_TEXT(es_board_find("thor-128gb")->uart, "");
    ES_EXPECT_EQ(es_board_pin(es_board_find("host"), "7", &pin, &error), ES_ERR_USAGE);
    ES_EXPECT_EQ(es_board_pin(es_board_find("thor-128gb"), "tegra264-gpio-main:3", &pin, &error),
                 ES_OK);
    ES_EXPECT_TEXT(pin.chip, "tegra264-gpio-main");
}

ES_TEST("every board of the table is found by its name, and the listing names those with memory") {
    const struct es_board *board;
    for (uint32_t i = 0; (board = es_board_at(i)) != NULL; i++) {
        ES_EXPECT(es_board_find(board->name) == board);
        bool is_listed = strstr(es_board_listing(), board->name) != NULL;
        ES_EXPECT_EQ(is_listed, board->usable_bytes > 0);
        ES_EXPECT(board->usable_bytes <= board->memory_bytes);
        ES_EXPECT_EQ(board->processor_count > 0, board->usable_bytes > 0);
        for (uint32_t p = 0; p < board->pin_count; p++) {
            ES_EXPECT(board->pins[p].number >= 1 && board->pins[p].number <= 40);
            ES_EXPECT(p == 0 || board->pins[p].number > board->pins[p - 1].number);
            for (uint32_t q = 0; q < p; q++) {
                ES_EXPECT(strcmp(board->pins[p].chip, board->pins[q].chip) != 0 ||
                          board->pins[p].line != board->pins[q].line);
            }
        }
    }
    ES_EXPECT(es_board_find("raspberry-pi") == NULL);
}
