#include "platform/assert.h"
#include "platform/jetson/cuda_check.h"

/* -- graphs ------------------------------------------------------------------------------------ */

enum es_status es_cuda_graph_begin(struct es_cuda *cuda, struct es_error *error) {
    enum es_status status = ES_CUDA_TRY(
        cuda, error, stream_begin_capture(cuda->stream, cudaStreamCaptureModeThreadLocal),
        "graph: beginning to record");
    cuda->is_recording = status == ES_OK;
    return status;
}

/* Instantiates and uploads what was recorded, so that a launch has nothing left to prepare. */
static enum es_status make_executable(struct es_cuda *cuda, cudaGraph_t recorded,
                                      struct es_cuda_graph *graph, const char *name,
                                      struct es_error *error) {
    size_t node_count = 0;
    enum es_status status = ES_CUDA_TRY(cuda, error, graph_get_nodes(recorded, NULL, &node_count),
                                        "graph %s: counting its nodes", name);
    if (status != ES_OK) {
        return status;
    }
    cudaGraphExec_t executable = NULL;
    status = ES_CUDA_TRY(cuda, error, graph_instantiate(&executable, recorded, 0),
                         "graph %s: instantiating %zu nodes", name, node_count);
    if (status != ES_OK) {
        return status;
    }
    status = ES_CUDA_TRY(cuda, error, graph_upload(executable, cuda->stream),
                         "graph %s: uploading %zu nodes", name, node_count);
    if (status != ES_OK) {
        ES_CUDA_DROP(cuda, graph_exec_destroy(executable));
        return status;
    }
    graph->executable = executable;
    graph->node_count = (uint32_t)node_count;
    return ES_OK;
}

enum es_status es_cuda_graph_end(struct es_cuda *cuda, struct es_cuda_graph *graph,
                                 const char *name, struct es_error *error) {
    *graph = (struct es_cuda_graph){0};
    cuda->is_recording = false;
    cudaGraph_t recorded = NULL;
    enum es_status status = ES_CUDA_TRY(cuda, error, stream_end_capture(cuda->stream, &recorded),
                                        "graph %s: recording it", name);
    if (status != ES_OK) {
        return status;
    }
    status = make_executable(cuda, recorded, graph, name, error);
    ES_CUDA_DROP(cuda, graph_destroy(recorded));
    return status;
}

void es_cuda_graph_abandon(struct es_cuda *cuda) {
    cuda->is_recording = false;
    cudaGraph_t recorded = NULL;
    ES_CUDA_DROP(cuda, stream_end_capture(cuda->stream, &recorded));
    if (recorded != NULL) {
        ES_CUDA_DROP(cuda, graph_destroy(recorded));
    }
}

enum es_status es_cuda_graph_launch(struct es_cuda *cuda, const struct es_cuda_graph *graph,
                                    struct es_error *error) {
    ES_ASSERT(graph->executable != NULL);
    return ES_CUDA_TRY(cuda, error, graph_launch(graph->executable, cuda->stream),
                       "launching a graph of %u nodes", graph->node_count);
}

void es_cuda_graph_close(struct es_cuda *cuda, struct es_cuda_graph *graph) {
    if (graph->executable != NULL) {
        ES_CUDA_DROP(cuda, graph_exec_destroy(graph->executable));
    }
    *graph = (struct es_cuda_graph){0};
}

/* -- events ------------------------------------------------------------------------------------ */

enum es_status es_cuda_event_open(struct es_cuda *cuda, struct es_cuda_event *event, bool has_time,
                                  struct es_error *error) {
    const unsigned int flags =
        cudaEventBlockingSync | (has_time ? 0u : (unsigned int)cudaEventDisableTiming);
    cudaEvent_t opened = NULL;
    enum es_status status =
        ES_CUDA_TRY(cuda, error, event_create_with_flags(&opened, flags), "making an event");
    event->event = status == ES_OK ? opened : NULL;
    return status;
}

enum es_status es_cuda_event_record(struct es_cuda *cuda, const struct es_cuda_event *event,
                                    struct es_error *error) {
    return ES_CUDA_TRY(cuda, error, event_record(event->event, cuda->stream), "recording an event");
}

enum es_status es_cuda_event_wait(struct es_cuda *cuda, const struct es_cuda_event *event,
                                  struct es_error *error) {
    return ES_CUDA_TRY(cuda, error, event_synchronize(event->event), "waiting for an event");
}

enum es_status es_cuda_event_elapsed_ms(struct es_cuda *cuda, const struct es_cuda_event *first,
                                        const struct es_cuda_event *last, float *elapsed_ms,
                                        struct es_error *error) {
    return ES_CUDA_TRY(cuda, error, event_elapsed_time(elapsed_ms, first->event, last->event),
                       "time between two events");
}

void es_cuda_event_close(struct es_cuda *cuda, struct es_cuda_event *event) {
    if (event->event != NULL) {
        ES_CUDA_DROP(cuda, event_destroy(event->event));
        event->event = NULL;
    }
}
