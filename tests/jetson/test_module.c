#include "platform/jetson/module.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct es_jetson_module module;

/* A file under a board's root, its folders with it. */
static void put(const char *root, const char *name, const char *text, size_t bytes) {
    char path[1024];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    FILE *stream = fopen(path, "wb");
    ES_EXPECT(stream != NULL);
    ES_EXPECT(fwrite(text, 1, bytes, stream) == bytes);
    ES_EXPECT(fclose(stream) == 0);
}

#define PUT(root, name, text) put(root, name, text, sizeof(text) - 1)

static const char *fresh_root(void) {
    static uint32_t count;
    static char root[256];
    snprintf(root, sizeof root, "%s/root%u", es_test_directory(), count++);
    return root;
}

/* An Orin Nano as JetPack 6 shows it. */
static const char *orin_nano(void) {
    const char *root = fresh_root();
    PUT(root, "/proc/device-tree/compatible",
        "nvidia,p3768-0000+p3767-0003-super\0nvidia,p3767-0003\0nvidia,tegra234\0");
    PUT(root, "/proc/device-tree/model",
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0");
    PUT(root, "/var/lib/nvpmodel/status", "pmode:0001 fmode:quiet\n");
    PUT(root, "/etc/nvpmodel.conf",
        "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_1 /sys/devices/system/cpu/cpu1/online\n"
        "< POWER_MODEL ID=0 NAME=15W >\nEMC MAX_FREQ 2133000000\n"
        "< POWER_MODEL ID=1 NAME=25W >\nEMC MAX_FREQ 3199000000\n"
        "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\nEMC MAX_FREQ 0\n< PM_CONFIG DEFAULT=1 >\n");
    PUT(root, "/sys/kernel/nvpmodel_clk_cap/emc", "3199000000\n");
    PUT(root, "/sys/class/devfreq/17000000.gpu/max_freq", "918000000\n");
    PUT(root, "/sys/class/devfreq/17000000.gpu/available_frequencies",
        "306000000 408000000 510000000 612000000 714000000 816000000 918000000 1020000000\n");
    PUT(root, "/sys/class/devfreq/15340000.vic/max_freq", "435200000\n");
    return root;
}

ES_TEST("an Orin Nano is known with its power mode, its clocks and what its memory gives") {
    es_jetson_module_read(&module, orin_nano());
    ES_EXPECT(module.is_jetson);
    ES_EXPECT_TEXT(module.part, "p3767-0003");
    ES_EXPECT_CONTAINS(module.title, "Orin Nano");
    ES_EXPECT_TEXT(module.power_mode, "25W");
    ES_EXPECT_EQ(module.emc_cap_hz, 3199000000);
    ES_EXPECT_EQ(module.emc_max_hz, 0);
    ES_EXPECT_EQ(module.gpu_cap_hz, 918000000);
    ES_EXPECT_EQ(module.gpu_max_hz, 1020000000);
    ES_EXPECT_NEAR(module.memory_bytes_per_s, 102.4e9, 0.1e9);
}

ES_TEST("a power mode that caps the memory is seen in its speed") {
    const char *root = orin_nano();
    PUT(root, "/var/lib/nvpmodel/status", "pmode:0000\n");
    PUT(root, "/sys/kernel/nvpmodel_clk_cap/emc", "2133000000\n");
    es_jetson_module_read(&module, root);
    ES_EXPECT_TEXT(module.power_mode, "15W");
    ES_EXPECT_NEAR(module.memory_bytes_per_s, 68.3e9, 0.1e9);
    PUT(root, "/sys/kernel/nvpmodel_clk_cap/emc", "0\n"); /* no cap */
    PUT(root, "/sys/kernel/debug/bpmp/debug/clk/emc/max_rate", "2133000000\n");
    es_jetson_module_read(&module, root); /* a board that never had the faster modes */
    ES_EXPECT_NEAR(module.memory_bytes_per_s, 68.3e9, 0.1e9);
}

ES_TEST("every module's memory has the speed of its data sheet") {
    static const struct {
        const char *compatible;
        size_t bytes;
        const char *part;
        double bytes_per_s;
    } cases[] = {
        {"nvidia,p3768-0000+p3767-0000\0nvidia,tegra234", 44, "p3767-0000", 102.4e9},
        {"nvidia,p3768-0000+p3767-0004\0nvidia,tegra234", 44, "p3767-0004", 51.2e9},
        {"nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234", 62, "p3701-0005",
         204.8e9},
        {"nvidia,p4071-0000+p3834-0008\0nvidia,tegra264", 44, "p3834-0008", 273e9},
        {"nvidia,tegra186", 15, "", 0.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *root = fresh_root();
        put(root, "/proc/device-tree/compatible", cases[i].compatible, cases[i].bytes);
        es_jetson_module_read(&module, root);
        ES_EXPECT(module.is_jetson);
        ES_EXPECT_TEXT(module.part, cases[i].part);
        ES_EXPECT_NEAR(module.memory_bytes_per_s, cases[i].bytes_per_s, 0.1e9);
        ES_EXPECT_TEXT(module.power_mode, "");
        ES_EXPECT_EQ(module.gpu_max_hz, 0);
    }
}

ES_TEST("other machines are none") {
    const char *root = fresh_root();
    es_jetson_module_read(&module, root);
    ES_EXPECT(!module.is_jetson);
    PUT(root, "/proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0");
    es_jetson_module_read(&module, root);
    ES_EXPECT(!module.is_jetson);
    ES_EXPECT_NEAR(module.memory_bytes_per_s, 0.0, 0.0);
}

ES_TEST("files that say nothing, or nonsense, leave what they would tell unknown") {
    const char *root = orin_nano();
    PUT(root, "/var/lib/nvpmodel/status", "pmode:0009\n"); /* the table has no such mode */
    PUT(root, "/sys/class/devfreq/17000000.gpu/available_frequencies", "many\n");
    PUT(root, "/sys/class/devfreq/17000000.gpu/max_freq", "");
    es_jetson_module_read(&module, root);
    ES_EXPECT_TEXT(module.power_mode, "");
    ES_EXPECT_EQ(module.gpu_max_hz, 0);
    ES_EXPECT_EQ(module.gpu_cap_hz, 0);
    PUT(root, "/var/lib/nvpmodel/status", "fmode:quiet\n");
    PUT(root, "/etc/nvpmodel.conf", "< POWER_MODEL ID=1");
    es_jetson_module_read(&module, root);
    ES_EXPECT_TEXT(module.power_mode, "");
}
