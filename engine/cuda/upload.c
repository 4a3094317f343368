#include "engine/cuda/upload.h"

#include "platform/assert.h"

static enum es_status put(void *context, void *target, const void *source, size_t bytes,
                          struct es_error *error) {
    struct es_cuda_upload *upload = context;
    return es_cuda_copy(upload->cuda, target, source, bytes, ES_CUDA_TO_DEVICE, error);
}

static enum es_status mark(void *context, uint32_t slot, struct es_error *error) {
    struct es_cuda_upload *upload = context;
    ES_ASSERT(slot < ES_SINK_SLOT_COUNT);
    upload->is_marked[slot] = true;
    return es_cuda_event_record(upload->cuda, &upload->events[slot], error);
}

static enum es_status wait(void *context, uint32_t slot, struct es_error *error) {
    struct es_cuda_upload *upload = context;
    ES_ASSERT(slot < ES_SINK_SLOT_COUNT);
    return upload->is_marked[slot] ? es_cuda_event_wait(upload->cuda, &upload->events[slot], error)
                                   : ES_OK;
}

static enum es_status finish(void *context, struct es_error *error) {
    struct es_cuda_upload *upload = context;
    return es_cuda_wait(upload->cuda, error);
}

enum es_status es_cuda_upload_open(struct es_cuda_upload *upload, struct es_cuda *cuda,
                                   struct es_weights_sink *sink, struct es_error *error) {
    *upload = (struct es_cuda_upload){.cuda = cuda};
    enum es_status status = ES_OK;
    for (uint32_t i = 0; status == ES_OK && i < ES_SINK_SLOT_COUNT; i++) {
        status = es_cuda_event_open(cuda, &upload->events[i], false, error);
    }
    if (status != ES_OK) {
        es_cuda_upload_close(upload);
        return status;
    }
    *sink = (struct es_weights_sink){
        .context = upload, .put = put, .mark = mark, .wait = wait, .finish = finish};
    return ES_OK;
}

void es_cuda_upload_close(struct es_cuda_upload *upload) {
    for (uint32_t i = 0; i < ES_SINK_SLOT_COUNT; i++) {
        es_cuda_event_close(upload->cuda, &upload->events[i]);
    }
}
