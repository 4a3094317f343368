#include "tests/support/fake_cuda.h"

#include "tests/support/fake_cuda_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fake_cuda_device fake_cuda_discrete = {
    .name = "Fake H200",
    .compute_capability = 90,
    .sm_count = 132,
    .has_managed_memory = true,
    .has_concurrent_access = true,
    .has_green_contexts = true,
    .memory_bytes = (size_t)4 << 30,
    .device_count = 1,
    .driver_version = 13000,
    .runtime_version = 13000,
};
const struct fake_cuda_device fake_cuda_integrated = {
    .name = "Fake Orin",
    .compute_capability = 87,
    .sm_count = 8,
    .is_integrated = true,
    .has_managed_memory = true,
    .memory_bytes = (size_t)4 << 30,
    .single_bytes_max = (size_t)256 << 20,
    .device_count = 1,
    .driver_version = 12060,
    .runtime_version = 12060,
};

struct fake_cuda fake;

/* -- the door that every call comes through ---------------------------------------------------- */

bool fake_enter(const char *call, cudaError_t *result) {
    *result = cudaSuccess;
    if (fake.is_lost) {
        fake.lost_call_count++;
        *result = fake.fail_result;
        return false;
    }
    fake.call_count++;
    if (fake.fail_index != 0 && fake.call_count == fake.fail_index) {
        fake.failed_call = call;
        fake.is_lost = fake.fail_is_sticky;
        *result = fake.fail_result;
        return false;
    }
    return true;
}

void *fake_new_object(void) {
    for (uint32_t i = 0; i < FAKE_OBJECT_COUNT_MAX; i++) {
        if (fake.objects[i] == NULL) {
            fake.objects[i] = calloc(1, sizeof *fake.objects[i]);
            return fake.objects[i];
        }
    }
    fprintf(stderr, "fake CUDA: more than %u objects\n", FAKE_OBJECT_COUNT_MAX);
    abort();
}

void fake_drop_object(const void *object) {
    for (uint32_t i = 0; i < FAKE_OBJECT_COUNT_MAX; i++) {
        if (fake.objects[i] == object && object != NULL) {
            fake_drop_operations(fake.objects[i]);
            free(fake.objects[i]);
            fake.objects[i] = NULL;
            return;
        }
    }
    fprintf(stderr, "fake CUDA: an object is given back that is none\n");
    abort();
}

/* -- memory ------------------------------------------------------------------------------------ */

struct fake_allocation *fake_find(const void *memory) {
    for (uint32_t i = 0; i < FAKE_ALLOCATION_COUNT_MAX; i++) {
        struct fake_allocation *found = &fake.allocations[i];
        if (found->memory != NULL && (const uint8_t *)memory >= found->memory &&
            (const uint8_t *)memory < found->memory + found->bytes) {
            return found;
        }
    }
    return NULL;
}

static void expect_inside(const void *memory, size_t bytes) {
    const struct fake_allocation *found = fake_find(memory);
    if (found == NULL || (const uint8_t *)memory + bytes > found->memory + found->bytes) {
        fprintf(stderr, "fake CUDA: %zu bytes at %p lie in no allocation\n", bytes, memory);
        abort();
    }
}

static size_t used_bytes(void) {
    return fake_cuda_asked_bytes(ES_MEM_DEVICE) + fake_cuda_asked_bytes(ES_MEM_UNIFIED) +
           (fake.device.is_integrated ? fake_cuda_asked_bytes(ES_MEM_SHARED) : 0);
}

static cudaError_t take(enum es_mem_kind kind, void **memory, size_t bytes) {
    const size_t single_bytes_max = fake.device.single_bytes_max;
    fake.allocation_count++;
    if (fake.allocation_count == fake.fail_allocation_index ||
        (single_bytes_max != 0 && bytes > single_bytes_max) ||
        (kind != ES_MEM_SHARED && bytes > fake.device.memory_bytes - used_bytes())) {
        return cudaErrorMemoryAllocation;
    }
    for (uint32_t i = 0; i < FAKE_ALLOCATION_COUNT_MAX; i++) {
        struct fake_allocation *free_one = &fake.allocations[i];
        if (free_one->memory == NULL) {
            void *taken = NULL; /* of these bytes exactly: a sanitizer sees what lies beyond */
            if (posix_memalign(&taken, 4096, bytes) != 0) {
                return cudaErrorMemoryAllocation;
            }
            *free_one = (struct fake_allocation){taken, bytes, kind, false};
            memset(free_one->memory, 0xa5, bytes);
            *memory = free_one->memory;
            return cudaSuccess;
        }
    }
    fprintf(stderr, "fake CUDA: more than %u allocations\n", FAKE_ALLOCATION_COUNT_MAX);
    abort();
}

static cudaError_t device_alloc(void **memory, size_t bytes) {
    cudaError_t result;
    return fake_enter("device_alloc", &result) ? take(ES_MEM_DEVICE, memory, bytes) : result;
}

static cudaError_t host_alloc(void **memory, size_t bytes, unsigned int flags) {
    (void)flags;
    cudaError_t result;
    return fake_enter("host_alloc", &result) ? take(ES_MEM_SHARED, memory, bytes) : result;
}

static cudaError_t managed_alloc(void **memory, size_t bytes, unsigned int flags) {
    (void)flags;
    cudaError_t result;
    return fake_enter("managed_alloc", &result) ? take(ES_MEM_UNIFIED, memory, bytes) : result;
}

static cudaError_t give_back(const char *call, void *memory, bool is_host) {
    cudaError_t result;
    if (!fake_enter(call, &result)) {
        return result;
    }
    struct fake_allocation *found = fake_find(memory);
    if (found == NULL || found->memory != memory || (found->kind == ES_MEM_SHARED) != is_host) {
        return cudaErrorInvalidValue;
    }
    fake_run_until(UINT64_MAX);
    free(found->memory);
    found->memory = NULL;
    return cudaSuccess;
}

static cudaError_t device_free(void *memory) {
    return give_back("device_free", memory, false);
}

static cudaError_t host_free(void *memory) {
    return give_back("host_free", memory, true);
}

static cudaError_t host_get_device_pointer(void **device, void *host, unsigned int flags) {
    (void)flags;
    cudaError_t result;
    *device = host;
    return fake_enter("host_get_device_pointer", &result) ? cudaSuccess : result;
}

static cudaError_t mem_get_info(size_t *free_bytes, size_t *total_bytes) {
    cudaError_t result;
    if (!fake_enter("mem_get_info", &result)) {
        return result;
    }
    *total_bytes = fake.device.memory_bytes;
    *free_bytes = fake.device.memory_bytes - used_bytes();
    return cudaSuccess;
}

static cudaError_t stream_attach_mem_async(cudaStream_t stream, void *memory, size_t length,
                                           unsigned int flags) {
    (void)length;
    cudaError_t result;
    if (!fake_enter("stream_attach_mem_async", &result)) {
        return result;
    }
    struct fake_allocation *found = fake_find(memory);
    if (found == NULL || found->kind != ES_MEM_UNIFIED || stream == NULL) {
        return cudaErrorInvalidValue;
    }
    found->is_attached = flags == cudaMemAttachSingle;
    return cudaSuccess;
}

static cudaError_t memcpy_async(void *target, const void *source, size_t bytes,
                                enum cudaMemcpyKind kind, cudaStream_t stream) {
    cudaError_t result;
    if (!fake_enter("memcpy_async", &result)) {
        return result;
    }
    if (kind != cudaMemcpyDeviceToHost) {
        expect_inside(target, bytes);
    }
    if (kind != cudaMemcpyHostToDevice) {
        expect_inside(source, bytes);
    }
    (void)stream;
    fake_enqueue((struct fake_operation){.target = target, .source = source, .bytes = bytes});
    return cudaSuccess;
}

static cudaError_t memset_async(void *target, int byte, size_t bytes, cudaStream_t stream) {
    cudaError_t result;
    if (!fake_enter("memset_async", &result)) {
        return result;
    }
    (void)stream;
    expect_inside(target, bytes);
    fake_enqueue((struct fake_operation){.target = target, .byte = byte, .bytes = bytes});
    return cudaSuccess;
}

/* -- device ------------------------------------------------------------------------------------ */

static cudaError_t driver_get_version(int *version) {
    cudaError_t result;
    *version = fake.device.driver_version;
    return fake_enter("driver_get_version", &result) ? cudaSuccess : result;
}

static cudaError_t runtime_get_version(int *version) {
    cudaError_t result;
    *version = fake.device.runtime_version;
    return fake_enter("runtime_get_version", &result) ? cudaSuccess : result;
}

static cudaError_t get_device_count(int *count) {
    cudaError_t result;
    if (!fake_enter("get_device_count", &result)) {
        return result;
    }
    *count = fake.device.device_count;
    return fake.device.driver_version / 1000 < fake.device.runtime_version / 1000
               ? cudaErrorInsufficientDriver
           : *count == 0 ? cudaErrorNoDevice
                         : cudaSuccess;
}

static cudaError_t get_device_properties(struct cudaDeviceProp *properties, int device) {
    cudaError_t result;
    if (!fake_enter("get_device_properties", &result)) {
        return result;
    }
    if (device >= fake.device.device_count) {
        return cudaErrorInvalidDevice;
    }
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "%s", fake.device.name);
    properties->major = fake.device.compute_capability / 10;
    properties->minor = fake.device.compute_capability % 10;
    properties->multiProcessorCount = fake.device.sm_count;
    properties->sharedMemPerBlockOptin = fake.device.is_integrated ? 166912 : 232448;
    properties->l2CacheSize = fake.device.is_integrated ? 2 << 20 : 50 << 20;
    properties->totalGlobalMem = fake.device.memory_bytes;
    properties->integrated = fake.device.is_integrated;
    properties->managedMemory = fake.device.has_managed_memory;
    properties->concurrentManagedAccess = fake.device.has_concurrent_access;
    properties->canMapHostMemory = 1;
    return cudaSuccess;
}

static cudaError_t init_device(int device, unsigned int device_flags, unsigned int flags) {
    cudaError_t result;
    if (!fake_enter("init_device", &result)) {
        return result;
    }
    (void)flags;
    fake.device_flags = device_flags;
    return device < fake.device.device_count ? cudaSuccess : cudaErrorInvalidDevice;
}

static cudaError_t set_device(int device) {
    cudaError_t result;
    (void)device;
    return fake_enter("set_device", &result) ? cudaSuccess : result;
}

static const char *get_error_name(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation"
           : error == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress"
           : error == cudaErrorUnknown        ? "cudaErrorUnknown"
           : error == cudaErrorLaunchFailure  ? "cudaErrorLaunchFailure"
                                              : "cudaErrorOfAKind";
}

static const char *get_error_string(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaErrorIllegalAddress ? "an illegal memory access was encountered"
                                              : "some error";
}

static cudaError_t get_last_error(void) {
    fake.lost_call_count += fake.is_lost ? 1 : 0;
    return cudaSuccess;
}

/* -- what a test asks -------------------------------------------------------------------------- */

static const struct es_cuda_calls memory_and_device_calls = {
    .driver_get_version = driver_get_version,
    .runtime_get_version = runtime_get_version,
    .get_device_count = get_device_count,
    .get_device_properties = get_device_properties,
    .init_device = init_device,
    .set_device = set_device,
    .get_error_name = get_error_name,
    .get_error_string = get_error_string,
    .get_last_error = get_last_error,
    .stream_attach_mem_async = stream_attach_mem_async,
    .device_alloc = device_alloc,
    .device_free = device_free,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .host_get_device_pointer = host_get_device_pointer,
    .managed_alloc = managed_alloc,
    .mem_get_info = mem_get_info,
    .memcpy_async = memcpy_async,
    .memset_async = memset_async,
};

const struct es_cuda_calls *fake_cuda_start(const struct fake_cuda_device *device) {
    static struct es_cuda_calls calls;
    for (uint32_t i = 0; i < FAKE_ALLOCATION_COUNT_MAX; i++) {
        free(fake.allocations[i].memory); /* what a lost device kept */
    }
    for (uint32_t i = 0; i < FAKE_OBJECT_COUNT_MAX; i++) {
        if (fake.objects[i] != NULL) {
            fake_drop_object(fake.objects[i]);
        }
    }
    fake_forget_stream();
    memset(&fake, 0, sizeof fake);
    fake.device = device != NULL ? *device : fake_cuda_discrete;
    fake.failed_call = "";
    calls = memory_and_device_calls;
    fake_add_stream_calls(&calls);
    fake_add_green_calls(&calls);
    return &calls;
}

void fake_cuda_fail(uint32_t index, cudaError_t result) {
    fake.call_count = 0;
    fake.failed_call = "";
    fake.fail_index = index;
    fake.fail_result = result;
    fake.fail_is_sticky = result == cudaErrorIllegalAddress || result == cudaErrorUnknown ||
                          result == cudaErrorLaunchFailure || result == cudaErrorECCUncorrectable;
}

void fake_cuda_fail_allocation(uint32_t index) {
    fake.fail_allocation_index = index == 0 ? 0 : fake.allocation_count + index;
}

void fake_cuda_set_kernel(void (*run)(const void *function, void **args)) {
    fake.kernel = run;
}

uint32_t fake_cuda_call_count(void) {
    return fake.call_count;
}

const char *fake_cuda_failed_call(void) {
    return fake.failed_call;
}

uint32_t fake_cuda_calls_when_lost(void) {
    return fake.lost_call_count;
}

uint32_t fake_cuda_open_count(void) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < FAKE_OBJECT_COUNT_MAX; i++) {
        count += fake.objects[i] != NULL ? 1 : 0;
    }
    for (uint32_t i = 0; i < FAKE_ALLOCATION_COUNT_MAX; i++) {
        count += fake.allocations[i].memory != NULL ? 1 : 0;
    }
    return count;
}

uint32_t fake_cuda_allocation_count(void) {
    return fake.allocation_count;
}

size_t fake_cuda_asked_bytes(enum es_mem_kind kind) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < FAKE_ALLOCATION_COUNT_MAX; i++) {
        const struct fake_allocation *found = &fake.allocations[i];
        bytes += found->memory != NULL && found->kind == kind ? found->bytes : 0;
    }
    return bytes;
}

uint32_t fake_cuda_launch_count(void) {
    return fake.launch_count;
}

unsigned int fake_cuda_device_flags(void) {
    return fake.device_flags;
}

enum es_mem_kind fake_cuda_kind_of(const void *memory) {
    const struct fake_allocation *found = fake_find(memory);
    return found != NULL ? found->kind : ES_MEM_HOST;
}

bool fake_cuda_is_attached(const void *memory) {
    const struct fake_allocation *found = fake_find(memory);
    return found != NULL && found->is_attached;
}
