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

/* The chunk that a region of `bytes` goes into: the last one of its kind, or a new one where that
 * is full. Earlier ones are not looked at again: chunks are as small as what they hold, so that
 * nothing is lost by it, and a kind's regions lie in the order in which they were added. */
static uint32_t find_chunk(struct es_plan *plan, enum es_mem_kind kind, size_t bytes) {
    size_t bytes_max = kind == ES_MEM_HOST ? SIZE_MAX : ES_CHUNK_BYTES_MAX;
    ES_ASSERT(bytes <= bytes_max);
    for (uint32_t i = plan->chunk_count; i > 0; i--) {
        if (plan->chunks[i - 1].kind == kind) {
            size_t used_bytes = plan->chunks[i - 1].bytes;
            if (kind == ES_MEM_HOST || bytes <= bytes_max - used_bytes) {
                return i - 1;
            }
            break;
        }
    }
    ES_ASSERT(plan->chunk_count < ES_REGION_COUNT_MAX);
    plan->chunks[plan->chunk_count] = (struct es_plan_chunk){.kind = kind};
    return plan->chunk_count++;
}

uint32_t es_plan_add(struct es_plan *plan, enum es_mem_kind kind, const char *name, size_t bytes) {
    ES_ASSERT((unsigned)kind < ES_MEM_KIND_COUNT);
    ES_ASSERT(plan->region_count < ES_REGION_COUNT_MAX);
    ES_ASSERT(bytes > 0);
    ES_ASSERT(strlen(name) < ES_REGION_NAME_BYTES);
    for (uint32_t i = 0; i < plan->region_count; i++) {
        ES_ASSERT(strcmp(plan->regions[i].name, name) != 0);
    }
    uint32_t chunk = find_chunk(plan, kind, bytes);
    size_t offset_bytes = plan->chunks[chunk].bytes;
    ES_ASSERT(bytes <= SIZE_MAX - offset_bytes);
    plan->chunks[chunk].bytes =
        round_up(offset_bytes + bytes,
                 kind == ES_MEM_HOST ? ES_REGION_ALIGN_BYTES : ES_GPU_REGION_ALIGN_BYTES);

    struct es_plan_region *region = &plan->regions[plan->region_count];
    memcpy(region->name, name, strlen(name) + 1);
    region->kind = kind;
    region->chunk = chunk;
    region->offset_bytes = offset_bytes;
    region->bytes = bytes;
    return plan->region_count++;
}

size_t es_plan_chunk_bytes(const struct es_plan *plan, uint32_t chunk) {
    ES_ASSERT(chunk < plan->chunk_count);
    return round_up(plan->chunks[chunk].bytes, ES_PAGE_BYTES);
}

size_t es_plan_total_bytes(const struct es_plan *plan, enum es_mem_kind kind) {
    ES_ASSERT((unsigned)kind < ES_MEM_KIND_COUNT);
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan->chunk_count; i++) {
        bytes += plan->chunks[i].kind == kind ? es_plan_chunk_bytes(plan, i) : 0;
    }
    return bytes;
}

const char *es_mem_kind_name(enum es_mem_kind kind) {
    static const char *const names[ES_MEM_KIND_COUNT] = {"host", "device", "shared", "unified"};
    ES_ASSERT((unsigned)kind < ES_MEM_KIND_COUNT);
    return names[kind];
}
