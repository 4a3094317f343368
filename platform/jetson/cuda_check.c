#include "platform/jetson/cuda_check.h"

#include <stdarg.h>
#include <stdio.h>

#define OPERATION_BYTES 256

/* After these nothing on the device can be trusted: the context is gone, or CUDA gives the same
 * answer to every further call. By number, because older headers do not have all names. */
static bool is_sticky(cudaError_t result) {
    switch ((int)result) {
    case cudaErrorCudartUnloading:
    case cudaErrorDevicesUnavailable:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDeviceUninitialized:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case 226: /* cudaErrorContained */
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case 721: /* cudaErrorTensorMemoryLeak */
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
        return true;
    default:
        return false;
    }
}

static const char *remedy(cudaError_t result, bool is_lost) {
    if (is_lost) {
        return "the GPU cannot be used again by this process: start it anew, and reboot if that "
               "fails the same way";
    }
    switch ((int)result) {
    case cudaErrorMemoryAllocation:
        return "stop other programs, or use a smaller model or kv_window (`earshot plan` lists "
               "what needs memory)";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
        return "this build has no code for this GPU: build it with ES_CUDA_CHIPS set to the GPU's "
               "compute capability";
    case cudaErrorSystemNotReady:
        return "a service of the driver does not run yet: start it (nvidia-fabricmanager), or try "
               "again";
    default:
        return "run it again, and start the machine anew if it comes back";
    }
}

void es_cuda_note(struct es_cuda *cuda, cudaError_t result) {
    if (result == cudaSuccess) {
        return;
    }
    if (is_sticky(result)) {
        cuda->is_lost = true;
    } else {
        (void)cuda->calls->get_last_error();
    }
}

enum es_status es_cuda_check(struct es_cuda *cuda, struct es_error *error, cudaError_t result,
                             const char *format, ...) {
    if (result == cudaSuccess) {
        return ES_OK;
    }
    char operation[OPERATION_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(operation, sizeof operation, format, args);
    va_end(args);
    es_cuda_note(cuda, result);
    return es_fail(error, ES_ERR_HARDWARE, "CUDA: %s: %s (%s); %s", operation,
                   cuda->calls->get_error_string(result), cuda->calls->get_error_name(result),
                   remedy(result, cuda->is_lost));
}

enum es_status es_cuda_refuse(struct es_error *error, const char *format, ...) {
    char operation[OPERATION_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(operation, sizeof operation, format, args);
    va_end(args);
    return es_fail(error, ES_ERR_HARDWARE,
                   "CUDA: %s: not tried, because the GPU failed before; start the process anew",
                   operation);
}
