#include "platform/arena.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* The sanitizers' runtimes make mlock a no-operation and need address space of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER_RUNTIME true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER_RUNTIME true
#endif
#endif
#ifndef HAS_SANITIZER_RUNTIME
#define HAS_SANITIZER_RUNTIME false
#endif

static struct es_plan plan;
static struct es_arena arena;
static struct es_error error;

static size_t resident_bytes(const void *start, size_t bytes) {
    static unsigned char pages[1 << 16];
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t page_count = (bytes + page_bytes - 1) / page_bytes;
    ES_EXPECT(page_count <= sizeof pages);
    ES_EXPECT_EQ(mincore((void *)(uintptr_t)start, bytes, pages), 0);
    size_t resident_count = 0;
    for (size_t i = 0; i < page_count; i++) {
        resident_count += pages[i] & 1u;
    }
    return resident_count * page_bytes;
}

/* Size of the mapping that starts at `start`, as the kernel has it. */
static size_t mapping_bytes(const void *start) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    ES_EXPECT(maps != NULL);
    char line[512];
    size_t found_bytes = 0;
    while (found_bytes == 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from = 0;
        unsigned long long to = 0;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2 && from == (uintptr_t)start) {
            found_bytes = (size_t)(to - from);
        }
    }
    fclose(maps);
    return found_bytes;
}

ES_TEST("what is reserved is what the plan says, to the byte, and it is there") {
    es_plan_init(&plan);
    uint32_t small = es_plan_add(&plan, ES_MEM_HOST, "small", 100);
    uint32_t large = es_plan_add(&plan, ES_MEM_HOST, "large", (9u << 20) + 12345);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    size_t total_bytes = es_plan_total_bytes(&plan, ES_MEM_HOST);
    ES_EXPECT_EQ(arena.reserved_bytes[ES_MEM_HOST], total_bytes);
    ES_EXPECT_EQ(total_bytes % ES_PAGE_BYTES, 0);
    ES_EXPECT_EQ(resident_bytes(arena.base[ES_MEM_HOST], total_bytes), total_bytes);
    ES_EXPECT_EQ((uintptr_t)arena.base[ES_MEM_HOST] % ES_HUGE_PAGE_BYTES, 0);

    unsigned char *bytes = es_arena_region(&arena, large);
    ES_EXPECT_EQ((uintptr_t)bytes % ES_REGION_ALIGN_BYTES, 0);
    ES_EXPECT((unsigned char *)es_arena_region(&arena, small) + 100 <= bytes);
    for (size_t i = 0; i < plan.regions[large].bytes; i++) {
        ES_EXPECT(bytes[i] == 0);
    }
    memset(bytes, 0xff, plan.regions[large].bytes);
    es_arena_release(&arena);
    ES_EXPECT(arena.base[ES_MEM_HOST] == NULL);
}

ES_TEST("the kernel's own mapping has the planned size") {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "region", (5u << 20) + 1);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    size_t bytes = mapping_bytes(arena.base[ES_MEM_HOST]);
    /* A neighbour with the same rights may be merged into it: then there is nothing to compare. */
    size_t total_bytes = es_plan_total_bytes(&plan, ES_MEM_HOST);
    es_test_note("mapping %zu bytes, plan %zu bytes", bytes, total_bytes);
    ES_EXPECT(bytes >= total_bytes);
    es_arena_release(&arena);
    ES_EXPECT_EQ(mapping_bytes(arena.base[ES_MEM_HOST]), 0);
}

ES_TEST("an empty plan reserves nothing") {
    es_plan_init(&plan);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    ES_EXPECT(arena.base[ES_MEM_HOST] == NULL);
    ES_EXPECT(es_arena_lock(&arena));
    es_arena_release(&arena);
}

ES_TEST("kinds other than host are left unbound") {
    es_plan_init(&plan);
    uint32_t device = es_plan_add(&plan, ES_MEM_DEVICE, "weights", 1000);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    ES_EXPECT(es_arena_region(&arena, device) == NULL);
    ES_EXPECT_EQ(arena.reserved_bytes[ES_MEM_DEVICE], 0);
    es_arena_release(&arena);
}

ES_TEST("a plan that is larger than the machine is refused with both numbers") {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "too large", (size_t)1 << 46);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_ERR_HARDWARE);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, "needs 67108864.0 MiB");
    ES_EXPECT_CONTAINS(error.text, "MiB available");
    ES_EXPECT_CONTAINS(error.text, "earshot plan");
    ES_EXPECT(arena.base[ES_MEM_HOST] == NULL);
}

static void reserve_without_address_space(void) {
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_AS, &limit);
    enum es_status status = es_arena_reserve(&arena, &plan, &error);
    ssize_t written = write(STDERR_FILENO, error.text, strlen(error.text));
    _exit(status == ES_ERR_HARDWARE && written > 0 ? 0 : 1);
}

ES_TEST("a kernel that refuses the mapping is a refusal with a remedy") {
    if (HAS_SANITIZER_RUNTIME) {
        es_test_skip("limits fool the sanitizers; run build/check/test_arena");
    }
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "region", 64u << 20);
    struct child_result result = child_run(reserve_without_address_space);
    es_test_note("%s", result.text);
    ES_EXPECT_EQ(result.wait_status, 0);
    ES_EXPECT_CONTAINS(result.text, "refused 64.0 MiB");
    ES_EXPECT_CONTAINS(result.text, "ulimit -v");
}

static void lock_without_permission(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_MEMLOCK, &none);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        _exit(2);
    }
    _exit(es_arena_lock(&arena) ? 1 : 0);
}

ES_TEST("locking says whether it worked") {
    if (HAS_SANITIZER_RUNTIME) {
        es_test_skip("limits fool the sanitizers; run build/check/test_arena");
    }
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "region", 64u << 10);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    bool is_locked = es_arena_lock(&arena);
    es_test_note("64 KiB locked here: %s", is_locked ? "yes" : "no");
    struct rlimit limit;
    ES_EXPECT_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ES_EXPECT(is_locked || limit.rlim_cur < 64u << 10);
    ES_EXPECT_EQ(child_run(lock_without_permission).wait_status, 0);
    es_arena_release(&arena);
}

static void ask_for_a_later_region(void) {
    uint32_t late = es_plan_add(&plan, ES_MEM_HOST, "late", 8192);
    (void)es_arena_region(&arena, late);
}

ES_TEST("a region that was planned after the reservation is a fault") {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "region", 64);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    struct child_result result = child_run(ask_for_a_later_region);
    ES_EXPECT(WIFSIGNALED(result.wait_status));
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    es_arena_release(&arena);
}

/* -- a GPU's kinds, from a provider ------------------------------------------------------------ */

static struct {
    size_t available_bytes;
    uint32_t live_count;
    uint32_t take_count;
    uint32_t settle_count;
    bool settle_fails;
} gpu;

static enum es_status gpu_take(void *context, enum es_mem_kind kind, size_t bytes, void **memory,
                               struct es_error *said) {
    (void)context;
    (void)said;
    ES_EXPECT(kind != ES_MEM_HOST);
    *memory = aligned_alloc(ES_PAGE_BYTES, bytes);
    ES_EXPECT(*memory != NULL);
    gpu.live_count++;
    gpu.take_count++;
    gpu.available_bytes -= bytes;
    return ES_OK;
}

static enum es_status gpu_settle(void *context, struct es_error *said) {
    (void)context;
    gpu.settle_count++;
    return gpu.settle_fails ? es_fail(said, ES_ERR_HARDWARE, "the GPU fell silent") : ES_OK;
}

static void gpu_give_back(void *context, enum es_mem_kind kind, void *memory) {
    (void)context;
    (void)kind;
    free(memory);
    gpu.live_count--;
}

static enum es_status gpu_available(void *context, size_t *bytes, struct es_error *said) {
    (void)context;
    (void)said;
    *bytes = gpu.available_bytes;
    return ES_OK;
}

static struct es_memory_provider provider = {
    .take = gpu_take, .settle = gpu_settle, .give_back = gpu_give_back, .available = gpu_available};

ES_TEST("a provider gives the other kinds, and gets back what it gave") {
    memset(&gpu, 0, sizeof gpu);
    gpu.available_bytes = 1u << 30;
    es_plan_init(&plan);
    uint32_t host = es_plan_add(&plan, ES_MEM_HOST, "host", 100);
    uint32_t first = es_plan_add(&plan, ES_MEM_DEVICE, "first", 1000);
    uint32_t shared = es_plan_add(&plan, ES_MEM_SHARED, "shared", 1000);
    uint32_t second = es_plan_add(&plan, ES_MEM_DEVICE, "second", 1000);
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_OK);
    ES_EXPECT_EQ(gpu.live_count, 2);
    ES_EXPECT_EQ(gpu.settle_count, 1);
    ES_EXPECT(es_arena_region(&arena, host) != NULL);
    ES_EXPECT(es_arena_region(&arena, shared) != NULL);
    ES_EXPECT_EQ((char *)es_arena_region(&arena, second) - (char *)es_arena_region(&arena, first),
                 1024);
    struct es_arena_report report;
    es_arena_report(&arena, &report);
    ES_EXPECT_EQ(report.chunk_count, 2);
    ES_EXPECT_EQ(report.asked_bytes, 4096);    /* the shared one is the machine's */
    ES_EXPECT_EQ(report.drop_bytes, 2 * 4096); /* this provider's is not */
    es_arena_release(&arena);
    ES_EXPECT_EQ(gpu.live_count, 0);
}

ES_TEST("a GPU that shares the machine's memory is compared with it for all kinds together") {
    memset(&gpu, 0, sizeof gpu);
    gpu.available_bytes = SIZE_MAX;
    provider.shares_host_memory = true;
    /* Each part fits, and both together are more than there is. */
    size_t machine_bytes = es_memory_available_bytes();
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "host", machine_bytes - machine_bytes / 64);
    for (size_t bytes = 0; bytes < machine_bytes / 16; bytes += ES_CHUNK_BYTES_MAX) {
        char name[32];
        snprintf(name, sizeof name, "device %zu", bytes);
        es_plan_add(&plan, ES_MEM_DEVICE, name, ES_CHUNK_BYTES_MAX);
    }
    enum es_status status = es_arena_reserve_with(&arena, &plan, &provider, &error);
    provider.shares_host_memory = false;
    ES_EXPECT_EQ(status, ES_ERR_HARDWARE);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, "and the machine has");
    ES_EXPECT_EQ(gpu.take_count, 0);
}

ES_TEST("a provider that fails at the end gets everything back") {
    memset(&gpu, 0, sizeof gpu);
    gpu.available_bytes = 1u << 30;
    gpu.settle_fails = true;
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "host", 100);
    es_plan_add(&plan, ES_MEM_DEVICE, "device", 1000);
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_ERR_HARDWARE);
    ES_EXPECT_TEXT(error.text, "the GPU fell silent");
    ES_EXPECT_EQ(gpu.take_count, 1);
    ES_EXPECT_EQ(gpu.live_count, 0);
    ES_EXPECT(arena.base[ES_MEM_HOST] == NULL);
}

ES_TEST("the freeze is a mark that stays") {
    ES_EXPECT(!es_is_frozen());
    es_freeze();
    ES_EXPECT(es_is_frozen());
}
