#include "engine/cuda/measure.h"

#include "engine/cuda/probe.h"
#include "platform/assert.h"

#include <string.h>

#define REPEAT_COUNT 5u /* the best of them counts, as for the ceiling */

static enum es_status open_pair(struct es_cuda *cuda, struct es_cuda_event *events,
                                struct es_error *error) {
    enum es_status status = es_cuda_event_open(cuda, &events[0], true, error);
    if (status == ES_OK) {
        status = es_cuda_event_open(cuda, &events[1], true, error);
    }
    return status;
}

static void close_pair(struct es_cuda *cuda, struct es_cuda_event *events) {
    es_cuda_event_close(cuda, &events[0]);
    es_cuda_event_close(cuda, &events[1]);
}

/* Seconds of one launch of the graph, on the device's clock. */
static enum es_status time_graph(struct es_cuda *cuda, const struct es_cuda_graph *graph,
                                 const struct es_cuda_event *events, double *seconds,
                                 struct es_error *error) {
    float elapsed_ms = 0;
    enum es_status status = es_cuda_event_record(cuda, &events[0], error);
    if (status == ES_OK) {
        status = es_cuda_graph_launch(cuda, graph, error);
    }
    if (status == ES_OK) {
        status = es_cuda_event_record(cuda, &events[1], error);
    }
    if (status == ES_OK) {
        status = es_cuda_event_wait(cuda, &events[1], error);
    }
    if (status == ES_OK) {
        status = es_cuda_event_elapsed_ms(cuda, &events[0], &events[1], &elapsed_ms, error);
    }
    *seconds = (double)elapsed_ms * 1e-3;
    return status;
}

/* -- the ceiling ------------------------------------------------------------------------------- */

static void list_chunks(const struct es_arena *arena, struct es_cuda_probe *probe) {
    for (uint32_t i = 0; i < arena->plan->chunk_count; i++) {
        if (arena->plan->chunks[i].kind == ES_MEM_DEVICE &&
            probe->block_count < ES_CUDA_PROBE_BLOCK_COUNT_MAX) {
            probe->blocks[probe->block_count] = arena->chunks[i].memory;
            probe->block_bytes[probe->block_count] = arena->chunks[i].bytes;
            probe->block_count++;
        }
    }
}

static enum es_status capture_probe(struct es_cuda *cuda, const struct es_cuda_probe *probe,
                                    uint32_t *sink, struct es_cuda_graph *graph,
                                    struct es_error *error) {
    enum es_status status = es_cuda_graph_begin(cuda, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_cuda_probe_read(cuda, probe, sink, error);
    if (status != ES_OK) {
        es_cuda_graph_abandon(cuda);
        return status;
    }
    return es_cuda_graph_end(cuda, graph, "read probe", error);
}

enum es_status es_cuda_measure_read(struct es_cuda *cuda, const struct es_arena *arena,
                                    double *pass_s, uint32_t pass_count, size_t *bytes,
                                    struct es_error *error) {
    struct es_cuda_probe probe = {.block_count = 0};
    list_chunks(arena, &probe);
    *bytes = (size_t)es_cuda_probe_bytes(&probe);
    struct es_cuda_event events[2] = {{NULL}, {NULL}};
    struct es_cuda_graph graph = {NULL, 0};
    void *sink = NULL;
    enum es_status status =
        es_cuda_memory_take(cuda, ES_MEM_DEVICE, sizeof(uint32_t), &sink, error);
    if (status == ES_OK) {
        status = open_pair(cuda, events, error);
    }
    if (status == ES_OK) {
        status = capture_probe(cuda, &probe, sink, &graph, error);
    }
    double warm_up_s = 0;
    if (status == ES_OK) {
        status = time_graph(cuda, &graph, events, &warm_up_s, error);
    }
    for (uint32_t pass = 0; status == ES_OK && pass < pass_count; pass++) {
        status = time_graph(cuda, &graph, events, &pass_s[pass], error);
    }
    es_cuda_graph_close(cuda, &graph);
    close_pair(cuda, events);
    es_cuda_memory_give_back(cuda, ES_MEM_DEVICE, sink);
    return status;
}

/* -- kernel by kernel -------------------------------------------------------------------------- */

static enum es_status capture_run(struct es_cuda *cuda, const struct es_cuda_measured_run *run,
                                  struct es_cuda_graph *graph, struct es_error *error) {
    enum es_status status = es_cuda_graph_begin(cuda, error);
    if (status != ES_OK) {
        return status;
    }
    status = run->enqueue(run->context, error);
    if (status != ES_OK) {
        es_cuda_graph_abandon(cuda);
        return status;
    }
    return es_cuda_graph_end(cuda, graph, run->name, error);
}

static enum es_status measure_one(struct es_cuda *cuda, const struct es_cuda_measured_run *run,
                                  const struct es_cuda_event *events, double *best_s,
                                  struct es_error *error) {
    struct es_cuda_graph graph = {NULL, 0};
    enum es_status status = capture_run(cuda, run, &graph, error);
    *best_s = 0;
    for (uint32_t i = 0; status == ES_OK && i <= REPEAT_COUNT; i++) {
        double seconds = 0;
        status = run->prepare(run->context, error);
        if (status == ES_OK) {
            status = time_graph(cuda, &graph, events, &seconds, error);
        }
        if (i > 0 && (i == 1 || seconds < *best_s)) {
            *best_s = seconds;
        }
    }
    es_cuda_graph_close(cuda, &graph);
    return status;
}

static void append(struct es_cuda_measured *measured, uint32_t *measured_count,
                   struct es_cuda_measured row) {
    if (*measured_count < ES_CUDA_MEASURE_COUNT_MAX) {
        measured[(*measured_count)++] = row;
    }
}

enum es_status es_cuda_measure_run(struct es_cuda *cuda, const struct es_cuda_measured_run *run,
                                   struct es_cuda_measured *measured, uint32_t *measured_count,
                                   struct es_error *error) {
    struct es_cuda_watch watch = {.kernel_count = 0};
    struct es_cuda_event events[2] = {{NULL}, {NULL}};
    ES_ASSERT(cuda->watch == NULL);
    cuda->watch = &watch;
    enum es_status status = open_pair(cuda, events, error);
    double whole_s = 0;
    if (status == ES_OK) {
        status = measure_one(cuda, run, events, &whole_s, error); /* and lists the kernels */
    }
    append(measured, measured_count,
           (struct es_cuda_measured){
               .stage = run->name, .name = "all of it", .per_frame = 1, .seconds = whole_s});
    watch.is_choosing = true;
    for (watch.chosen = 0; status == ES_OK && watch.chosen < watch.kernel_count; watch.chosen++) {
        const struct es_cuda_watched *kernel = &watch.kernels[watch.chosen];
        double seconds = 0;
        status = measure_one(cuda, run, events, &seconds, error);
        append(measured, measured_count,
               (struct es_cuda_measured){
                   .stage = run->name,
                   .name = kernel->name,
                   .per_frame = kernel->launch_count,
                   .bytes = (double)kernel->moved_bytes,
                   .seconds = seconds / kernel->launch_count,
               });
    }
    cuda->watch = NULL;
    close_pair(cuda, events);
    return status;
}
