#include "platform/memory.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char root[256];

/* Writes `text` to a file of a pretended system, and makes its directories. */
static void pretend(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    fputs(text, file);
    ES_EXPECT_EQ(fclose(file), 0);
}

static void pretend_system(const char *name) {
    snprintf(root, sizeof root, "%s/%s", es_test_directory(), name);
    pretend("proc/meminfo", "MemTotal:       16384 kB\nMemFree:         1024 kB\n"
                            "MemAvailable:    8192 kB\nBuffers:            0 kB\n");
}

ES_TEST("this machine says how much memory it has available") {
    size_t bytes = es_memory_available_bytes();
    es_test_note("%zu MiB", bytes >> 20);
    ES_EXPECT(bytes > 1u << 20);
}

ES_TEST("without a cgroup the kernel's MemAvailable counts") {
    pretend_system("plain");
    ES_EXPECT_EQ(es_memory_available_under(root), 8192 << 10);
}

ES_TEST("a system that says nothing gives 0") {
    ES_EXPECT_EQ(es_memory_available_under("/nonexistent"), 0);
}

ES_TEST("a cgroup without a limit changes nothing") {
    pretend_system("unlimited");
    pretend("proc/self/cgroup", "0::/user.slice/app\n");
    pretend("sys/fs/cgroup/user.slice/app/memory.max", "max\n");
    ES_EXPECT_EQ(es_memory_available_under(root), 8192 << 10);
}

ES_TEST("a cgroup's limit counts less its use, page cache given back") {
    pretend_system("limited");
    pretend("proc/self/cgroup", "1:cpu:/other\n0::/app\n");
    pretend("sys/fs/cgroup/app/memory.max", "4000000\n");
    pretend("sys/fs/cgroup/app/memory.current", "1000000\n");
    ES_EXPECT_EQ(es_memory_available_under(root), 3000000);
    pretend("sys/fs/cgroup/app/memory.stat",
            "anon 500000\nfile 9\nworkingset_active_file 77\ninactive_file 300000\n"
            "active_file 200000\n");
    ES_EXPECT_EQ(es_memory_available_under(root), 3500000);
}

ES_TEST("the limit of a parent cgroup counts too, and a larger one does not") {
    pretend_system("nested");
    pretend("proc/self/cgroup", "0::/slice/app\n");
    pretend("sys/fs/cgroup/slice/app/memory.max", "99999999999\n");
    pretend("sys/fs/cgroup/slice/memory.max", "5000000\n");
    ES_EXPECT_EQ(es_memory_available_under(root), 5000000);
    pretend("sys/fs/cgroup/memory.max", "2000000\n");
    ES_EXPECT_EQ(es_memory_available_under(root), 2000000);
}

ES_TEST("a cgroup that is full is not mistaken for an unknown amount") {
    pretend_system("full");
    pretend("proc/self/cgroup", "0::/\n");
    pretend("sys/fs/cgroup/memory.max", "1000\n");
    pretend("sys/fs/cgroup/memory.current", "1001\n");
    ES_EXPECT_EQ(es_memory_available_under(root), 1);
}
