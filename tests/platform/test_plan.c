#include "platform/plan.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>

static struct es_plan plan;

ES_TEST("an empty plan asks for nothing") {
    es_plan_init(&plan);
    for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
        ES_EXPECT_EQ(es_plan_total_bytes(&plan, (enum es_mem_kind)kind), 0);
    }
}

ES_TEST("regions are aligned, in order, and do not overlap") {
    static const size_t sizes[] = {1, 63, 64, 65, 4096, 100000, 1};
    es_plan_init(&plan);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "region %zu", i);
        ES_EXPECT_EQ(es_plan_add(&plan, ES_MEM_HOST, name, sizes[i]), i);
    }
    size_t end_bytes = 0;
    for (uint32_t i = 0; i < plan.region_count; i++) {
        ES_EXPECT_EQ(plan.regions[i].bytes, sizes[i]);
        ES_EXPECT_EQ(plan.regions[i].offset_bytes % ES_REGION_ALIGN_BYTES, 0);
        ES_EXPECT(plan.regions[i].offset_bytes >= end_bytes);
        ES_EXPECT(plan.regions[i].offset_bytes < end_bytes + ES_REGION_ALIGN_BYTES);
        end_bytes = plan.regions[i].offset_bytes + sizes[i];
    }
    /* 64 + 64 + 64 + 128 + 4096 + 100032 + 64, in whole pages */
    ES_EXPECT_EQ(plan.chunks[0].bytes, 104512);
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_HOST), 106496);
}

ES_TEST("kinds are counted apart") {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "a", 4096);
    es_plan_add(&plan, ES_MEM_DEVICE, "b", 4097);
    ES_EXPECT_EQ(plan.regions[1].offset_bytes, 0);
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_HOST), 4096);
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_DEVICE), 8192);
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_SHARED), 0);
    ES_EXPECT_TEXT(es_mem_kind_name(ES_MEM_HOST), "host");
    ES_EXPECT_TEXT(es_mem_kind_name(ES_MEM_DEVICE), "device");
    ES_EXPECT_TEXT(es_mem_kind_name(ES_MEM_SHARED), "shared");
    ES_EXPECT_TEXT(es_mem_kind_name(ES_MEM_UNIFIED), "unified");
}

ES_TEST("a name is copied") {
    char name[] = "mel history";
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, name, 1);
    name[0] = 'x';
    ES_EXPECT_TEXT(plan.regions[0].name, "mel history");
}

static void add_empty(void) {
    es_plan_add(&plan, ES_MEM_HOST, "a", 0);
}

static void add_same_name(void) {
    es_plan_add(&plan, ES_MEM_HOST, "a", 1);
    es_plan_add(&plan, ES_MEM_DEVICE, "a", 1);
}

static void add_too_large(void) {
    es_plan_add(&plan, ES_MEM_HOST, "a", SIZE_MAX);
}

static void add_overflowing_sum(void) {
    es_plan_add(&plan, ES_MEM_HOST, "a", SIZE_MAX / 2);
    es_plan_add(&plan, ES_MEM_HOST, "b", SIZE_MAX / 2);
    es_plan_add(&plan, ES_MEM_HOST, "c", SIZE_MAX / 2);
}

static void add_too_many(void) {
    for (uint32_t i = 0; i <= ES_REGION_COUNT_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "region %u", i);
        es_plan_add(&plan, ES_MEM_HOST, name, 1);
    }
}

static void add_long_name(void) {
    es_plan_add(&plan, ES_MEM_HOST, "a name that does not fit in forty bytes!", 1);
}

static void add_larger_than_a_chunk(void) {
    es_plan_add(&plan, ES_MEM_DEVICE, "a", ES_CHUNK_BYTES_MAX + 1u);
}

ES_TEST("mistakes of a layout function are faults") {
    static void (*const mistakes[])(void) = {
        add_empty,    add_same_name, add_too_large,          add_overflowing_sum,
        add_too_many, add_long_name, add_larger_than_a_chunk};
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        es_plan_init(&plan);
        struct child_result result = child_run(mistakes[i]);
        es_test_note("%.*s", (int)strcspn(result.text, "\n"), result.text);
        ES_EXPECT(WIFSIGNALED(result.wait_status));
        ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
        ES_EXPECT_CONTAINS(result.text, "plan.c:");
    }
}

ES_TEST("a GPU's regions lie in chunks of at most 256 MiB, and none straddles two") {
    static const size_t sizes[] = {
        200u << 20, 56u << 20, 1, ES_CHUNK_BYTES_MAX, 1, ES_CHUNK_BYTES_MAX - 256, 256, 300};
    static const uint32_t chunks[] = {0, 0, 1, 2, 3, 3, 4, 4};
    es_plan_init(&plan);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "region %zu", i);
        es_plan_add(&plan, ES_MEM_DEVICE, name, sizes[i]);
    }
    size_t asked_bytes = 0;
    for (uint32_t i = 0; i < plan.region_count; i++) {
        const struct es_plan_region *region = &plan.regions[i];
        ES_EXPECT_EQ(region->chunk, chunks[i]);
        ES_EXPECT_EQ(region->offset_bytes % ES_GPU_REGION_ALIGN_BYTES, 0);
        ES_EXPECT(region->offset_bytes + region->bytes <= plan.chunks[region->chunk].bytes);
        asked_bytes += region->bytes;
    }
    ES_EXPECT_EQ(plan.chunk_count, 5);
    size_t chunk_bytes = 0;
    for (uint32_t i = 0; i < plan.chunk_count; i++) {
        ES_EXPECT(es_plan_chunk_bytes(&plan, i) <= ES_CHUNK_BYTES_MAX);
        chunk_bytes += es_plan_chunk_bytes(&plan, i);
    }
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_DEVICE), chunk_bytes);
    ES_EXPECT(chunk_bytes - asked_bytes < plan.chunk_count * 2 * ES_PAGE_BYTES);
}

ES_TEST("chunks of several kinds are filled side by side") {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_DEVICE, "a", 1000);
    es_plan_add(&plan, ES_MEM_UNIFIED, "b", 1000);
    es_plan_add(&plan, ES_MEM_DEVICE, "c", 1000);
    es_plan_add(&plan, ES_MEM_UNIFIED, "d", 1000);
    ES_EXPECT_EQ(plan.chunk_count, 2);
    ES_EXPECT_EQ(plan.regions[2].chunk, 0);
    ES_EXPECT_EQ(plan.regions[2].offset_bytes, 1024);
    ES_EXPECT_EQ(plan.regions[3].chunk, 1);
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_UNIFIED), 4096);
}

ES_TEST("the host is one block, however large") {
    es_plan_init(&plan);
    es_plan_add(&plan, ES_MEM_HOST, "a", (size_t)3 << 30);
    es_plan_add(&plan, ES_MEM_DEVICE, "b", 1);
    es_plan_add(&plan, ES_MEM_HOST, "c", (size_t)3 << 30);
    ES_EXPECT_EQ(plan.chunk_count, 2);
    ES_EXPECT_EQ(plan.regions[2].chunk, 0);
    ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_HOST), (size_t)6 << 30);
}
