#include "platform/arena.h"
#include "platform/jetson/cuda.h"
#include "tests/support/fake_cuda.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static struct es_cuda cuda;
static struct es_plan plan;
static struct es_arena arena;
static struct es_memory_provider provider;
static struct es_error error;

/* Chunks of all kinds: two of device, one each of shared and unified, and the host's block. */
static void make_plan(void) {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "host", 10000);
    es_plan_add(&plan, ES_MEM_DEVICE, "weights 1", 200 * MIB);
    es_plan_add(&plan, ES_MEM_SHARED, "input", 100);
    es_plan_add(&plan, ES_MEM_DEVICE, "weights 2", 100 * MIB + 1);
    es_plan_add(&plan, ES_MEM_UNIFIED, "kv ring", 5 * MIB);
    es_plan_add(&plan, ES_MEM_DEVICE, "scratch", 77);
}

static void start(const struct fake_cuda_device *device) {
    if (es_cuda_open(&cuda, fake_cuda_start(device), &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    es_cuda_provider(&cuda, &provider);
}

static void expect_zero(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ES_EXPECT_EQ(bytes[i], 0);
    }
}

static void reserve_and_look(const struct fake_cuda_device *device) {
    start(device);
    make_plan();
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_OK);
    static const enum es_mem_kind kinds[] = {ES_MEM_DEVICE, ES_MEM_SHARED, ES_MEM_UNIFIED};
    for (int i = 0; i < 3; i++) { /* to the byte */
        ES_EXPECT_EQ(fake_cuda_asked_bytes(kinds[i]), es_plan_total_bytes(&plan, kinds[i]));
        ES_EXPECT_EQ(arena.reserved_bytes[kinds[i]], es_plan_total_bytes(&plan, kinds[i]));
    }
    ES_EXPECT_EQ(fake_cuda_allocation_count(), 4);
    for (uint32_t i = 0; i < plan.region_count; i++) {
        const uint8_t *region = es_arena_region(&arena, i);
        ES_EXPECT(region != NULL);
        ES_EXPECT_EQ(fake_cuda_kind_of(region), plan.regions[i].kind);
        ES_EXPECT_EQ(fake_cuda_kind_of(region + plan.regions[i].bytes - 1), plan.regions[i].kind);
        expect_zero(region, plan.regions[i].bytes < 5000 ? plan.regions[i].bytes : 5000);
        expect_zero(region + plan.regions[i].bytes - 50, 50);
    }
    struct es_arena_report report;
    es_arena_report(&arena, &report);
    ES_EXPECT_EQ(report.chunk_count, 4);
    if (!device->is_integrated) { /* there it is the real machine's memory that is read */
        ES_EXPECT_EQ(report.drop_bytes, report.asked_bytes);
    }
    es_arena_release(&arena);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("each kind is taken in its chunks, to the byte, and zeroed") {
    reserve_and_look(&fake_cuda_discrete);
    reserve_and_look(&fake_cuda_integrated);
}

ES_TEST("what CUDA holds beside the plan is measured apart from it") {
    start(&fake_cuda_discrete);
    make_plan();
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_OK);
    struct es_cuda_overhead overhead;
    ES_EXPECT_EQ(es_cuda_measure_overhead(&cuda, &arena, &overhead, &error), ES_OK);
    ES_EXPECT_EQ(overhead.context_bytes, 0); /* the fake's takes nothing */
    ES_EXPECT_EQ(overhead.later_bytes, 0);
    void *library = NULL; /* stands for a library's workspace */
    ES_EXPECT_EQ(es_cuda_memory_take(&cuda, ES_MEM_DEVICE, 3 * MIB, &library, &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_measure_overhead(&cuda, &arena, &overhead, &error), ES_OK);
    ES_EXPECT_EQ(overhead.later_bytes, 3 * MIB);
    es_cuda_memory_give_back(&cuda, ES_MEM_DEVICE, library);
    es_arena_release(&arena);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("no block is larger than what the strictest driver gives") {
    start(&fake_cuda_integrated); /* refuses more than 256 MiB at once */
    es_plan_init(&plan);
    for (uint32_t i = 0; i < 8; i++) {
        char name[24];
        snprintf(name, sizeof name, "region %u", i);
        es_plan_add(&plan, ES_MEM_DEVICE, name, i % 2 == 0 ? ES_CHUNK_BYTES_MAX / 4 : 100);
    }
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_OK);
    ES_EXPECT_EQ(fake_cuda_allocation_count(), plan.chunk_count);
    ES_EXPECT_EQ(plan.chunk_count, 2);
    es_arena_release(&arena);
    es_cuda_close(&cuda);
}

ES_TEST("out of memory at each chunk names the chunk and its regions, and all is given back") {
    static const char *const said[] = {
        "memory chunk 2 of 5 (weights 1): CUDA: out of memory: asked for 200.0 MiB of device",
        "memory chunk 3 of 5 (input): CUDA: out of memory: asked for 0.0 MiB of shared",
        "memory chunk 4 of 5 (weights 2 and 1 more): CUDA: out of memory: asked for 100.0 MiB",
        "memory chunk 5 of 5 (kv ring): CUDA: out of memory: asked for 5.0 MiB of unified",
    };
    for (uint32_t i = 0; i < 4; i++) {
        start(&fake_cuda_discrete);
        make_plan();
        fake_cuda_fail_allocation(i + 1);
        ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_ERR_HARDWARE);
        es_test_note("%s", error.text);
        ES_EXPECT_CONTAINS(error.text, said[i]);
        ES_EXPECT_CONTAINS(error.text, "are free; stop other programs");
        ES_EXPECT(arena.base[ES_MEM_HOST] == NULL);
        es_cuda_close(&cuda);
        ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    }
}

ES_TEST("a plan that the GPU cannot hold is refused before anything is taken") {
    struct fake_cuda_device small = fake_cuda_discrete;
    small.memory_bytes = 300 * MIB;
    start(&small);
    make_plan();
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_ERR_HARDWARE);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, "needs 305.0 MiB and the GPU has 300.0 MiB");
    ES_EXPECT_EQ(fake_cuda_allocation_count(), 0);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("whichever call fails in a reservation, nothing leaks and it is said") {
    for (uint32_t index = 1;; index++) {
        start(index % 2 == 0 ? &fake_cuda_discrete : &fake_cuda_integrated);
        make_plan();
        fake_cuda_fail(index, cudaErrorInvalidValue);
        enum es_status status = es_arena_reserve_with(&arena, &plan, &provider, &error);
        if (fake_cuda_failed_call()[0] == '\0') {
            ES_EXPECT_EQ(status, ES_OK);
            es_arena_release(&arena);
            es_cuda_close(&cuda);
            es_test_note("%u calls", index - 1);
            break;
        }
        ES_EXPECT_EQ(status, ES_ERR_HARDWARE);
        ES_EXPECT_CONTAINS(error.text, "CUDA: ");
        es_cuda_close(&cuda);
        ES_EXPECT_EQ(fake_cuda_open_count(), 0);
        fake_cuda_fail(0, cudaSuccess);
    }
}

ES_TEST("a device that dies while memory is taken is left alone") {
    start(&fake_cuda_discrete);
    make_plan();
    fake_cuda_fail(4, cudaErrorUnknown);
    ES_EXPECT_EQ(es_arena_reserve_with(&arena, &plan, &provider, &error), ES_ERR_HARDWARE);
    es_arena_release(&arena);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_calls_when_lost(), 0);
    (void)fake_cuda_start(NULL); /* frees what the dead device kept */
}
