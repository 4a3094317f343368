#include "platform/memory.h"

#include "platform/bounds.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct small_file {
    char text[8192]; /* meminfo and memory.stat have under 4 KiB */
};

/* A file of /proc or /sys, in one piece: with read(2), because stdio would allocate. */
static bool file_read(struct small_file *file, const char *directory, const char *name) {
    char path[ES_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t bytes = read(fd, file->text, sizeof file->text - 1);
    close(fd);
    file->text[bytes > 0 ? bytes : 0] = '\0';
    return bytes > 0;
}

/* The number after `key` at the start of a line; 0 when there is none. */
static uint64_t number_after(const char *text, const char *key) {
    size_t key_bytes = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (strncmp(line, key, key_bytes) == 0) {
            return strtoull(line + key_bytes, NULL, 10);
        }
    }
    return 0;
}

/* What one cgroup still allows: its limit less what it uses, page cache not counted, because the
 * kernel takes that back first. UINT64_MAX when it has no limit. */
static uint64_t cgroup_available_bytes(const char *directory) {
    struct small_file file;
    if (!file_read(&file, directory, "memory.max") || strncmp(file.text, "max", 3) == 0) {
        return UINT64_MAX;
    }
    uint64_t max_bytes = strtoull(file.text, NULL, 10);
    uint64_t used_bytes = 0;
    if (file_read(&file, directory, "memory.current")) {
        used_bytes = strtoull(file.text, NULL, 10);
    }
    if (file_read(&file, directory, "memory.stat")) {
        uint64_t cache_bytes =
            number_after(file.text, "active_file ") + number_after(file.text, "inactive_file ");
        used_bytes -= cache_bytes < used_bytes ? cache_bytes : used_bytes;
    }
    return used_bytes < max_bytes ? max_bytes - used_bytes : 1; /* 0 would mean "unknown" */
}

/* The tightest limit of the process's cgroup and of those above it. */
static uint64_t cgroups_available_bytes(const char *root) {
    char directory[ES_PATH_BYTES_MAX];
    struct small_file file;
    if (!file_read(&file, root, "proc/self/cgroup")) {
        return UINT64_MAX;
    }
    const char *own = strncmp(file.text, "0::", 3) == 0 ? file.text : strstr(file.text, "\n0::");
    if (own == NULL) {
        return UINT64_MAX;
    }
    own = strchr(own, '/');
    size_t own_bytes = own != NULL ? strcspn(own, "\n") : 0;
    int base_bytes = snprintf(directory, sizeof directory, "%s/sys/fs/cgroup", root);
    if (base_bytes < 0 || (size_t)base_bytes + own_bytes >= sizeof directory) {
        return UINT64_MAX;
    }
    memcpy(directory + base_bytes, own != NULL ? own : "", own_bytes);
    directory[(size_t)base_bytes + own_bytes] = '\0';

    uint64_t least_bytes = UINT64_MAX;
    for (;;) {
        uint64_t bytes = cgroup_available_bytes(directory);
        least_bytes = bytes < least_bytes ? bytes : least_bytes;
        char *slash = strrchr(directory + base_bytes, '/');
        if (slash == NULL) {
            return least_bytes;
        }
        *slash = '\0';
    }
}

size_t es_memory_available_under(const char *root) {
    struct small_file file;
    if (!file_read(&file, root, "proc/meminfo")) {
        return 0;
    }
    uint64_t available_bytes = number_after(file.text, "MemAvailable:") << 10;
    uint64_t allowed_bytes = cgroups_available_bytes(root);
    return (size_t)(allowed_bytes < available_bytes ? allowed_bytes : available_bytes);
}

size_t es_memory_available_bytes(void) {
    return es_memory_available_under("");
}

size_t es_memory_resident_bytes(void) {
    struct small_file file;
    if (!file_read(&file, "/proc/self", "status")) {
        return 0;
    }
    return (size_t)(number_after(file.text, "VmRSS:") << 10);
}
