#include "platform/jetson/cuda_green.h"

#include "platform/jetson/cuda_check.h"

#include <cuda.h>
#include <string.h>

#if CUDA_VERSION >= 12050

/* The functions that the driver may have; types as cuda.h gives them. */
struct green_calls {
    CUresult (*device_get_resource)(CUdevice device, CUdevResource *resource,
                                    CUdevResourceType type);
    CUresult (*split_by_count)(CUdevResource *result, unsigned int *group_count,
                               const CUdevResource *input, CUdevResource *remaining,
                               unsigned int flags, unsigned int count_min);
    CUresult (*generate_desc)(CUdevResourceDesc *desc, CUdevResource *resources,
                              unsigned int resource_count);
    CUresult (*create)(CUgreenCtx *context, CUdevResourceDesc desc, CUdevice device,
                       unsigned int flags);
    CUresult (*destroy)(CUgreenCtx context);
    CUresult (*as_context)(CUcontext *context, CUgreenCtx green);
    CUresult (*set_current)(CUcontext context);
    CUresult (*stream_create)(CUstream *stream, CUgreenCtx context, unsigned int flags,
                              int priority);
};

/* One function of the driver, into `field`: a pointer to a function pointer. */
static enum es_status find(struct es_cuda *cuda, const char *symbol, unsigned int version,
                           void *field, struct es_error *error) {
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    enum es_status status = ES_CUDA_TRY(
        cuda, error, get_driver_entry_point(symbol, &function, version, cudaEnableDefault, &found),
        "looking for %s in the driver", symbol);
    if (status != ES_OK) {
        return status;
    }
    if (found != cudaDriverEntryPointSuccess || function == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: the driver has no %s; a part of the GPU needs a driver of CUDA 12.5 "
                       "or later",
                       symbol);
    }
    memcpy(field, &function, sizeof function);
    return ES_OK;
}

static enum es_status find_all(struct es_cuda *cuda, struct green_calls *green,
                               struct es_error *error) {
    const struct {
        const char *symbol;
        unsigned int version;
        void *field;
    } wanted[] = {
        {"cuDeviceGetDevResource", 12040, &green->device_get_resource},
        {"cuDevSmResourceSplitByCount", 12040, &green->split_by_count},
        {"cuDevResourceGenerateDesc", 12040, &green->generate_desc},
        {"cuGreenCtxCreate", 12040, &green->create},
        {"cuGreenCtxDestroy", 12040, &green->destroy},
        {"cuCtxFromGreenCtx", 12040, &green->as_context},
        {"cuCtxSetCurrent", 4000, &green->set_current},
        {"cuGreenCtxStreamCreate", 12050, &green->stream_create},
    };
    enum es_status status = ES_OK;
    for (size_t i = 0; status == ES_OK && i < sizeof wanted / sizeof wanted[0]; i++) {
        status = find(cuda, wanted[i].symbol, wanted[i].version, wanted[i].field, error);
    }
    return status;
}

/* The driver's results have the numbers of the runtime's. */
static enum es_status check(struct es_cuda *cuda, struct es_error *error, CUresult result,
                            const char *what, uint32_t sm_count) {
    return es_cuda_check(cuda, error, (cudaError_t)result, "%s, %u multiprocessors", what,
                         sm_count);
}

enum es_status es_cuda_green_open(struct es_cuda *cuda, uint32_t sm_count, struct es_error *error) {
    struct green_calls green;
    enum es_status status = find_all(cuda, &green, error);
    if (status != ES_OK) {
        return status;
    }
    const CUdevice device = cuda->device; /* the driver numbers devices as the runtime does */
    CUdevResource all;
    CUdevResource part;
    memset(&all, 0, sizeof all);
    memset(&part, 0, sizeof part);
    unsigned int group_count = 1;
    CUdevResourceDesc desc = NULL;
    CUgreenCtx context = NULL;
    CUcontext plain = NULL;
    CUstream stream = NULL;
    CUresult result = green.device_get_resource(device, &all, CU_DEV_RESOURCE_TYPE_SM);
    if (result == CUDA_SUCCESS) {
        result = green.split_by_count(&part, &group_count, &all, NULL, 0, sm_count);
    }
    if (result == CUDA_SUCCESS) {
        result = green.generate_desc(&desc, &part, 1);
    }
    status = check(cuda, error, result, "splitting the GPU", sm_count);
    if (status != ES_OK) {
        return status;
    }
    result = green.create(&context, desc, device, CU_GREEN_CTX_DEFAULT_STREAM);
    status = check(cuda, error, result, "making a green context", sm_count);
    if (status != ES_OK) {
        return status;
    }
    cuda->green_context = context;
    memcpy(&cuda->green_destroy, &green.destroy, sizeof cuda->green_destroy);
    result = green.as_context(&plain, context);
    if (result == CUDA_SUCCESS) {
        result = green.set_current(plain);
    }
    if (result == CUDA_SUCCESS) {
        result = green.stream_create(&stream, context, CU_STREAM_NON_BLOCKING, 0);
    }
    status = check(cuda, error, result, "making a stream of the green context", sm_count);
    if (status != ES_OK) {
        es_cuda_green_close(cuda);
        return status;
    }
    cuda->stream = stream;
    cuda->sm_count = part.sm.smCount;
    return ES_OK;
}

void es_cuda_green_close(struct es_cuda *cuda) {
    if (!cuda->is_lost) {
        CUresult (*destroy)(CUgreenCtx context);
        memcpy(&destroy, &cuda->green_destroy, sizeof destroy);
        es_cuda_note(cuda, (cudaError_t)destroy(cuda->green_context));
        ES_CUDA_DROP(cuda, set_device(cuda->device)); /* back to the device's own context */
    }
    cuda->green_context = NULL;
}

#else /* green contexts came with CUDA 12.4, and their streams with 12.5 */

enum es_status es_cuda_green_open(struct es_cuda *cuda, uint32_t sm_count, struct es_error *error) {
    return es_fail(error, ES_ERR_HARDWARE,
                   "CUDA: %u multiprocessors of %s: this build's CUDA %d.%d cannot split a GPU; "
                   "build with 12.5 or later",
                   sm_count, cuda->name, CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10);
}

void es_cuda_green_close(struct es_cuda *cuda) {
    cuda->green_context = NULL;
}

#endif
