#include "tests/simt/grid.h"
#include "tests/simt/simt.h"
#include "tests/support/fake_cuda.h"

#include <string.h>

/* A launch as it waits on the stream; its parameters lie behind it. */
struct queued {
    simt::launch launch;
    alignas(16) unsigned char parameters[1];
};

#define PARAMETER_BYTES_MAX 4096u /* as CUDA's */
#define PARAMETER_ALIGN 16u

static struct {
    struct es_cuda_calls calls;
    struct es_cuda_calls fake;
    bool has_dependent_launch;
    simt::grid *ahead; /* that the next work will run */
} device;

/* The copy that is on the stream knows where its own parameters are. */
static const simt::launch &launch_of(void *work) {
    queued &queued = *static_cast<struct queued *>(work);
    size_t offset = 0;
    for (size_t i = 0; i < queued.launch.kernel->parameter_count; i++) {
        queued.launch.parameters[i] = queued.parameters + offset;
        offset += (queued.launch.kernel->parameter_bytes[i] + PARAMETER_ALIGN - 1u) /
                  PARAMETER_ALIGN * PARAMETER_ALIGN;
    }
    return queued.launch;
}

static void run(void *work, void *next) {
    if (simt::failure()[0] != '\0') {
        return;
    }
    simt::grid *grid = device.ahead != nullptr ? device.ahead : simt::grid_start(launch_of(work));
    device.ahead = nullptr;
    if (next != nullptr && launch_of(next).is_dependent) {
        device.ahead = simt::grid_start(launch_of(next));
        if (!simt::grid_run_ahead(*device.ahead)) {
            return;
        }
    }
    (void)simt::grid_run(*grid);
}

static bool has_attribute(const cudaLaunchConfig_t *config, cudaLaunchAttributeID id) {
    for (unsigned int i = 0; i < config->numAttrs; i++) {
        const cudaLaunchAttribute &attribute = config->attrs[i];
        if (attribute.id == id && (id == cudaLaunchAttributeCooperative
                                       ? attribute.val.cooperative
                                       : attribute.val.programmaticStreamSerializationAllowed)) {
            return true;
        }
    }
    return false;
}

static cudaError_t launch_kernel_ex(const cudaLaunchConfig_t *config, const void *function,
                                    void **args) {
    simt::kernel *kernel = simt::kernel_find(function);
    if (kernel == nullptr) {
        return cudaErrorInvalidDeviceFunction;
    }
    const uint64_t block_count = (uint64_t)config->gridDim.x * config->gridDim.y;
    const uint64_t thread_count = (uint64_t)config->blockDim.x * config->blockDim.y;
    if (thread_count == 0 || thread_count > 1024u || block_count == 0 || block_count > UINT32_MAX ||
        config->gridDim.z != 1 || config->blockDim.z != 1) {
        return cudaErrorInvalidConfiguration;
    }
    if (config->dynamicSmemBytes > kernel->dynamic_bytes_max) {
        return cudaErrorInvalidValue;
    }
    if (has_attribute(config, cudaLaunchAttributeCooperative) &&
        block_count > simt::options.resident) {
        return cudaErrorCooperativeLaunchTooLarge;
    }
    alignas(queued) unsigned char memory[sizeof(queued) + PARAMETER_BYTES_MAX] = {};
    queued &queued = *reinterpret_cast<struct queued *>(memory);
    queued.launch.kernel = kernel;
    queued.launch.grid_dim = config->gridDim;
    queued.launch.block_dim = config->blockDim;
    queued.launch.dynamic_bytes = config->dynamicSmemBytes;
    queued.launch.is_dependent =
        device.has_dependent_launch &&
        has_attribute(config, cudaLaunchAttributeProgrammaticStreamSerialization);
    size_t offset = 0;
    for (size_t i = 0; i < kernel->parameter_count; i++) {
        const size_t bytes = kernel->parameter_bytes[i];
        if (offset + bytes > PARAMETER_BYTES_MAX) {
            return cudaErrorInvalidValue;
        }
        memcpy(queued.parameters + offset, args[i], bytes);
        offset += (bytes + PARAMETER_ALIGN - 1u) / PARAMETER_ALIGN * PARAMETER_ALIGN;
    }
    fake_cuda_enqueue(run, memory, sizeof(struct queued) + offset);
    return cudaSuccess;
}

static cudaError_t func_set_attribute(const void *function, enum cudaFuncAttribute attribute,
                                      int value) {
    simt::kernel *kernel = simt::kernel_find(function);
    if (kernel == nullptr) {
        return cudaErrorInvalidDeviceFunction;
    }
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        kernel->dynamic_bytes_max = (size_t)value;
    }
    return device.fake.func_set_attribute(function, attribute, value);
}

/* What a kernel did wrong shows where somebody waits for it. */
static cudaError_t unless_failed(cudaError_t result) {
    return result == cudaSuccess && simt::failure()[0] != '\0' ? cudaErrorLaunchFailure : result;
}

static cudaError_t stream_synchronize(cudaStream_t stream) {
    return unless_failed(device.fake.stream_synchronize(stream));
}

static cudaError_t event_synchronize(cudaEvent_t event) {
    return unless_failed(device.fake.event_synchronize(event));
}

static const char *get_error_string(cudaError_t error) {
    return error == cudaErrorLaunchFailure ? simt::failure() : device.fake.get_error_string(error);
}

void simt_delay(uint32_t warp) {
    simt::options.slow_warp = warp + 1u;
}

const struct es_cuda_calls *simt_start(const struct simt_setup *setup) {
    const struct simt_setup wanted = setup != nullptr ? *setup : simt_setup();
    struct fake_cuda_device described = fake_cuda_discrete;
    described.name = "simulated GPU";
    described.sm_count = wanted.sm_count > 0 ? (int)wanted.sm_count : 2;
    described.compute_capability =
        wanted.compute_capability > 0 ? (int)wanted.compute_capability : 90;
    described.has_green_contexts = false;
    simt::options.resident =
        (uint32_t)described.sm_count * (wanted.resident_per_sm > 0 ? wanted.resident_per_sm : 2u);
    simt::options.is_backward = wanted.is_backward;
    simt::options.slow_warp = 0;
    simt::forget_failure();
    device.has_dependent_launch = described.compute_capability >= 90;
    device.ahead = nullptr;
    device.fake = *fake_cuda_start(&described);
    device.calls = device.fake;
    device.calls.launch_kernel_ex = launch_kernel_ex;
    device.calls.func_set_attribute = func_set_attribute;
    device.calls.stream_synchronize = stream_synchronize;
    device.calls.event_synchronize = event_synchronize;
    device.calls.get_error_string = get_error_string;
    return &device.calls;
}
