#include "tests/support/fake_cuda_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the stream: operations run as late as they may -------------------------------------------- */

static void append(struct fake_list *list, struct fake_operation operation) {
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : list->room * 2;
        list->operations = realloc(list->operations, list->room * sizeof *list->operations);
    }
    list->operations[list->count++] = operation;
}

static void *copy_of(const void *work, size_t bytes) {
    void *copy = malloc(bytes);
    if (copy == NULL) {
        fprintf(stderr, "fake CUDA: no memory for %zu bytes of work\n", bytes);
        abort();
    }
    return memcpy(copy, work, bytes);
}

/* Another one, with work of its own. */
static struct fake_operation twin(const struct fake_operation *operation) {
    struct fake_operation other = *operation;
    other.work = operation->work != NULL ? copy_of(operation->work, operation->bytes) : NULL;
    return other;
}

void fake_enqueue(struct fake_operation operation) {
    if (fake.recording != NULL) {
        append(fake.recording, operation);
        return;
    }
    append(&fake.waiting, operation);
    fake.enqueued_count++;
}

void fake_cuda_enqueue(void (*run)(void *work, void *next), const void *work, size_t bytes) {
    struct fake_operation operation = {.run = run, .work = copy_of(work, bytes), .bytes = bytes};
    fake_enqueue(operation);
}

static void run_work(const struct fake_operation *operation, const struct fake_operation *next) {
    operation->run(operation->work,
                   next != NULL && next->run == operation->run ? next->work : NULL);
    free(operation->work);
}

void fake_drop_operations(struct fake_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->operations[i].work);
    }
    free(list->operations);
}

void fake_run_until(uint64_t enqueued_count) {
    size_t done = 0;
    while (done < fake.waiting.count && fake.done_count < enqueued_count) {
        const struct fake_operation *operation = &fake.waiting.operations[done++];
        if (operation->source != NULL) {
            memmove(operation->target, operation->source, operation->bytes);
        } else if (operation->run != NULL) {
            run_work(operation, done < fake.waiting.count ? operation + 1 : NULL);
        } else if (operation->function == NULL) {
            memset(operation->target, operation->byte, operation->bytes);
        } else if (fake.kernel != NULL) {
            fake.kernel(operation->function, NULL);
        }
        fake.done_count++;
    }
    fake.waiting.count -= done;
    if (done == 0) {
        return;
    }
    memmove(fake.waiting.operations, fake.waiting.operations + done,
            fake.waiting.count * sizeof *fake.waiting.operations);
}

void fake_forget_stream(void) {
    fake_drop_operations(&fake.waiting);
}

static cudaError_t stream_create_with_flags(cudaStream_t *stream, unsigned int flags) {
    (void)flags;
    cudaError_t result;
    if (!fake_enter("stream_create_with_flags", &result)) {
        return result;
    }
    *stream = fake_new_object();
    return cudaSuccess;
}

static cudaError_t stream_destroy(cudaStream_t stream) {
    cudaError_t result;
    if (!fake_enter("stream_destroy", &result)) {
        return result;
    }
    fake_run_until(UINT64_MAX);
    fake_drop_object((const void *)stream);
    return cudaSuccess;
}

static cudaError_t stream_synchronize(cudaStream_t stream) {
    (void)stream;
    cudaError_t result;
    if (!fake_enter("stream_synchronize", &result)) {
        return result;
    }
    if (fake.recording != NULL) {
        return cudaErrorStreamCaptureUnsupported;
    }
    fake_run_until(UINT64_MAX);
    return cudaSuccess;
}

/* -- kernels ----------------------------------------------------------------------------------- */

static cudaError_t func_get_attributes(struct cudaFuncAttributes *attributes,
                                       const void *function) {
    cudaError_t result;
    (void)function;
    memset(attributes, 0, sizeof *attributes);
    return fake_enter("func_get_attributes", &result) ? cudaSuccess : result;
}

static cudaError_t func_set_attribute(const void *function, enum cudaFuncAttribute attribute,
                                      int value) {
    cudaError_t result;
    (void)function;
    (void)attribute;
    (void)value;
    return fake_enter("func_set_attribute", &result) ? cudaSuccess : result;
}

static cudaError_t launch_kernel_ex(const cudaLaunchConfig_t *config, const void *function,
                                    void **args) {
    cudaError_t result;
    if (!fake_enter("launch_kernel_ex", &result)) {
        return result;
    }
    if (config->blockDim.x == 0 || config->blockDim.x > 1024 || config->gridDim.x == 0) {
        return cudaErrorInvalidConfiguration;
    }
    fake.launch_count++;
    if (fake.recording != NULL || fake.kernel == NULL) {
        fake_enqueue((struct fake_operation){.function = function});
        return cudaSuccess;
    }
    fake_run_until(UINT64_MAX); /* the hook wants its arguments, which do not outlive the call */
    fake.kernel(function, args);
    return cudaSuccess;
}

/* -- graphs ------------------------------------------------------------------------------------ */

static cudaError_t stream_begin_capture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    (void)stream;
    (void)mode;
    cudaError_t result;
    if (!fake_enter("stream_begin_capture", &result)) {
        return result;
    }
    if (fake.recording != NULL) {
        return cudaErrorIllegalState;
    }
    fake.recording = fake_new_object();
    return cudaSuccess;
}

static void drop_recording(void) {
    if (fake.recording != NULL) {
        fake_drop_object(fake.recording);
        fake.recording = NULL;
    }
}

static cudaError_t stream_end_capture(cudaStream_t stream, cudaGraph_t *graph) {
    (void)stream;
    cudaError_t result;
    *graph = NULL;
    if (!fake_enter("stream_end_capture", &result)) {
        drop_recording(); /* a capture that failed is over */
        return result;
    }
    if (fake.recording == NULL) {
        return cudaErrorIllegalState;
    }
    *graph = (cudaGraph_t)fake.recording;
    fake.recording = NULL;
    return cudaSuccess;
}

static cudaError_t graph_get_nodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    (void)nodes;
    cudaError_t result;
    if (!fake_enter("graph_get_nodes", &result)) {
        return result;
    }
    *count = ((const struct fake_list *)(const void *)graph)->count;
    return cudaSuccess;
}

static cudaError_t graph_instantiate(cudaGraphExec_t *executable, cudaGraph_t graph,
                                     unsigned long long flags) {
    (void)flags;
    cudaError_t result;
    if (!fake_enter("graph_instantiate", &result)) {
        return result;
    }
    const struct fake_list *recorded = (const struct fake_list *)(const void *)graph;
    struct fake_list *copied = fake_new_object();
    for (size_t i = 0; i < recorded->count; i++) {
        append(copied, twin(&recorded->operations[i]));
    }
    *executable = (cudaGraphExec_t)copied;
    return cudaSuccess;
}

static cudaError_t graph_upload(cudaGraphExec_t executable, cudaStream_t stream) {
    (void)executable;
    (void)stream;
    cudaError_t result;
    return fake_enter("graph_upload", &result) ? cudaSuccess : result;
}

static cudaError_t graph_launch(cudaGraphExec_t executable, cudaStream_t stream) {
    (void)stream;
    cudaError_t result;
    if (!fake_enter("graph_launch", &result)) {
        return result;
    }
    const struct fake_list *list = (const struct fake_list *)(const void *)executable;
    for (size_t i = 0; i < list->count; i++) {
        fake_enqueue(twin(&list->operations[i]));
    }
    return cudaSuccess;
}

static cudaError_t destroy_list(const char *call, const void *list) {
    cudaError_t result;
    if (!fake_enter(call, &result)) {
        return result;
    }
    fake_drop_object(list);
    return cudaSuccess;
}

static cudaError_t graph_destroy(cudaGraph_t graph) {
    return destroy_list("graph_destroy", (const void *)graph);
}

static cudaError_t graph_exec_destroy(cudaGraphExec_t executable) {
    return destroy_list("graph_exec_destroy", (const void *)executable);
}

/* -- events ------------------------------------------------------------------------------------ */

static cudaError_t event_create_with_flags(cudaEvent_t *event, unsigned int flags) {
    (void)flags;
    cudaError_t result;
    if (!fake_enter("event_create_with_flags", &result)) {
        return result;
    }
    *event = fake_new_object();
    return cudaSuccess;
}

static cudaError_t event_record(cudaEvent_t event, cudaStream_t stream) {
    (void)stream;
    cudaError_t result;
    if (!fake_enter("event_record", &result)) {
        return result;
    }
    struct fake_list *recorded = (struct fake_list *)(void *)event;
    recorded->after_count = fake.enqueued_count;
    recorded->is_recorded = true;
    return cudaSuccess;
}

static cudaError_t event_synchronize(cudaEvent_t event) {
    cudaError_t result;
    if (!fake_enter("event_synchronize", &result)) {
        return result;
    }
    const struct fake_list *waited = (const struct fake_list *)(const void *)event;
    if (waited->is_recorded) {
        fake_run_until(waited->after_count);
    }
    return cudaSuccess;
}

static cudaError_t event_elapsed_time(float *elapsed_ms, cudaEvent_t first, cudaEvent_t last) {
    (void)first;
    (void)last;
    cudaError_t result;
    *elapsed_ms = 1.0f;
    return fake_enter("event_elapsed_time", &result) ? cudaSuccess : result;
}

static cudaError_t event_destroy(cudaEvent_t event) {
    cudaError_t result;
    if (!fake_enter("event_destroy", &result)) {
        return result;
    }
    fake_drop_object((const void *)event);
    return cudaSuccess;
}

void fake_add_stream_calls(struct es_cuda_calls *calls) {
    calls->stream_create_with_flags = stream_create_with_flags;
    calls->stream_destroy = stream_destroy;
    calls->stream_synchronize = stream_synchronize;
    calls->func_get_attributes = func_get_attributes;
    calls->func_set_attribute = func_set_attribute;
    calls->launch_kernel_ex = launch_kernel_ex;
    calls->stream_begin_capture = stream_begin_capture;
    calls->stream_end_capture = stream_end_capture;
    calls->graph_get_nodes = graph_get_nodes;
    calls->graph_instantiate = graph_instantiate;
    calls->graph_upload = graph_upload;
    calls->graph_launch = graph_launch;
    calls->graph_destroy = graph_destroy;
    calls->graph_exec_destroy = graph_exec_destroy;
    calls->event_create_with_flags = event_create_with_flags;
    calls->event_record = event_record;
    calls->event_synchronize = event_synchronize;
    calls->event_elapsed_time = event_elapsed_time;
    calls->event_destroy = event_destroy;
}
