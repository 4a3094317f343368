/* plan.h - the memory plan: every region that the process will hold, with its kind and bytes.
 *
 *   struct es_plan plan;
 *   es_plan_init(&plan);
 *   region = es_plan_add(&plan, ES_MEM_HOST, "mel history", bytes);   in each module's layout()
 *   es_plan_total_bytes(&plan, ES_MEM_HOST);
 *
 * A module's `layout` function is the only place that knows a size: it adds regions and keeps the
 * numbers that es_plan_add returned; its `init` function binds pointers with es_arena_region
 * (arena.h). A plan is plain data: no allocation, no failure below its bounds. Not thread-safe.
 *
 * The host kind is one block. The kinds of a GPU lie in chunks of at most ES_CHUNK_BYTES_MAX, each
 * exactly as large as the regions that it holds, in whole pages; no region straddles two. */
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
    uint32_t chunk;      /* index of the chunk that it lies in */
    size_t offset_bytes; /* within its chunk: a multiple of ES_REGION_ALIGN_BYTES on the host, of
                          * ES_GPU_REGION_ALIGN_BYTES elsewhere */
    size_t bytes;        /* as asked for */
};

/* One block that es_arena_reserve asks the system for. */
struct es_plan_chunk {
    enum es_mem_kind kind;
    size_t bytes; /* end of its last region, aligned up; es_plan_chunk_bytes is what is asked for */
};

struct es_plan {
    struct es_plan_region regions[ES_REGION_COUNT_MAX];
    uint32_t region_count;
    struct es_plan_chunk chunks[ES_REGION_COUNT_MAX]; /* no chunk is without a region */
    uint32_t chunk_count;
};

void es_plan_init(struct es_plan *plan);

/* Adds a region of `bytes` (> 0; at most ES_CHUNK_BYTES_MAX in a GPU's kind) and returns its index.
 * The name is copied. Sizes come from checked dimensions (bounds.h), so an overflow or a full table
 * is a programmer error: asserts. A module whose tables may be larger than a chunk splits them. */
uint32_t es_plan_add(struct es_plan *plan, enum es_mem_kind kind, const char *name, size_t bytes);

/* What es_arena_reserve will ask the system for, for one chunk, in whole pages. */
size_t es_plan_chunk_bytes(const struct es_plan *plan, uint32_t chunk);

/* The same for all chunks of a kind. */
size_t es_plan_total_bytes(const struct es_plan *plan, enum es_mem_kind kind);

/* "host", "device", "shared", "unified". Static storage. */
const char *es_mem_kind_name(enum es_mem_kind kind);

#ifdef __cplusplus
}
#endif
