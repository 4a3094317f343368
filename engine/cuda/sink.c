#include "engine/cuda/sink.h"

#include "platform/assert.h"

#include <string.h>

static enum es_status put(void *context, void *target, const void *source, size_t bytes,
                          struct es_error *error) {
    const struct es_cuda_sink *sink = context;
    return es_cuda_copy(sink->cuda, target, source, bytes, ES_CUDA_TO_DEVICE, error);
}

static enum es_status mark(void *context, uint32_t slot, struct es_error *error) {
    struct es_cuda_sink *sink = context;
    ES_ASSERT(slot < ES_SINK_SLOT_COUNT);
    sink->is_marked[slot] = true;
    return es_cuda_event_record(sink->cuda, &sink->events[slot], error);
}

static enum es_status wait(void *context, uint32_t slot, struct es_error *error) {
    struct es_cuda_sink *sink = context;
    ES_ASSERT(slot < ES_SINK_SLOT_COUNT);
    return sink->is_marked[slot] ? es_cuda_event_wait(sink->cuda, &sink->events[slot], error)
                                 : ES_OK;
}

static enum es_status finish(void *context, struct es_error *error) {
    const struct es_cuda_sink *sink = context;
    return es_cuda_wait(sink->cuda, error);
}

enum es_status es_cuda_sink_open(struct es_cuda_sink *sink, struct es_cuda *cuda,
                                 struct es_error *error) {
    memset(sink, 0, sizeof *sink);
    sink->cuda = cuda;
    sink->sink = (struct es_weights_sink){
        .context = sink, .put = put, .mark = mark, .wait = wait, .finish = finish};
    enum es_status status = ES_OK;
    for (uint32_t i = 0; status == ES_OK && i < ES_SINK_SLOT_COUNT; i++) {
        status = es_cuda_event_open(cuda, &sink->events[i], false, error);
    }
    if (status != ES_OK) {
        es_cuda_sink_close(sink);
    }
    return status;
}

void es_cuda_sink_close(struct es_cuda_sink *sink) {
    for (uint32_t i = 0; i < ES_SINK_SLOT_COUNT; i++) {
        es_cuda_event_close(sink->cuda, &sink->events[i]);
    }
}
