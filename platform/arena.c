#include "platform/arena.h"

#include "platform/assert.h"
#include "platform/bounds.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static atomic_bool frozen;

void es_freeze(void) {
    atomic_store_explicit(&frozen, true, memory_order_release);
}

bool es_is_frozen(void) {
    return atomic_load_explicit(&frozen, memory_order_acquire);
}

/* A mapping of exactly `bytes` whose start is a huge page's, so that every whole huge page in it
 * can be one: address space is taken generously and its edges given back. */
static void *map_aligned(size_t bytes) {
    size_t slack_bytes = bytes >= ES_HUGE_PAGE_BYTES ? ES_HUGE_PAGE_BYTES : 0;
    if (bytes > SIZE_MAX - slack_bytes) {
        return NULL;
    }
    uint8_t *start = mmap(NULL, bytes + slack_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    if (slack_bytes > 0) {
        size_t head_bytes = (0 - (uintptr_t)start) & (ES_HUGE_PAGE_BYTES - 1);
        if (head_bytes > 0) {
            (void)munmap(start, head_bytes);
        }
        start += head_bytes;
        if (head_bytes < slack_bytes) {
            (void)munmap(start + bytes, slack_bytes - head_bytes);
        }
        /* Weights are streamed: with 4 KiB pages every page of them would cost a TLB miss. A kernel
         * without huge pages refuses, and works without. */
        (void)madvise(start, bytes, MADV_HUGEPAGE);
    }
    return start;
}

/* Gives every page its memory now, after the advice on huge pages (MAP_POPULATE would come before
 * it). Returns false when the kernel has not got the memory. */
static bool populate(uint8_t *start, size_t bytes) {
#ifdef MADV_POPULATE_WRITE
    if (madvise(start, bytes, MADV_POPULATE_WRITE) == 0) {
        return true;
    }
    if (errno != EINVAL) {
        return false;
    }
#endif
    for (size_t offset = 0; offset < bytes; offset += ES_PAGE_BYTES) {
        ((volatile uint8_t *)start)[offset] = 0;
    }
    return true;
}

enum es_status es_arena_reserve(struct es_arena *arena, const struct es_plan *plan,
                                struct es_error *error) {
    const double mib = 1024.0 * 1024.0;
    memset(arena, 0, sizeof *arena);
    arena->plan = plan;
    size_t bytes = es_plan_total_bytes(plan, ES_MEM_HOST);
    if (bytes == 0) {
        return ES_OK;
    }
    size_t available_bytes = es_memory_available_bytes();
    if (available_bytes > 0 && available_bytes < bytes) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "memory: the plan needs %.1f MiB and the machine has %.1f MiB available; "
                       "stop other programs or use a smaller model (`earshot plan` lists what "
                       "needs it)",
                       (double)bytes / mib, (double)available_bytes / mib);
    }
    uint8_t *start = map_aligned(bytes);
    if (start == NULL || !populate(start, bytes)) {
        int cause = errno;
        if (start != NULL) {
            (void)munmap(start, bytes);
        }
        return es_fail(error, ES_ERR_HARDWARE,
                       "memory: the kernel refused %.1f MiB with %.1f MiB available (%s); stop "
                       "other programs or raise the process's limit (ulimit -v)",
                       (double)bytes / mib, (double)available_bytes / mib, strerror(cause));
    }
    arena->base[ES_MEM_HOST] = start;
    arena->reserved_bytes[ES_MEM_HOST] = bytes;
    return ES_OK;
}

void *es_arena_region(const struct es_arena *arena, uint32_t region) {
    ES_ASSERT(region < arena->plan->region_count);
    const struct es_plan_region *found = &arena->plan->regions[region];
    if (arena->base[found->kind] == NULL) {
        return NULL;
    }
    /* A region added after es_arena_reserve would lie outside of what was reserved. */
    ES_ASSERT(found->offset_bytes + found->bytes <= arena->reserved_bytes[found->kind]);
    return (uint8_t *)arena->base[found->kind] + found->offset_bytes;
}

bool es_arena_lock(struct es_arena *arena) {
    return arena->base[ES_MEM_HOST] == NULL ||
           mlock(arena->base[ES_MEM_HOST], arena->reserved_bytes[ES_MEM_HOST]) == 0;
}

void es_arena_release(struct es_arena *arena) {
    if (arena->base[ES_MEM_HOST] != NULL) {
        (void)munmap(arena->base[ES_MEM_HOST], arena->reserved_bytes[ES_MEM_HOST]);
    }
    memset(arena, 0, sizeof *arena);
}
