#include "tests/engine_cuda/gpu.h"

enum es_status gpu_open(struct es_cuda *cuda, uint32_t sm_count, struct es_error *error) {
    return sm_count > 0 ? es_cuda_open_partly(cuda, es_cuda_runtime(), sm_count, error)
                        : es_cuda_open(cuda, es_cuda_runtime(), error);
}

bool gpu_is_simulated(void) {
    return false;
}

void gpu_reverse(void) {
}

void gpu_delay(uint32_t warp) {
    (void)warp;
}

void gpu_expect_real(void) {
}
