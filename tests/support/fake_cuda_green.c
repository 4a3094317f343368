/* The driver's green contexts: parts of the fake GPU. */
#include "tests/support/fake_cuda_inner.h"

#include <cuda.h>
#include <string.h>

#if CUDA_VERSION >= 12050

static CUresult device_get_resource(CUdevice device, CUdevResource *resource,
                                    CUdevResourceType type) {
    (void)device;
    cudaError_t result;
    memset(resource, 0, sizeof *resource);
    resource->type = type;
    resource->sm.smCount = (unsigned int)fake.device.sm_count;
    return fake_enter("cuDeviceGetDevResource", &result) ? CUDA_SUCCESS : (CUresult)result;
}

/* Groups of eight, as Hopper's. */
static CUresult split_by_count(CUdevResource *part, unsigned int *group_count,
                               const CUdevResource *all, CUdevResource *remaining,
                               unsigned int flags, unsigned int count_min) {
    (void)remaining;
    (void)flags;
    cudaError_t result;
    if (!fake_enter("cuDevSmResourceSplitByCount", &result)) {
        return (CUresult)result;
    }
    *part = *all;
    part->sm.smCount = (count_min + 7) / 8 * 8;
    *group_count = 1;
    return part->sm.smCount <= all->sm.smCount ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult generate_desc(CUdevResourceDesc *desc, CUdevResource *resources,
                              unsigned int resource_count) {
    (void)resources;
    (void)resource_count;
    cudaError_t result;
    *desc = NULL;
    return fake_enter("cuDevResourceGenerateDesc", &result) ? CUDA_SUCCESS : (CUresult)result;
}

static CUresult green_create(CUgreenCtx *context, CUdevResourceDesc desc, CUdevice device,
                             unsigned int flags) {
    (void)desc;
    (void)device;
    (void)flags;
    cudaError_t result;
    if (!fake_enter("cuGreenCtxCreate", &result)) {
        return (CUresult)result;
    }
    *context = fake_new_object();
    return CUDA_SUCCESS;
}

static CUresult green_destroy(CUgreenCtx context) {
    cudaError_t result;
    if (!fake_enter("cuGreenCtxDestroy", &result)) {
        return (CUresult)result;
    }
    fake_drop_object((const void *)context);
    return CUDA_SUCCESS;
}

static CUresult as_context(CUcontext *context, CUgreenCtx green) {
    cudaError_t result;
    *context = (CUcontext)(void *)green;
    return fake_enter("cuCtxFromGreenCtx", &result) ? CUDA_SUCCESS : (CUresult)result;
}

static CUresult set_current(CUcontext context) {
    (void)context;
    cudaError_t result;
    return fake_enter("cuCtxSetCurrent", &result) ? CUDA_SUCCESS : (CUresult)result;
}

static CUresult green_stream_create(CUstream *stream, CUgreenCtx context, unsigned int flags,
                                    int priority) {
    (void)context;
    (void)flags;
    (void)priority;
    cudaError_t result;
    if (!fake_enter("cuGreenCtxStreamCreate", &result)) {
        return (CUresult)result;
    }
    *stream = fake_new_object();
    return CUDA_SUCCESS;
}

static void *find_driver_function(const char *symbol) {
    static const struct {
        const char *symbol;
        void (*function)(void);
    } functions[] = {
        {"cuDeviceGetDevResource", (void (*)(void))device_get_resource},
        {"cuDevSmResourceSplitByCount", (void (*)(void))split_by_count},
        {"cuDevResourceGenerateDesc", (void (*)(void))generate_desc},
        {"cuGreenCtxCreate", (void (*)(void))green_create},
        {"cuGreenCtxDestroy", (void (*)(void))green_destroy},
        {"cuCtxFromGreenCtx", (void (*)(void))as_context},
        {"cuCtxSetCurrent", (void (*)(void))set_current},
        {"cuGreenCtxStreamCreate", (void (*)(void))green_stream_create},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(symbol, functions[i].symbol) == 0) {
            void *found = NULL;
            memcpy(&found, &functions[i].function, sizeof found);
            return found;
        }
    }
    return NULL;
}

#else

static void *find_driver_function(const char *symbol) {
    (void)symbol;
    return NULL;
}

#endif

static cudaError_t get_driver_entry_point(const char *symbol, void **function, unsigned int version,
                                          unsigned long long flags,
                                          enum cudaDriverEntryPointQueryResult *found) {
    (void)version;
    (void)flags;
    cudaError_t result;
    if (!fake_enter("get_driver_entry_point", &result)) {
        return result;
    }
    *function = fake.device.has_green_contexts ? find_driver_function(symbol) : NULL;
    *found = *function != NULL ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}

void fake_add_green_calls(struct es_cuda_calls *calls) {
    calls->get_driver_entry_point = get_driver_entry_point;
}
