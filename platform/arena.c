#include "platform/arena.h"

#include "platform/assert.h"
#include "platform/bounds.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
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

static const double mib = 1024.0 * 1024.0;

static enum es_status compare(const char *who, size_t needed_bytes, size_t available_bytes,
                              struct es_error *error) {
    if (available_bytes == 0 || available_bytes >= needed_bytes) { /* 0: nobody knows */
        return ES_OK;
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "memory: the plan needs %.1f MiB and the %s has %.1f MiB available; "
                   "stop other programs or use a smaller model (`earshot plan` lists what "
                   "needs it)",
                   (double)needed_bytes / mib, who, (double)available_bytes / mib);
}

/* The bytes that the provider counts in its `available`. */
static size_t counted_bytes(const struct es_arena *arena) {
    return es_plan_total_bytes(arena->plan, ES_MEM_DEVICE) +
           es_plan_total_bytes(arena->plan, ES_MEM_UNIFIED) +
           (arena->provider.shares_host_memory ? es_plan_total_bytes(arena->plan, ES_MEM_SHARED)
                                               : 0);
}

static bool has_provider(const struct es_arena *arena) {
    return arena->provider.give_back != NULL;
}

/* Refuses with numbers before anything is taken. */
static enum es_status compare_all(const struct es_arena *arena, struct es_error *error) {
    size_t machine_bytes = es_plan_total_bytes(arena->plan, ES_MEM_HOST);
    if (has_provider(arena)) {
        machine_bytes += arena->provider.shares_host_memory
                             ? counted_bytes(arena)
                             : es_plan_total_bytes(arena->plan, ES_MEM_SHARED);
    }
    enum es_status status = ES_OK;
    if (machine_bytes > 0) {
        status = compare("machine", machine_bytes, es_memory_available_bytes(), error);
    }
    if (status != ES_OK || !has_provider(arena) || counted_bytes(arena) == 0) {
        return status;
    }
    size_t available_bytes = 0;
    status = arena->provider.available(arena->provider.context, &available_bytes, error);
    return status == ES_OK ? compare("GPU", counted_bytes(arena), available_bytes, error) : status;
}

static enum es_status reserve_host(struct es_arena *arena, struct es_error *error) {
    size_t bytes = es_plan_total_bytes(arena->plan, ES_MEM_HOST);
    if (bytes == 0) {
        return ES_OK;
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
                       (double)bytes / mib, (double)es_memory_available_bytes() / mib,
                       strerror(cause));
    }
    arena->base[ES_MEM_HOST] = start;
    arena->reserved_bytes[ES_MEM_HOST] = bytes;
    return ES_OK;
}

/* Says which chunk it was, and for what, behind the provider's own words. */
static enum es_status fail_chunk(const struct es_plan *plan, uint32_t chunk, enum es_status status,
                                 const struct es_error *cause, struct es_error *error) {
    const char *first = NULL;
    uint32_t region_count = 0;
    for (uint32_t i = 0; i < plan->region_count; i++) {
        if (plan->regions[i].chunk == chunk) {
            first = region_count == 0 ? plan->regions[i].name : first;
            region_count++;
        }
    }
    char others[32] = "";
    if (region_count > 1) {
        (void)snprintf(others, sizeof others, " and %u more", region_count - 1);
    }
    return es_fail(error, status, "memory chunk %u of %u (%s%s): %s", chunk + 1, plan->chunk_count,
                   first, others, cause->text);
}

static enum es_status reserve_chunks(struct es_arena *arena, struct es_error *error) {
    const struct es_plan *plan = arena->plan;
    const struct es_memory_provider *provider = &arena->provider;
    if (counted_bytes(arena) + es_plan_total_bytes(plan, ES_MEM_SHARED) == 0) {
        return ES_OK;
    }
    enum es_status status =
        provider->available(provider->context, &arena->available_before_bytes, error);
    for (uint32_t i = 0; status == ES_OK && i < plan->chunk_count; i++) {
        enum es_mem_kind kind = plan->chunks[i].kind;
        if (kind == ES_MEM_HOST) {
            continue;
        }
        size_t bytes = es_plan_chunk_bytes(plan, i);
        struct es_error cause;
        void *memory = NULL;
        status = provider->take(provider->context, kind, bytes, &memory, &cause);
        if (status != ES_OK) {
            return fail_chunk(plan, i, status, &cause, error);
        }
        arena->chunks[i] = (struct es_arena_chunk){memory, bytes};
        arena->reserved_bytes[kind] += bytes;
    }
    if (status == ES_OK) {
        status = provider->settle(provider->context, error);
    }
    if (status == ES_OK) {
        status = provider->available(provider->context, &arena->available_after_bytes, error);
    }
    return status;
}

enum es_status es_arena_reserve_with(struct es_arena *arena, const struct es_plan *plan,
                                     const struct es_memory_provider *provider,
                                     struct es_error *error) {
    memset(arena, 0, sizeof *arena);
    arena->plan = plan;
    if (provider != NULL) {
        arena->provider = *provider;
    }
    enum es_status status = compare_all(arena, error);
    if (status == ES_OK) {
        status = reserve_host(arena, error);
    }
    if (status == ES_OK && has_provider(arena)) {
        status = reserve_chunks(arena, error);
    }
    if (status != ES_OK) {
        es_arena_release(arena);
    }
    return status;
}

enum es_status es_arena_reserve(struct es_arena *arena, const struct es_plan *plan,
                                struct es_error *error) {
    return es_arena_reserve_with(arena, plan, NULL, error);
}

void es_arena_report(const struct es_arena *arena, struct es_arena_report *report) {
    memset(report, 0, sizeof *report);
    if (!has_provider(arena)) {
        return;
    }
    for (uint32_t i = 0; i < arena->plan->chunk_count; i++) {
        report->chunk_count += arena->chunks[i].memory != NULL ? 1 : 0;
    }
    report->asked_bytes = counted_bytes(arena);
    report->drop_bytes =
        (int64_t)arena->available_before_bytes - (int64_t)arena->available_after_bytes;
}

void *es_arena_region(const struct es_arena *arena, uint32_t region) {
    ES_ASSERT(region < arena->plan->region_count);
    const struct es_plan_region *found = &arena->plan->regions[region];
    if (found->kind != ES_MEM_HOST) {
        const struct es_arena_chunk *chunk = &arena->chunks[found->chunk];
        if (arena->reserved_bytes[found->kind] == 0) {
            return NULL;
        }
        ES_ASSERT(found->offset_bytes + found->bytes <= chunk->bytes);
        return (uint8_t *)chunk->memory + found->offset_bytes;
    }
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
    for (uint32_t i = ES_REGION_COUNT_MAX; has_provider(arena) && i > 0; i--) {
        if (arena->chunks[i - 1].memory != NULL) {
            arena->provider.give_back(arena->provider.context, arena->plan->chunks[i - 1].kind,
                                      arena->chunks[i - 1].memory);
        }
    }
    if (arena->base[ES_MEM_HOST] != NULL) {
        (void)munmap(arena->base[ES_MEM_HOST], arena->reserved_bytes[ES_MEM_HOST]);
    }
    memset(arena, 0, sizeof *arena);
}
