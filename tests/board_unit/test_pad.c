#include "board/pad.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* As the kernel of JetPack 6 prints it (drivers/pinctrl/tegra/pinctrl-tegra.c). */
static const char groups[] = "Pin config settings per pin group\n"
                             "Format: group (name): configs\n"
                             "11 (soc_gpio58_pac5):\n\tpull=0\n\ttristate=0\n\tfunction=rsvd0\n"
                             "12 (soc_gpio59_pac6):\n\tpull=0\n\ttristate=1\n\tfunction=rsvd0\n"
                             "13 (soc_gpio60_pac16):\n\tpull=0\n\ttristate=0\n";

static const char *root_with_pads(void) {
    static char root[128];
    char path[256];
    static const char *const folders[] = {"",
                                          "/sys",
                                          "/sys/kernel",
                                          "/sys/kernel/debug",
                                          "/sys/kernel/debug/pinctrl",
                                          "/sys/kernel/debug/pinctrl/2430000.pinmux"};
    snprintf(root, sizeof root, "%s/pad", es_test_directory());
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s%s", root, folders[i]);
        mkdir(path, 0700);
    }
    snprintf(path, sizeof path, "%s%s/pinconf-groups", root, folders[5]);
    FILE *file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    ES_EXPECT(fputs(groups, file) >= 0);
    fclose(file);
    return root;
}

ES_TEST("complaint: the request succeeds and the LED stays dark: a pad in tristate is told") {
    struct es_error note;
    ES_EXPECT_EQ(es_pad_state(root_with_pads(), "PAC.06", &note), ES_PAD_CLOSED);
    ES_EXPECT_CONTAINS(note.text, "gpio line PAC.06: its pad is set to tristate");
    es_test_note("%s", note.text);
    ES_EXPECT_EQ(es_pad_state(root_with_pads(), "PAC.05", &note), ES_PAD_OPEN);
    ES_EXPECT_TEXT(note.text, "");
    ES_EXPECT_EQ(es_pad_state(root_with_pads(), "PAC.16", &note), ES_PAD_OPEN);
}

ES_TEST("what debugfs does not say is not known, and no claim is made") {
    struct es_error note;
    static const char *const unknown[] = {"",     "PAC.07",  "GPIO17", "PAC",
                                          "PAC.", "PAC.123", "P.1",    "PABCDE.06"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        ES_EXPECT_EQ(es_pad_state(root_with_pads(), unknown[i], &note), ES_PAD_UNKNOWN);
        ES_EXPECT_TEXT(note.text, "");
    }
    ES_EXPECT_EQ(es_pad_state("/nowhere", "GPIO17", &note), ES_PAD_UNKNOWN);
}

ES_TEST("a Tegra's pad that debugfs hides is told from one that is open") {
    struct es_error note;
    ES_EXPECT_EQ(es_pad_state("/nowhere", "PAC.06", &note), ES_PAD_HIDDEN);
    ES_EXPECT_TEXT(note.text, "");
}
