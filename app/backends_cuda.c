#include "app/backends.h"

#include "engine/cuda/backend_cuda.h"
#include "engine/cuda/upload.h"

const struct es_backend_ops *es_gpu_backend(void) {
    return es_backend_cuda();
}

enum es_status es_gpu_check(const struct es_model *model, enum es_dtype dtype,
                            struct es_error *error) {
    return es_backend_cuda_check(model, dtype, error);
}

enum es_status es_gpu_open(struct es_cuda *cuda, struct es_error *error) {
    return es_cuda_open(cuda, es_cuda_runtime(), error);
}

void es_gpu_close(struct es_cuda *cuda) {
    es_cuda_close(cuda);
}

void es_gpu_provider(struct es_cuda *cuda, struct es_memory_provider *provider) {
    es_cuda_provider(cuda, provider);
}

enum es_status es_gpu_available(struct es_cuda *cuda, size_t *bytes, struct es_error *error) {
    return es_cuda_memory_available(cuda, bytes, error);
}

enum es_status es_gpu_load(struct es_cuda *cuda, struct es_weights *weights,
                           const struct es_model *model, const struct es_weights_layout *layout,
                           const struct es_arena *arena, const char *directory,
                           struct es_error *error) {
    struct es_cuda_upload upload;
    struct es_weights_sink sink;
    enum es_status status = es_cuda_upload_open(&upload, cuda, &sink, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_weights_load_device(weights, model, layout, arena, &sink, directory, error);
    es_cuda_upload_close(&upload);
    return status;
}
