#include "audio/card_auto.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct es_card_candidate cards[4];
static struct es_error error;

static void make_folder(const char *path) {
    char full[1024];
    (void)snprintf(full, sizeof full, "%s/%s", es_test_directory(), path);
    for (char *slash = full + strlen(es_test_directory()) + 1; (slash = strchr(slash, '/'));
         slash++) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
    (void)mkdir(full, 0755);
}

/* sys/class/sound/cardN/device leads to a device, as the kernel lays it out. */
static void plug(int index, const char *device) {
    char path[512], target[512];
    (void)snprintf(path, sizeof path, "sys/class/sound/card%d", index);
    make_folder(path);
    make_folder(device);
    (void)snprintf(path, sizeof path, "%s/sys/class/sound/card%d/device", es_test_directory(),
                   index);
    (void)snprintf(target, sizeof target, "%s/%s", es_test_directory(), device);
    (void)unlink(path);
    ES_EXPECT_EQ(symlink(target, path), 0);
}

static void put(uint32_t at, int index, const char *id, enum es_card_kind kind) {
    memset(&cards[at], 0, sizeof cards[at]);
    cards[at].found.card_index = index;
    cards[at].kind = kind;
    (void)snprintf(cards[at].id, sizeof cards[at].id, "%s", id);
    (void)snprintf(cards[at].name, sizeof cards[at].name, "the %s", id);
}

/* A Jetson with a USB microphone that came last, and a second one. */
static void put_jetson(void) {
    put(0, 0, "HDA", ES_CARD_KIND_TEGRA);
    put(1, 1, "APE", ES_CARD_KIND_TEGRA);
    put(2, 2, "Device", ES_CARD_KIND_USB);
    put(3, 3, "Webcam", ES_CARD_KIND_USB);
}

/* Those whose ids are listed open; the others are busy. */
static enum es_card_result open_listed(void *context, const struct es_card_candidate *card,
                                       struct es_error *why) {
    if (strstr(context, card->id) != NULL) {
        return ES_CARD_OK;
    }
    (void)es_fail(why, ES_ERR_HARDWARE, "%s is in use", card->id);
    return ES_CARD_BUSY;
}

ES_TEST("a card behind a USB bus is told from those on the board, by sysfs") {
    plug(0, "sys/devices/platform/bus@0/3510000.hda");
    plug(1, "sys/devices/platform/sound");
    plug(2, "sys/devices/platform/bus@0/3610000.usb/usb1/1-2/1-2:1.0");
    plug(3, "sys/devices/pci0000:00/0000:00:1f.3");
    const char *root = es_test_directory();
    ES_EXPECT_EQ(es_card_kind_of(root, 0, "HDA"), ES_CARD_KIND_TEGRA);
    ES_EXPECT_EQ(es_card_kind_of(root, 1, "APE"), ES_CARD_KIND_TEGRA);
    ES_EXPECT_EQ(es_card_kind_of(root, 2, "Device"), ES_CARD_KIND_USB);
    ES_EXPECT_EQ(es_card_kind_of(root, 2, "APE"), ES_CARD_KIND_USB);
    ES_EXPECT_EQ(es_card_kind_of(root, 3, "PCH"), ES_CARD_KIND_OTHER);
    ES_EXPECT_EQ(es_card_kind_of(root, 9, "Loopback"), ES_CARD_KIND_OTHER);
}

ES_TEST("on a Jetson auto hears the USB microphone, and not the board's own card") {
    struct es_card_auto memory = {.id = "", .name = ""};
    put_jetson();
    ES_EXPECT_EQ(es_card_auto_order(&memory, cards, 4), 4);
    ES_EXPECT_TEXT(cards[0].id, "Device");
    ES_EXPECT_TEXT(cards[1].id, "Webcam");
    ES_EXPECT_TEXT(cards[2].id, "HDA");
    put(0, 0, "APE", ES_CARD_KIND_TEGRA);
    put(1, 1, "PCH", ES_CARD_KIND_OTHER);
    ES_EXPECT_EQ(es_card_auto_order(&memory, cards, 2), 2);
    ES_EXPECT_TEXT(cards[0].id, "PCH");
}

ES_TEST("a card that is busy is passed over, and the others are named with what was wrong") {
    struct es_card_auto memory = {.id = "", .name = ""};
    char others[160];
    uint32_t opened = 9;
    put_jetson();
    uint32_t count = es_card_auto_order(&memory, cards, 4);
    ES_EXPECT_EQ(
        es_card_auto_open(&memory, cards, count, open_listed, "Webcam APE", &opened, &error),
        ES_CARD_OK);
    ES_EXPECT_EQ(opened, 1);
    ES_EXPECT_TEXT(memory.id, "Webcam");
    es_card_auto_others(cards, count, opened, others, sizeof others);
    ES_EXPECT_TEXT(others, "Device (in use), HDA, APE");
    char narrow[60];
    es_card_auto_others(cards, count, opened, narrow, sizeof narrow);
    ES_EXPECT_TEXT(narrow, "Device (in use)");
}

ES_TEST("where none opens, the line is that of the best one") {
    struct es_card_auto memory = {.id = "", .name = ""};
    uint32_t opened = 9;
    put_jetson();
    uint32_t count = es_card_auto_order(&memory, cards, 4);
    ES_EXPECT_EQ(es_card_auto_open(&memory, cards, count, open_listed, "", &opened, &error),
                 ES_CARD_BUSY);
    ES_EXPECT_TEXT(error.text, "Device is in use");
    ES_EXPECT_TEXT(memory.id, "");
    ES_EXPECT_EQ(es_card_auto_open(&memory, cards, 0, open_listed, "", &opened, &error),
                 ES_CARD_ABSENT);
}

ES_TEST("a card that opens and gives nothing is tried last the next time") {
    struct es_card_auto memory = {.id = "Device", .name = "the Device", .is_heard = false};
    put_jetson();
    ES_EXPECT_EQ(es_card_auto_order(&memory, cards, 4), 4);
    ES_EXPECT_TEXT(cards[0].id, "Webcam");
    ES_EXPECT_TEXT(cards[3].id, "Device");
}

ES_TEST("unplugged for a moment, it hears through another microphone: never, once heard") {
    struct es_card_auto memory = {.id = "Webcam", .name = "the Webcam", .is_heard = true};
    put_jetson();
    ES_EXPECT_EQ(es_card_auto_order(&memory, cards, 4), 1);
    ES_EXPECT_TEXT(cards[0].id, "Webcam");
    put_jetson();
    ES_EXPECT_EQ(es_card_auto_order(&memory, cards, 3), 0); /* unplugged */
    /* A quick replug finds its id still taken by the card that is going. */
    put_jetson();
    put(3, 5, "Webcam_1", ES_CARD_KIND_USB);
    (void)snprintf(cards[3].name, sizeof cards[3].name, "the Webcam");
    ES_EXPECT_EQ(es_card_auto_order(&memory, cards, 4), 1);
    ES_EXPECT_TEXT(cards[0].id, "Webcam_1");
}
