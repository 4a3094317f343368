/* backends_none.c - a build without nvcc: there is no GPU engine, and nobody gets as far as opening
 * a device. */
#include "app/backends.h"

static enum es_status refuse(struct es_error *error) {
    return es_fail(error, ES_ERR_HARDWARE,
                   "this build has no GPU engine: it was configured without nvcc");
}

const struct es_backend_ops *es_gpu_backend(void) {
    return NULL;
}

enum es_status es_gpu_check(const struct es_model *model, enum es_dtype dtype,
                            struct es_error *error) {
    (void)model;
    (void)dtype;
    return refuse(error);
}

enum es_status es_gpu_open(struct es_cuda *cuda, struct es_error *error) {
    (void)cuda;
    return refuse(error);
}

void es_gpu_close(struct es_cuda *cuda) {
    (void)cuda;
}

void es_gpu_provider(struct es_cuda *cuda, struct es_memory_provider *provider) {
    (void)cuda;
    *provider = (struct es_memory_provider){0};
}

enum es_status es_gpu_available(struct es_cuda *cuda, size_t *bytes, struct es_error *error) {
    (void)cuda;
    *bytes = 0;
    return refuse(error);
}

enum es_status es_gpu_load(struct es_cuda *cuda, struct es_weights *weights,
                           const struct es_model *model, const struct es_weights_layout *layout,
                           const struct es_arena *arena, const char *directory,
                           struct es_error *error) {
    (void)cuda;
    (void)weights;
    (void)model;
    (void)layout;
    (void)arena;
    (void)directory;
    return refuse(error);
}
