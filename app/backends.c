#include "app/backends.h"

#include "engine/cpu/backend_cpu.h"

#include <stdio.h>
#include <string.h>

static enum es_mem_kind kv_kind(enum es_kv_memory choice, bool is_integrated) {
    switch (choice) {
    case ES_KV_MEMORY_UNIFIED:
        return ES_MEM_UNIFIED;
    case ES_KV_MEMORY_SHARED:
        return ES_MEM_SHARED;
    case ES_KV_MEMORY_DEVICE:
        return ES_MEM_DEVICE;
    default:
        return is_integrated ? ES_MEM_UNIFIED : ES_MEM_DEVICE;
    }
}

static void take_cpu(struct es_backends *backends, const char *reason) {
    backends->ops = es_backend_cpu();
    backends->kv_kind = ES_MEM_HOST;
    snprintf(backends->reason, sizeof backends->reason, "%s", reason);
}

/* Without touching `backends->ops` when it fails. */
static enum es_status take_gpu(struct es_backends *backends,
                               const struct es_backends_request *request,
                               const struct es_model *model, enum es_dtype dtype,
                               struct es_error *error) {
    if (es_gpu_backend() == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "this build has no GPU engine: it was configured without nvcc");
    }
    enum es_status status = es_gpu_check(model, dtype, error);
    if (status != ES_OK) {
        return status;
    }
    bool is_integrated = true; /* every board is */
    if (request->board_title == NULL) {
        status = es_gpu_open(&backends->device, error);
        if (status != ES_OK) {
            return status;
        }
        backends->cuda = &backends->device;
        is_integrated = backends->device.is_integrated;
        snprintf(backends->reason, sizeof backends->reason, "%s, %u SMs", backends->device.name,
                 backends->device.sm_count);
    } else {
        snprintf(backends->reason, sizeof backends->reason, "%s", request->board_title);
    }
    backends->ops = es_gpu_backend();
    backends->kv_kind = kv_kind(request->kv_memory, is_integrated);
    return ES_OK;
}

enum es_status es_backends_choose(struct es_backends *backends,
                                  const struct es_backends_request *request,
                                  const struct es_model *model, enum es_dtype dtype,
                                  struct es_error *error) {
    memset(backends, 0, sizeof *backends);
    if (request->choice == ES_BACKEND_CPU) {
        take_cpu(backends, "as asked for");
        return ES_OK;
    }
    struct es_error why;
    enum es_status status = take_gpu(backends, request, model, dtype, &why);
    if (status == ES_OK) {
        return ES_OK;
    }
    if (request->choice == ES_BACKEND_CUDA) {
        return es_fail(error, status, "--backend cuda: %s", why.text);
    }
    take_cpu(backends, why.text);
    return ES_OK;
}

void es_backends_close(struct es_backends *backends) {
    if (backends->cuda != NULL) {
        es_gpu_close(backends->cuda);
        backends->cuda = NULL;
    }
}
