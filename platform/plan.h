/* plan.h - the memory plan: every region that the process will hold, with its kind and bytes.
 *
 *   struct es_plan plan;
 *   es_plan_init(&plan);
 *   region = es_plan_add(&plan, ES_MEM_HOST, "mel history", bytes);   in each module's layout()
 *   es_plan_total_bytes(&plan, ES_MEM_HOST);
 *
 * A module's `layout` function is the only place that knows a size: it adds regions and keeps the
 * numbers that es_plan_add returned; its `init` function binds pointers with es_arena_region
 * (arena.h). A plan is plain data: no allocation, no failure below its bounds. Not thread-safe. */
#pragma once

#include "platform/bounds.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum es_mem_kind {
    ES_MEM_HOST,    /* CPU only, locked where the limit allows */
    ES_MEM_DEVICE,  /* GPU only */
    ES_MEM_SHARED,  /* pinned, both see it: small input and output blocks */
    ES_MEM_UNIFIED, /* managed; after the freeze the CPU never touches it */
    ES_MEM_KIND_COUNT
};

struct es_plan_region {
    char name[ES_REGION_NAME_BYTES]; /* "decoder kv ring", unique within a plan */
    enum es_mem_kind kind;
    size_t offset_bytes; /* within its kind, a multiple of ES_REGION_ALIGN_BYTES */
    size_t bytes;        /* as asked for */
};

struct es_plan {
    struct es_plan_region regions[ES_REGION_COUNT_MAX];
    uint32_t region_count;
    size_t kind_bytes[ES_MEM_KIND_COUNT]; /* end of the last region of each kind, aligned up */
};

void es_plan_init(struct es_plan *plan);

/* Adds a region of `bytes` (> 0) and returns its index. The name is copied. Sizes come from
 * checked dimensions (bounds.h), so an overflow or a full table is a programmer error: asserts. */
uint32_t es_plan_add(struct es_plan *plan, enum es_mem_kind kind, const char *name, size_t bytes);

/* What es_arena_reserve will ask the system for, page rounding included, in bytes. */
size_t es_plan_total_bytes(const struct es_plan *plan, enum es_mem_kind kind);

/* "host", "device", "shared", "unified". Static storage. */
const char *es_mem_kind_name(enum es_mem_kind kind);

#ifdef __cplusplus
}
#endif
