/* cuda_calls.h - the functions of CUDA that are used, as a table.
 *
 *   const struct es_cuda_calls *calls = es_cuda_runtime();      the runtime's own
 *   struct es_cuda_calls calls = fake_cuda_calls();             a test's, over host memory
 *
 * Each has the signature that cuda_runtime_api.h gives it. Only platform/jetson calls through it:
 * cuda_check.h looks at every result. */
#pragma once

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

struct es_cuda_calls {
    /* device */
    cudaError_t (*driver_get_version)(int *version);
    cudaError_t (*runtime_get_version)(int *version);
    cudaError_t (*get_device_count)(int *count);
    cudaError_t (*get_device_properties)(struct cudaDeviceProp *properties, int device);
    cudaError_t (*init_device)(int device, unsigned int device_flags, unsigned int flags);
    cudaError_t (*set_device)(int device);
    /* cudaGetDriverEntryPointByVersion: driver functions, without linking the driver */
    cudaError_t (*get_driver_entry_point)(const char *symbol, void **function, unsigned int version,
                                          unsigned long long flags,
                                          enum cudaDriverEntryPointQueryResult *result);
    /* errors: these two cannot fail */
    const char *(*get_error_name)(cudaError_t error);
    const char *(*get_error_string)(cudaError_t error);
    cudaError_t (*get_last_error)(void); /* and forgets it, unless it is sticky */
    /* stream */
    cudaError_t (*stream_create_with_flags)(cudaStream_t *stream, unsigned int flags);
    cudaError_t (*stream_destroy)(cudaStream_t stream);
    cudaError_t (*stream_synchronize)(cudaStream_t stream);
    cudaError_t (*stream_attach_mem_async)(cudaStream_t stream, void *memory, size_t length,
                                           unsigned int flags);
    /* memory */
    cudaError_t (*device_alloc)(void **memory, size_t bytes); /* cudaMalloc */
    cudaError_t (*device_free)(void *memory);                 /* also of managed memory */
    cudaError_t (*host_alloc)(void **memory, size_t bytes, unsigned int flags);
    cudaError_t (*host_free)(void *memory);
    cudaError_t (*host_get_device_pointer)(void **device, void *host, unsigned int flags);
    cudaError_t (*managed_alloc)(void **memory, size_t bytes, unsigned int flags);
    cudaError_t (*mem_get_info)(size_t *free_bytes, size_t *total_bytes);
    cudaError_t (*memcpy_async)(void *target, const void *source, size_t bytes,
                                enum cudaMemcpyKind kind, cudaStream_t stream);
    cudaError_t (*memset_async)(void *target, int byte, size_t bytes, cudaStream_t stream);
    /* kernels */
    cudaError_t (*func_get_attributes)(struct cudaFuncAttributes *attributes, const void *function);
    cudaError_t (*func_set_attribute)(const void *function, enum cudaFuncAttribute attribute,
                                      int value);
    cudaError_t (*launch_kernel_ex)(const cudaLaunchConfig_t *config, const void *function,
                                    void **args);
    /* graphs */
    cudaError_t (*stream_begin_capture)(cudaStream_t stream, enum cudaStreamCaptureMode mode);
    cudaError_t (*stream_end_capture)(cudaStream_t stream, cudaGraph_t *graph);
    cudaError_t (*graph_get_nodes)(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count);
    cudaError_t (*graph_instantiate)(cudaGraphExec_t *executable, cudaGraph_t graph,
                                     unsigned long long flags);
    cudaError_t (*graph_upload)(cudaGraphExec_t executable, cudaStream_t stream);
    cudaError_t (*graph_launch)(cudaGraphExec_t executable, cudaStream_t stream);
    cudaError_t (*graph_destroy)(cudaGraph_t graph);
    cudaError_t (*graph_exec_destroy)(cudaGraphExec_t executable);
    /* events */
    cudaError_t (*event_create_with_flags)(cudaEvent_t *event, unsigned int flags);
    cudaError_t (*event_record)(cudaEvent_t event, cudaStream_t stream);
    cudaError_t (*event_synchronize)(cudaEvent_t event);
    cudaError_t (*event_elapsed_time)(float *elapsed_ms, cudaEvent_t first, cudaEvent_t last);
    cudaError_t (*event_destroy)(cudaEvent_t event);
};

#ifdef __cplusplus
}
#endif
