/* upload.h - weights on their way to the device: what es_weights_load_device copies with.
 *
 *   status = es_cuda_upload_open(&upload, &cuda, &sink, &error);
 *   status = es_weights_load_device(&weights, ..., &sink, directory, &error);
 *   es_cuda_upload_close(&upload);
 *
 * Copies are enqueued on the device's stream; an event for each slot says when its copies are done.
 * Boot only; main thread. */
#pragma once

#include "engine/weights.h"
#include "platform/jetson/cuda.h"

struct es_cuda_upload {
    struct es_cuda *cuda; /* borrowed */
    struct es_cuda_event events[ES_SINK_SLOT_COUNT];
    bool is_marked[ES_SINK_SLOT_COUNT];
};

/* `upload` must stay where it is while the sink is used. After a failure nothing is open. */
ES_MUST_CHECK enum es_status es_cuda_upload_open(struct es_cuda_upload *upload,
                                                 struct es_cuda *cuda, struct es_weights_sink *sink,
                                                 struct es_error *error);
void es_cuda_upload_close(struct es_cuda_upload *upload);
