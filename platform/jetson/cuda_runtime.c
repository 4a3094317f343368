#include "platform/jetson/cuda.h"
#include "platform/jetson/cuda_calls.h"

/* The runtime asks for the function by the version that defined its signature, from 12.5 on; before
 * that it takes the newest. */
static cudaError_t get_driver_entry_point(const char *symbol, void **function, unsigned int version,
                                          unsigned long long flags,
                                          enum cudaDriverEntryPointQueryResult *result) {
#if CUDART_VERSION >= 12050
    return cudaGetDriverEntryPointByVersion(symbol, function, version, flags, result);
#else
    (void)version;
    return cudaGetDriverEntryPoint(symbol, function, flags, result);
#endif
}

static const struct es_cuda_calls runtime_calls = {
    .driver_get_version = cudaDriverGetVersion,
    .runtime_get_version = cudaRuntimeGetVersion,
    .get_device_count = cudaGetDeviceCount,
    .get_device_properties = cudaGetDeviceProperties,
    .init_device = cudaInitDevice,
    .set_device = cudaSetDevice,
    .get_driver_entry_point = get_driver_entry_point,
    .get_error_name = cudaGetErrorName,
    .get_error_string = cudaGetErrorString,
    .get_last_error = cudaGetLastError,
    .stream_create_with_flags = cudaStreamCreateWithFlags,
    .stream_destroy = cudaStreamDestroy,
    .stream_synchronize = cudaStreamSynchronize,
    .stream_attach_mem_async = cudaStreamAttachMemAsync,
    .device_alloc = cudaMalloc,
    .device_free = cudaFree,
    .host_alloc = cudaHostAlloc,
    .host_free = cudaFreeHost,
    .host_get_device_pointer = cudaHostGetDevicePointer,
    .managed_alloc = cudaMallocManaged,
    .mem_get_info = cudaMemGetInfo,
    .memcpy_async = cudaMemcpyAsync,
    .memset_async = cudaMemsetAsync,
    .func_get_attributes = cudaFuncGetAttributes,
    .func_set_attribute = cudaFuncSetAttribute,
    .launch_kernel_ex = cudaLaunchKernelExC,
    .stream_begin_capture = cudaStreamBeginCapture,
    .stream_end_capture = cudaStreamEndCapture,
    .graph_get_nodes = cudaGraphGetNodes,
    .graph_instantiate = cudaGraphInstantiate,
    .graph_upload = cudaGraphUpload,
    .graph_launch = cudaGraphLaunch,
    .graph_destroy = cudaGraphDestroy,
    .graph_exec_destroy = cudaGraphExecDestroy,
    .event_create_with_flags = cudaEventCreateWithFlags,
    .event_record = cudaEventRecord,
    .event_synchronize = cudaEventSynchronize,
    .event_elapsed_time = cudaEventElapsedTime,
    .event_destroy = cudaEventDestroy,
};

const struct es_cuda_calls *es_cuda_runtime(void) {
    return &runtime_calls;
}
