#include "platform/jetson/module.h"

#include "platform/bounds.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES 16384u /* nvpmodel.conf has 5 to 12 KB */

struct small_file {
    char text[FILE_BYTES];
    size_t bytes;
};

/* A file of at most FILE_BYTES - 1 bytes, as text; false when it is not there. */
static bool read_file(struct small_file *file, const char *root, const char *name) {
    char path[ES_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s%s", root, name);
    file->bytes = 0;
    file->text[0] = '\0';
    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = 0;
    while (file->bytes < FILE_BYTES - 1u &&
           (n = read(fd, file->text + file->bytes, FILE_BYTES - 1u - file->bytes)) > 0) {
        file->bytes += (size_t)n;
    }
    (void)close(fd);
    file->text[file->bytes] = '\0';
    return file->bytes > 0;
}

static uint64_t read_number(struct small_file *file, const char *root, const char *name) {
    return read_file(file, root, name) ? strtoull(file->text, NULL, 10) : 0;
}

/* -- identity ---------------------------------------------------------------------------------- */

/* "p3767-0003" in "nvidia,p3768-0000+p3767-0003\0nvidia,tegra234": the last part of the first
 * string that has one; what stands before it is the carrier. */
static void find_part(struct es_jetson_module *module, const struct small_file *compatible) {
    const size_t part_bytes = strlen("p3767-0003");
    for (size_t i = 0; i + part_bytes <= compatible->bytes; i++) {
        const char *at = compatible->text + i;
        bool is_part = at[0] == 'p' && at[5] == '-';
        for (size_t d = 1; is_part && d < part_bytes; d++) {
            is_part = d == 5 || isdigit((unsigned char)at[d]);
        }
        if (is_part) {
            (void)snprintf(module->part, sizeof module->part, "%.*s", (int)part_bytes, at);
        }
        if (at[0] == '\0' && module->part[0] != '\0') {
            break;
        }
    }
}

static bool has_text(const struct small_file *file, const char *text) {
    return memmem(file->text, file->bytes, text, strlen(text)) != NULL;
}

/* -- power mode -------------------------------------------------------------------------------- */

/* The number that nvpmodel wrote down ("pmode:0002 fmode:quiet"), by the name that its table gives:
 * "< POWER_MODEL ID=2 NAME=MAXN_SUPER >". */
static void find_power_mode(struct es_jetson_module *module, struct small_file *file,
                            const char *root) {
    if (!read_file(file, root, "/var/lib/nvpmodel/status")) {
        return;
    }
    const char *mode = strstr(file->text, "pmode:");
    if (mode == NULL) {
        return;
    }
    const unsigned long id = strtoul(mode + strlen("pmode:"), NULL, 10);
    if (!read_file(file, root, "/etc/nvpmodel.conf")) {
        return;
    }
    static const char key[] = "POWER_MODEL ID=";
    for (const char *at = strstr(file->text, key); at != NULL; at = strstr(at, key)) {
        at += strlen(key);
        char *after = NULL;
        if (strtoul(at, &after, 10) != id) {
            continue;
        }
        after += strspn(after, " \t");
        if (strncmp(after, "NAME=", strlen("NAME=")) == 0) {
            after += strlen("NAME=");
            (void)snprintf(module->power_mode, sizeof module->power_mode, "%.*s",
                           (int)strcspn(after, " \t\r\n>"), after);
        }
        return;
    }
}

/* -- clocks ------------------------------------------------------------------------------------ */

/* The GPU among /sys/class/devfreq: 17000000.gpu or 17000000.ga10b on Orin, gpu-gpc-0 on Thor. */
static bool find_gpu(const char *root, char *name, size_t name_bytes) {
    static const char *const marks[] = {".gpu", ".ga10b", "gpu-gpc"};
    char path[ES_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/sys/class/devfreq", root);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return false;
    }
    bool is_found = false;
    const struct dirent *entry = NULL;
    while (!is_found && (entry = readdir(directory)) != NULL) {
        for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
            is_found = is_found || strstr(entry->d_name, marks[i]) != NULL;
        }
        if (is_found) {
            (void)snprintf(name, name_bytes, "%s", entry->d_name);
        }
    }
    (void)closedir(directory);
    return is_found;
}

static void find_gpu_clocks(struct es_jetson_module *module, struct small_file *file,
                            const char *root) {
    char name[256];
    char path[512];
    if (!find_gpu(root, name, sizeof name)) {
        return;
    }
    (void)snprintf(path, sizeof path, "/sys/class/devfreq/%s/max_freq", name);
    module->gpu_cap_hz = read_number(file, root, path);
    (void)snprintf(path, sizeof path, "/sys/class/devfreq/%s/available_frequencies", name);
    if (!read_file(file, root, path)) {
        return;
    }
    char *after = file->text;
    for (const char *at = file->text; *at != '\0'; at = after) {
        const uint64_t hz = strtoull(at, &after, 10);
        if (after == at) {
            break;
        }
        module->gpu_max_hz = hz > module->gpu_max_hz ? hz : module->gpu_max_hz;
    }
}

/* Bytes that one transfer moves, and the clock of the fastest power mode: LPDDR5 transfers twice a
 * cycle. Widths and peaks from the modules' data sheets. */
static void find_memory_speed(struct es_jetson_module *module) {
    static const struct {
        const char *part;
        double bus_bytes;
        uint64_t rated_hz;
    } modules[] = {
        {"p3767-0004", 8, 3199000000u}, /* Orin Nano 4 GB: half the bus */
        {"p3767-", 16, 3199000000u},    /* Orin Nano 8 GB, Orin NX */
        {"p3701-", 32, 3199000000u},    /* AGX Orin */
        {"p3834-", 32, 4266000000u},    /* Thor */
    };
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        if (strncmp(module->part, modules[i].part, strlen(modules[i].part)) == 0) {
            uint64_t hz = module->emc_max_hz > 0 ? module->emc_max_hz : modules[i].rated_hz;
            if (module->emc_cap_hz > 0 && module->emc_cap_hz < hz) {
                hz = module->emc_cap_hz;
            }
            module->memory_bytes_per_s = (double)hz * 2.0 * modules[i].bus_bytes;
            return;
        }
    }
}

void es_jetson_module_read(struct es_jetson_module *module, const char *root) {
    struct small_file file;
    memset(module, 0, sizeof *module);
    if (!read_file(&file, root, "/proc/device-tree/compatible")) {
        return;
    }
    module->is_jetson = has_text(&file, "nvidia,tegra");
    if (!module->is_jetson) {
        return;
    }
    find_part(module, &file);
    if (read_file(&file, root, "/proc/device-tree/model")) {
        (void)snprintf(module->title, sizeof module->title, "%.*s", (int)strcspn(file.text, "\n"),
                       file.text);
    }
    find_power_mode(module, &file, root);
    module->emc_cap_hz = read_number(&file, root, "/sys/kernel/nvpmodel_clk_cap/emc");
    module->emc_max_hz = read_number(&file, root, "/sys/kernel/debug/bpmp/debug/clk/emc/max_rate");
    find_gpu_clocks(module, &file, root);
    find_memory_speed(module);
}
