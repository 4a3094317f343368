#include "platform/plan.h"

#include "platform/assert.h"

#include <string.h>

void es_plan_init(struct es_plan *plan) {
    memset(plan, 0, sizeof *plan);
}

/* Rounds up; an overflow is the caller's unchecked dimension. */
static size_t round_up(size_t bytes, size_t unit) {
    ES_ASSERT(bytes <= SIZE_MAX - (unit - 1));
    return (bytes + unit - 1) / unit * unit;
}

uint32_t es_plan_add(struct es_plan *plan, enum es_mem_kind kind, const char *name, size_t bytes) {
    ES_ASSERT((unsigned)kind < ES_MEM_KIND_COUNT);
    ES_ASSERT(plan->region_count < ES_REGION_COUNT_MAX);
    ES_ASSERT(bytes > 0);
    ES_ASSERT(strlen(name) < ES_REGION_NAME_BYTES);
    for (uint32_t i = 0; i < plan->region_count; i++) {
        ES_ASSERT(strcmp(plan->regions[i].name, name) != 0);
    }
    size_t offset_bytes = plan->kind_bytes[kind];
    ES_ASSERT(bytes <= SIZE_MAX - offset_bytes);
    plan->kind_bytes[kind] = round_up(offset_bytes + bytes, ES_REGION_ALIGN_BYTES);

    struct es_plan_region *region = &plan->regions[plan->region_count];
    memcpy(region->name, name, strlen(name) + 1);
    region->kind = kind;
    region->offset_bytes = offset_bytes;
    region->bytes = bytes;
    return plan->region_count++;
}

size_t es_plan_total_bytes(const struct es_plan *plan, enum es_mem_kind kind) {
    ES_ASSERT((unsigned)kind < ES_MEM_KIND_COUNT);
    return round_up(plan->kind_bytes[kind], ES_PAGE_BYTES);
}

const char *es_mem_kind_name(enum es_mem_kind kind) {
    static const char *const names[ES_MEM_KIND_COUNT] = {"host", "device", "shared", "unified"};
    ES_ASSERT((unsigned)kind < ES_MEM_KIND_COUNT);
    return names[kind];
}
