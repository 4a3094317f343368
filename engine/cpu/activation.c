#include "engine/cpu/kernel_set.h"

/* 128 KiB of gate and up together: enough to outweigh handing out the task. */
#define BLOCK_ELEMENTS 16384u

struct silu_run {
    float *gate;
    const float *up;
    size_t count;
};

void es_gelu(float *x, size_t count) {
    es_kernel_set_current()->gelu(x, count);
}

static void silu_task(void *context, uint32_t task_index, uint32_t worker_index) {
    (void)worker_index;
    const struct silu_run *run = context;
    size_t first = (size_t)task_index * BLOCK_ELEMENTS;
    size_t left = run->count - first;
    es_kernel_set_current()->silu_multiply(run->gate + first, run->up + first,
                                           left < BLOCK_ELEMENTS ? left : BLOCK_ELEMENTS);
}

void es_silu_multiply(struct es_pool *pool, float *gate, const float *up, size_t count) {
    struct silu_run run = {gate, up, count};
    es_pool_run(pool, silu_task, &run, (uint32_t)((count + BLOCK_ELEMENTS - 1u) / BLOCK_ELEMENTS));
}
