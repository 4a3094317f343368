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
    ES_EXPECT_EQ(plan.kind_bytes[ES_MEM_HOST], 104512);
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

ES_TEST("mistakes of a layout function are faults") {
    static void (*const mistakes[])(void) = {add_empty,           add_same_name, add_too_large,
                                             add_overflowing_sum, add_too_many,  add_long_name};
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        es_plan_init(&plan);
        struct child_result result = child_run(mistakes[i]);
        es_test_note("%.*s", (int)strcspn(result.text, "\n"), result.text);
        ES_EXPECT(WIFSIGNALED(result.wait_status));
        ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
        ES_EXPECT_CONTAINS(result.text, "plan.c:");
    }
}
