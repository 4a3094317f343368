#include "platform/jetson/cuda.h"

#include "platform/assert.h"
#include "platform/jetson/cuda_check.h"
#include "platform/jetson/cuda_green.h"
#include "platform/memory.h"

#include <stdio.h>
#include <string.h>

#define COMPUTE_CAPABILITY_MIN 80u      /* BF16 in hardware: Ampere */
#define DEPENDENT_LAUNCH_CAPABILITY 90u /* programmatic dependent launch: Hopper */

/* -- open -------------------------------------------------------------------------------------- */

static int major(int version) {
    return version / 1000;
}

static int minor(int version) {
    return version % 1000 / 10;
}

/* The driver comes first, because every other call says "insufficient driver" without one. */
static enum es_status find_driver(struct es_cuda *cuda, struct es_error *error) {
    enum es_status status =
        ES_CUDA_TRY(cuda, error, runtime_get_version(&cuda->runtime_version), "runtime version");
    if (status != ES_OK) {
        return status;
    }
    if (cuda->calls->driver_get_version(&cuda->driver_version) != cudaSuccess ||
        cuda->driver_version == 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: no NVIDIA driver here; use --backend cpu or install it");
    }
    int count = 0;
    cudaError_t result = cuda->calls->get_device_count(&count);
    if (result == cudaErrorInsufficientDriver) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: the driver is too old: it knows CUDA up to %d.%d and this program "
                       "needs %d.%d; install a newer driver or use --backend cpu",
                       major(cuda->driver_version), minor(cuda->driver_version),
                       major(cuda->runtime_version), minor(cuda->runtime_version));
    }
    if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0)) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: the driver is here and has no GPU (CUDA_VISIBLE_DEVICES, the "
                       "rights on /dev/nvidia*, or a container without --gpus); use --backend "
                       "cpu or make it visible");
    }
    return es_cuda_check(cuda, error, result, "counting devices");
}

static enum es_status read_properties(struct es_cuda *cuda, struct es_error *error) {
    struct cudaDeviceProp properties;
    memset(&properties, 0, sizeof properties);
    enum es_status status = ES_CUDA_TRY(
        cuda, error, get_device_properties(&properties, cuda->device), "properties of device 0");
    if (status != ES_OK) {
        return status;
    }
    snprintf(cuda->name, sizeof cuda->name, "%.255s", properties.name);
    cuda->compute_capability = (uint32_t)(properties.major * 10 + properties.minor);
    cuda->sm_count = (uint32_t)properties.multiProcessorCount;
    cuda->shared_block_bytes_max = (uint32_t)properties.sharedMemPerBlockOptin;
    cuda->l2_bytes = (size_t)properties.l2CacheSize;
    cuda->memory_bytes = properties.totalGlobalMem;
    cuda->is_integrated = properties.integrated != 0;
    cuda->has_unified_memory = properties.managedMemory != 0;
    cuda->has_concurrent_access = properties.concurrentManagedAccess != 0;
    cuda->has_dependent_launch = cuda->compute_capability >= DEPENDENT_LAUNCH_CAPABILITY;
    if (cuda->compute_capability < COMPUTE_CAPABILITY_MIN) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: %s has compute capability %d.%d and no BF16; 8.0 (Ampere) or later "
                       "is needed: use --backend cpu",
                       cuda->name, properties.major, properties.minor);
    }
    if (properties.canMapHostMemory == 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: %s cannot see memory of the host; use --backend cpu", cuda->name);
    }
    return ES_OK;
}

static enum es_status open_device(struct es_cuda *cuda, const struct es_cuda_calls *calls,
                                  struct es_error *error) {
    memset(cuda, 0, sizeof *cuda);
    cuda->calls = calls;
    enum es_status status = find_driver(cuda, error);
    if (status == ES_OK) {
        status = read_properties(cuda, error);
    }
    size_t before_bytes = cuda->is_integrated ? es_memory_available_bytes() : cuda->memory_bytes;
    if (status == ES_OK) {
        status = ES_CUDA_TRY(
            cuda, error,
            init_device(cuda->device, cudaDeviceScheduleBlockingSync, cudaInitDeviceFlagsAreValid),
            "starting %s", cuda->name);
    }
    if (status == ES_OK) {
        status = ES_CUDA_TRY(cuda, error, set_device(cuda->device), "choosing %s", cuda->name);
    }
    size_t after_bytes = 0;
    if (status == ES_OK) {
        status = es_cuda_memory_available(cuda, &after_bytes, error);
    }
    cuda->context_bytes = before_bytes > after_bytes ? before_bytes - after_bytes : 0;
    return status;
}

enum es_status es_cuda_open(struct es_cuda *cuda, const struct es_cuda_calls *calls,
                            struct es_error *error) {
    enum es_status status = open_device(cuda, calls, error);
    if (status == ES_OK) {
        cudaStream_t stream = NULL;
        status = ES_CUDA_TRY(cuda, error, stream_create_with_flags(&stream, cudaStreamNonBlocking),
                             "making the stream");
        cuda->stream = status == ES_OK ? stream : NULL;
    }
    return status;
}

enum es_status es_cuda_open_partly(struct es_cuda *cuda, const struct es_cuda_calls *calls,
                                   uint32_t sm_count, struct es_error *error) {
    enum es_status status = open_device(cuda, calls, error);
    return status == ES_OK ? es_cuda_green_open(cuda, sm_count, error) : status;
}

void es_cuda_close(struct es_cuda *cuda) {
    if (cuda->calls == NULL) {
        return;
    }
    if (cuda->stream != NULL) {
        ES_CUDA_DROP(cuda, stream_destroy(cuda->stream));
        cuda->stream = NULL;
    }
    if (cuda->green_context != NULL) {
        es_cuda_green_close(cuda);
    }
    cuda->calls = NULL;
}

/* -- work on the stream ------------------------------------------------------------------------ */

enum es_status es_cuda_copy(struct es_cuda *cuda, void *target, const void *source, size_t bytes,
                            enum es_cuda_direction direction, struct es_error *error) {
    static const struct {
        enum cudaMemcpyKind kind;
        const char *text;
    } directions[] = {
        [ES_CUDA_TO_DEVICE] = {cudaMemcpyHostToDevice, "to the GPU"},
        [ES_CUDA_TO_HOST] = {cudaMemcpyDeviceToHost, "from the GPU"},
        [ES_CUDA_WITHIN_DEVICE] = {cudaMemcpyDeviceToDevice, "within the GPU"},
    };
    return ES_CUDA_TRY(
        cuda, error, memcpy_async(target, source, bytes, directions[direction].kind, cuda->stream),
        "copying %zu bytes %s", bytes, directions[direction].text);
}

enum es_status es_cuda_fill(struct es_cuda *cuda, void *target, int byte, size_t bytes,
                            struct es_error *error) {
    return ES_CUDA_TRY(cuda, error, memset_async(target, byte, bytes, cuda->stream),
                       "filling %zu bytes", bytes);
}

enum es_status es_cuda_wait(struct es_cuda *cuda, struct es_error *error) {
    return ES_CUDA_TRY(cuda, error, stream_synchronize(cuda->stream), "waiting for the GPU");
}

/* -- kernels ----------------------------------------------------------------------------------- */

/* How much of an SM's cache is shared memory, for every kernel of a graph alike: an SM must run dry
 * before it can divide its cache anew, and then no kernel starts before its predecessor ended. What
 * is left is where loads in flight land: more of it made streaming faster (docs/PERFORMANCE.md). A
 * kernel that needs more shared memory gets it all the same. */
#define SHARED_CARVEOUT_PERCENT 28

/* Whether the launch is to be done. */
static bool watch_launch(struct es_cuda_watch *watch, const struct es_cuda_kernel *kernel,
                         const struct es_cuda_grid *grid) {
    uint32_t i = 0;
    while (i < watch->kernel_count && (strcmp(watch->kernels[i].name, kernel->name) != 0 ||
                                       watch->kernels[i].moved_bytes != grid->moved_bytes)) {
        i++;
    }
    if (watch->is_choosing) {
        return i == watch->chosen;
    }
    ES_ASSERT(i < ES_CUDA_WATCH_COUNT_MAX);
    if (i == watch->kernel_count) {
        watch->kernels[watch->kernel_count++] =
            (struct es_cuda_watched){.name = kernel->name, .moved_bytes = grid->moved_bytes};
    }
    watch->kernels[i].launch_count++;
    return true;
}

enum es_status es_cuda_launch(struct es_cuda *cuda, const struct es_cuda_kernel *kernel,
                              const struct es_cuda_grid *grid, void **args,
                              struct es_error *error) {
    ES_ASSERT(grid->block_count > 0);
    ES_ASSERT(grid->thread_count > 0);
    if (cuda->watch != NULL && !watch_launch(cuda->watch, kernel, grid)) {
        return ES_OK;
    }
    if (cuda->is_recording && cuda->has_dependent_launch) {
        enum es_status status = ES_CUDA_TRY(
            cuda, error,
            func_set_attribute(kernel->function, cudaFuncAttributePreferredSharedMemoryCarveout,
                               SHARED_CARVEOUT_PERCENT),
            "dividing the cache for kernel %s", kernel->name);
        if (status != ES_OK) {
            return status;
        }
    }
    const uint32_t block_count_y = grid->block_count_y > 0 ? grid->block_count_y : 1;
    cudaLaunchAttribute attribute = {.id = cudaLaunchAttributeProgrammaticStreamSerialization,
                                     .val = {.programmaticStreamSerializationAllowed = 1}};
    cudaLaunchConfig_t config = {
        .gridDim = {grid->block_count, block_count_y, 1},
        .blockDim = {grid->thread_count, 1, 1},
        .dynamicSmemBytes = grid->shared_bytes,
        .stream = cuda->stream,
        .attrs = &attribute,
        .numAttrs = grid->is_dependent && cuda->has_dependent_launch ? 1 : 0,
    };
    return ES_CUDA_TRY(cuda, error, launch_kernel_ex(&config, kernel->function, args),
                       "launching %s, %u x %u blocks of %u threads, %zu bytes of shared memory",
                       kernel->name, grid->block_count, block_count_y, grid->thread_count,
                       grid->shared_bytes);
}

enum es_status es_cuda_kernel_load(struct es_cuda *cuda, const struct es_cuda_kernel *kernel,
                                   struct es_error *error) {
    struct cudaFuncAttributes attributes; /* asking for them loads the code */
    return ES_CUDA_TRY(cuda, error, func_get_attributes(&attributes, kernel->function),
                       "loading kernel %s", kernel->name);
}

enum es_status es_cuda_kernel_allow(struct es_cuda *cuda, const struct es_cuda_kernel *kernel,
                                    size_t shared_bytes, struct es_error *error) {
    if (shared_bytes > cuda->shared_block_bytes_max) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "CUDA: kernel %s wants %zu bytes of shared memory and %s gives %u; use "
                       "--backend cpu or a model of smaller dimensions",
                       kernel->name, shared_bytes, cuda->name, cuda->shared_block_bytes_max);
    }
    return ES_CUDA_TRY(cuda, error,
                       func_set_attribute(kernel->function,
                                          cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          (int)shared_bytes),
                       "allowing kernel %s %zu bytes of shared memory", kernel->name, shared_bytes);
}
