#include "platform/assert.h"
#include "platform/jetson/cuda_check.h"
#include "platform/memory.h"

#include <string.h>

static const double mib = 1024.0 * 1024.0;

static enum es_status fail_full(struct es_cuda *cuda, enum es_mem_kind kind, size_t bytes,
                                struct es_error *error) {
    size_t available_bytes = 0;
    struct es_error ignored;
    if (es_cuda_memory_available(cuda, &available_bytes, &ignored) != ES_OK) {
        available_bytes = 0;
    }
    return es_fail(error, ES_ERR_HARDWARE,
                   "CUDA: out of memory: asked for %.1f MiB of %s memory, %.1f MiB are free; stop "
                   "other programs, or use a smaller model or kv_window (`earshot plan` lists "
                   "what needs memory)",
                   (double)bytes / mib, es_mem_kind_name(kind), (double)available_bytes / mib);
}

/* Pinned and mapped. Unified addressing gives both sides the same address; nothing here would work
 * without it. */
static cudaError_t take_shared(struct es_cuda *cuda, size_t bytes, void **memory) {
    cudaError_t result = cuda->calls->host_alloc(memory, bytes, cudaHostAllocMapped);
    if (result != cudaSuccess) {
        return result;
    }
    void *seen_by_device = NULL;
    result = cuda->calls->host_get_device_pointer(&seen_by_device, *memory, 0);
    if (result == cudaSuccess && seen_by_device != *memory) {
        result = cudaErrorNotSupported;
    }
    if (result != cudaSuccess) {
        es_cuda_note(cuda, result);
        ES_CUDA_DROP(cuda, host_free(*memory));
    }
    return result;
}

/* Where CPU and GPU cannot both touch managed memory, it belongs to the stream from here on:
 * kernels of no other stream wait for it, and the CPU keeps away. */
static cudaError_t take_unified(struct es_cuda *cuda, size_t bytes, void **memory) {
    cudaError_t result = cuda->calls->managed_alloc(memory, bytes, cudaMemAttachGlobal);
    if (result != cudaSuccess || cuda->has_concurrent_access) {
        return result;
    }
    result = cuda->calls->stream_attach_mem_async(cuda->stream, *memory, 0, cudaMemAttachSingle);
    if (result != cudaSuccess) {
        es_cuda_note(cuda, result);
        ES_CUDA_DROP(cuda, device_free(*memory));
    }
    return result;
}

enum es_status es_cuda_memory_take(struct es_cuda *cuda, enum es_mem_kind kind, size_t bytes,
                                   void **memory, struct es_error *error) {
    ES_ASSERT(bytes > 0);
    ES_ASSERT(kind == ES_MEM_DEVICE || kind == ES_MEM_SHARED || kind == ES_MEM_UNIFIED);
    *memory = NULL;
    if (cuda->is_lost) {
        return es_cuda_refuse(error, "taking %zu bytes of %s memory", bytes,
                              es_mem_kind_name(kind));
    }
    if (kind == ES_MEM_UNIFIED && !cuda->has_unified_memory) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: %s has no managed memory for %zu bytes; set kv_memory to device",
                       cuda->name, bytes);
    }
    void *taken = NULL;
    cudaError_t result = kind == ES_MEM_DEVICE   ? cuda->calls->device_alloc(&taken, bytes)
                         : kind == ES_MEM_SHARED ? take_shared(cuda, bytes, &taken)
                                                 : take_unified(cuda, bytes, &taken);
    if (result == cudaErrorMemoryAllocation) {
        es_cuda_note(cuda, result);
        return fail_full(cuda, kind, bytes, error);
    }
    *memory = result == cudaSuccess ? taken : NULL;
    return es_cuda_check(cuda, error, result, "taking %zu bytes of %s memory", bytes,
                         es_mem_kind_name(kind));
}

void es_cuda_memory_give_back(struct es_cuda *cuda, enum es_mem_kind kind, void *memory) {
    if (memory == NULL) {
        return;
    }
    if (kind == ES_MEM_SHARED) {
        ES_CUDA_DROP(cuda, host_free(memory));
    } else {
        ES_CUDA_DROP(cuda, device_free(memory));
    }
}

enum es_status es_cuda_memory_available(struct es_cuda *cuda, size_t *bytes,
                                        struct es_error *error) {
    *bytes = 0;
    if (cuda->is_integrated) {
        /* cudaMemGetInfo says MemFree there, which a page cache full of the checkpoint empties. */
        *bytes = es_memory_available_bytes();
        if (*bytes > 0) {
            return ES_OK;
        }
    }
    size_t total_bytes = 0;
    return ES_CUDA_TRY(cuda, error, mem_get_info(bytes, &total_bytes), "free memory");
}

/* From what was available when the device was open to what is available now, the arena's own part
 * taken out: before the arena took its chunks, and since it has. */
enum es_status es_cuda_measure_overhead(struct es_cuda *cuda, const struct es_arena *arena,
                                        struct es_cuda_overhead *overhead, struct es_error *error) {
    *overhead = (struct es_cuda_overhead){.context_bytes = (int64_t)cuda->context_bytes};
    size_t now_bytes = 0;
    enum es_status status = es_cuda_memory_available(cuda, &now_bytes, error);
    if (status != ES_OK) {
        return status;
    }
    overhead->later_bytes = (int64_t)arena->available_after_bytes - (int64_t)now_bytes;
    if (!cuda->is_integrated) { /* there the host's block lies between the two */
        overhead->later_bytes += (int64_t)(cuda->memory_bytes - cuda->context_bytes) -
                                 (int64_t)arena->available_before_bytes;
    }
    return ES_OK;
}

/* -- the arena's provider ---------------------------------------------------------------------- */

static enum es_status take_zeroed(void *context, enum es_mem_kind kind, size_t bytes, void **memory,
                                  struct es_error *error) {
    struct es_cuda *cuda = context;
    enum es_status status = es_cuda_memory_take(cuda, kind, bytes, memory, error);
    ES_ASSERT(status != ES_OK || *memory != NULL);
    if (status == ES_OK && kind == ES_MEM_SHARED) {
        memset(*memory, 0, bytes); /* pinned memory is the CPU's as much as the GPU's */
    } else if (status == ES_OK) {
        status = es_cuda_fill(cuda, *memory, 0, bytes, error);
    }
    if (status != ES_OK) {
        es_cuda_memory_give_back(cuda, kind, *memory);
        *memory = NULL;
    }
    return status;
}

static enum es_status settle(void *context, struct es_error *error) {
    return es_cuda_wait(context, error);
}

static void give_back(void *context, enum es_mem_kind kind, void *memory) {
    es_cuda_memory_give_back(context, kind, memory);
}

static enum es_status available(void *context, size_t *bytes, struct es_error *error) {
    return es_cuda_memory_available(context, bytes, error);
}

void es_cuda_provider(struct es_cuda *cuda, struct es_memory_provider *provider) {
    *provider = (struct es_memory_provider){
        .context = cuda,
        .shares_host_memory = cuda->is_integrated,
        .take = take_zeroed,
        .settle = settle,
        .give_back = give_back,
        .available = available,
    };
}
