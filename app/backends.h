/* backends.h - which engine computes, and on what.
 *
 *   struct es_backends backends;
 *   status = es_backends_choose(&backends, &request, &model, dtype, &error);
 *   backends.ops, backends.kv_kind, backends.cuda (NULL for the CPU), backends.reason
 *   es_backends_close(&backends);
 *
 * auto: a GPU where this build has the engine for it, the machine has one that is usable and the
 * model is BF16; otherwise the CPU, and `reason` says why. cuda: the GPU, or a refusal that says
 * what is missing. For a board by name no device is opened: every board has one. Main thread. */
#pragma once

#include "board/board.h"
#include "engine/backend.h"
#include "platform/jetson/cuda.h"

enum es_backend_choice { ES_BACKEND_AUTO, ES_BACKEND_CPU, ES_BACKEND_CUDA };
enum es_kv_memory {
    ES_KV_MEMORY_AUTO,
    ES_KV_MEMORY_UNIFIED,
    ES_KV_MEMORY_DEVICE,
    ES_KV_MEMORY_SHARED
};

struct es_backends_request {
    enum es_backend_choice choice;
    enum es_kv_memory kv_memory; /* auto: unified on an integrated GPU, device on another */
    const char *board_title;     /* plan for this board; NULL: this machine */
};

struct es_backends {
    const struct es_backend_ops *ops;
    enum es_mem_kind kv_kind; /* host with the CPU engine */
    struct es_cuda *cuda;     /* &device when it is open, else NULL */
    struct es_cuda device;
    char reason[512]; /* "NVIDIA H200, 132 SMs", "this build has no GPU engine" */
};

/* ES_ERR_HARDWARE or ES_ERR_INPUT with the reason when `choice` is cuda and cannot be had. The
 * struct is filled and may be closed after a failure, too. */
ES_MUST_CHECK enum es_status es_backends_choose(struct es_backends *backends,
                                                const struct es_backends_request *request,
                                                const struct es_model *model, enum es_dtype dtype,
                                                struct es_error *error);

/* After the arena, whose memory may be the device's. */
void es_backends_close(struct es_backends *backends);

/* -- the GPU engine as this build has it: backends_cuda.c or backends_none.c ------------------- */

/* NULL when this build has none. */
const struct es_backend_ops *es_gpu_backend(void);

/* Whether its kernels are made for this model. */
ES_MUST_CHECK enum es_status es_gpu_check(const struct es_model *model, enum es_dtype dtype,
                                          struct es_error *error);
ES_MUST_CHECK enum es_status es_gpu_open(struct es_cuda *cuda, struct es_error *error);
void es_gpu_close(struct es_cuda *cuda);
void es_gpu_provider(struct es_cuda *cuda, struct es_memory_provider *provider);

/* What is left of the device's memory; of the board's where the GPU is integrated. */
ES_MUST_CHECK enum es_status es_gpu_available(struct es_cuda *cuda, size_t *bytes,
                                              struct es_error *error);

/* es_weights_load_device through this device. */
ES_MUST_CHECK enum es_status es_gpu_load(struct es_cuda *cuda, struct es_weights *weights,
                                         const struct es_model *model,
                                         const struct es_weights_layout *layout,
                                         const struct es_arena *arena, const char *directory,
                                         struct es_error *error);
