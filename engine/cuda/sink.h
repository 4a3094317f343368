/* sink.h - the way of the weights to the device.
 *
 *   status = es_cuda_sink_open(&sink, &cuda, &error);
 *   status = es_weights_load_device(&weights, ..., &sink.sink, directory, &error);
 *   es_cuda_sink_close(&sink);
 *
 * Copies run on the stream, behind the reader's back; a slot is an event. Main thread, boot only. */
#pragma once

#include "engine/weights.h"
#include "platform/jetson/cuda.h"

struct es_cuda_sink {
    struct es_weights_sink sink; /* its context is this struct: do not move it */
    struct es_cuda *cuda;        /* borrowed */
    struct es_cuda_event events[ES_SINK_SLOT_COUNT];
    bool is_marked[ES_SINK_SLOT_COUNT];
};

/* After a failure nothing is left open. */
ES_MUST_CHECK enum es_status es_cuda_sink_open(struct es_cuda_sink *sink, struct es_cuda *cuda,
                                               struct es_error *error);
void es_cuda_sink_close(struct es_cuda_sink *sink);
