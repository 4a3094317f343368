/* arena.h - the memory that a plan described, reserved once at boot.
 *
 *   status = es_arena_reserve(&arena, &plan, &error);  ES_ERR_HARDWARE when the system refuses
 *   float *x = es_arena_region(&arena, region);        zeroed, aligned to 64 bytes
 *   if (!es_arena_lock(&arena)) { warn once; }         mlock; RLIMIT_MEMLOCK may refuse
 *   es_freeze();                                       from here on nobody allocates
 *   es_arena_release(&arena);
 *
 * The sum of the plan is the bound: an arena cannot be full. The kinds of a GPU come, chunk by
 * chunk, from a provider (platform/jetson/cuda.h fills one); es_arena_reserve without one leaves
 * them unbound. Main thread only, until the freeze; the memory itself then belongs to the modules
 * that bound it. */
#pragma once

#include "platform/memory.h"
#include "platform/plan.h"
#include "platform/status.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the memory of a GPU comes from. Every function may fail with ES_ERR_HARDWARE and a line. */
struct es_memory_provider {
    void *context;
    bool shares_host_memory; /* an integrated GPU: all kinds come out of the machine's memory */
    /* One block of kind device, shared or unified; being zeroed, and zero when settle returned. */
    enum es_status (*take)(void *context, enum es_mem_kind kind, size_t bytes, void **memory,
                           struct es_error *error);
    enum es_status (*settle)(void *context, struct es_error *error);
    void (*give_back)(void *context, enum es_mem_kind kind, void *memory);
    /* What is left for device memory: of the GPU, or of the machine where they share. */
    enum es_status (*available)(void *context, size_t *bytes, struct es_error *error);
};

struct es_arena_chunk {
    void *memory;
    size_t bytes;
};

struct es_arena {
    const struct es_plan *plan;               /* borrowed: must outlive the arena */
    void *base[ES_MEM_KIND_COUNT];            /* of the host kind alone, which is one block */
    size_t reserved_bytes[ES_MEM_KIND_COUNT]; /* equals es_plan_total_bytes, to the byte */
    struct es_arena_chunk chunks[ES_REGION_COUNT_MAX]; /* by the plan's numbers; not of the host */
    struct es_memory_provider provider;                /* give_back is NULL without one */
    size_t available_before_bytes; /* as the provider counts, around taking its kinds */
    size_t available_after_bytes;
};

/* What the reservation of a GPU's kinds really took. */
struct es_arena_report {
    uint32_t chunk_count;
    size_t asked_bytes; /* of the kinds that come out of what the provider counts */
    int64_t drop_bytes; /* by how much the available memory fell; negative: others gave back */
};

/* Reserves the host kind with one anonymous mapping (populated: a page fault after the freeze would
 * be an allocation by another name) and leaves the other kinds unbound. Compares with the memory
 * that the machine has available first, and refuses with both numbers. */
ES_MUST_CHECK enum es_status es_arena_reserve(struct es_arena *arena, const struct es_plan *plan,
                                              struct es_error *error);

/* The same for every kind: the host as above, the others from the provider (copied; its context
 * must outlive the arena). The sums are compared with what is available before anything is taken:
 * with the machine's memory for all kinds where the GPU shares it, else for host and shared, and
 * the GPU's own for the rest. A chunk that is refused is named with its regions; everything that
 * was taken before it is given back. */
ES_MUST_CHECK enum es_status es_arena_reserve_with(struct es_arena *arena,
                                                   const struct es_plan *plan,
                                                   const struct es_memory_provider *provider,
                                                   struct es_error *error);

/* After es_arena_reserve_with. All zero without a GPU's kind. */
void es_arena_report(const struct es_arena *arena, struct es_arena_report *report);

/* Start of a region, or NULL when its kind was not reserved. Aligned to ES_REGION_ALIGN_BYTES, or
 * to ES_GPU_REGION_ALIGN_BYTES in a GPU's kind. */
void *es_arena_region(const struct es_arena *arena, uint32_t region);

/* Locks the host kind into RAM. Returns true when all of it is locked; false leaves the process
 * working but pageable, which the caller tells the user once, with the remedy. */
bool es_arena_lock(struct es_arena *arena);

void es_arena_release(struct es_arena *arena);

/* The freeze: a process-wide mark, set once by main after warm-up. Reading it is safe from any
 * thread, and from inside an interposed malloc. */
void es_freeze(void);
bool es_is_frozen(void);

#ifdef __cplusplus
}
#endif
