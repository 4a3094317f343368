/* arena.h - the memory that a plan described, reserved once at boot.
 *
 *   status = es_arena_reserve(&arena, &plan, &error);  ES_ERR_HARDWARE when the system refuses
 *   float *x = es_arena_region(&arena, region);        zeroed, aligned to 64 bytes
 *   if (!es_arena_lock(&arena)) { warn once; }         mlock; RLIMIT_MEMLOCK may refuse
 *   es_freeze();                                       from here on nobody allocates
 *   es_arena_release(&arena);
 *
 * The sum of the plan is the bound: an arena cannot be full. Only the host kind is reserved here.
 * Main thread only, until the freeze; the memory itself then belongs to the modules that bound
 * it. */
#pragma once

#include "platform/memory.h"
#include "platform/plan.h"
#include "platform/status.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct es_arena {
    const struct es_plan *plan; /* borrowed: must outlive the arena */
    void *base[ES_MEM_KIND_COUNT];
    size_t reserved_bytes[ES_MEM_KIND_COUNT]; /* equals es_plan_total_bytes, to the byte */
};

/* Reserves the host kind with one anonymous mapping (populated: a page fault after the freeze would
 * be an allocation by another name) and leaves the other kinds unbound. Compares with the memory
 * that the machine has available first, and refuses with both numbers. */
ES_MUST_CHECK enum es_status es_arena_reserve(struct es_arena *arena, const struct es_plan *plan,
                                              struct es_error *error);

/* Start of a region, or NULL when its kind was not reserved. Aligned to ES_REGION_ALIGN_BYTES. */
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
