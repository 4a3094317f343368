#include "engine/cuda/workspace.h"

#include "engine/cuda/gemm.h"
#include "engine/cuda/many.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t partial_bytes(const struct es_model *model, const struct es_backend_config *config) {
    uint32_t rows = config->encode_positions_max * model->downsample;
    size_t attention =
        larger(es_cuda_attention_scratch_bytes(&model->encoder, rows),
               es_cuda_attention_scratch_bytes(&model->decoder, ES_PROMPT_POSITIONS_MAX));
    return larger(attention, ES_CUDA_CHOOSE_SCRATCH_BYTES);
}

static size_t ticket_bytes(const struct es_model *model, const struct es_backend_config *config) {
    uint32_t rows = config->encode_positions_max * model->downsample;
    size_t count = larger(es_cuda_attention_ticket_count(&model->encoder, rows),
                          es_cuda_attention_ticket_count(&model->decoder, ES_PROMPT_POSITIONS_MAX));
    /* The arrivals first: they are 8 bytes, and must be aligned so. */
    return sizeof(uint64_t) + larger(count, 1u) * sizeof(uint32_t);
}

static size_t blas_bytes(size_t products_bytes) {
    size_t bytes = larger(4u * products_bytes, ES_CUDA_BLAS_WORKSPACE_BYTES_MIN);
    return bytes < ES_CUDA_BLAS_WORKSPACE_BYTES_MAX ? bytes : ES_CUDA_BLAS_WORKSPACE_BYTES_MAX;
}

void es_cuda_workspace_layout(const struct es_model *model, const struct es_backend_config *config,
                              struct es_plan *plan, struct es_cuda_workspace_layout *layout) {
    size_t split_bytes = 0;
    size_t products_bytes = 0;
    uint32_t row_count_max = 0;
    es_cuda_many_scratch(model, config->encode_positions_max, &split_bytes, &products_bytes,
                         &row_count_max);
    layout->partials_region = es_plan_add(plan, ES_MEM_DEVICE, "attention partials",
                                          larger(partial_bytes(model, config), sizeof(float)));
    layout->tickets_region =
        es_plan_add(plan, ES_MEM_DEVICE, "tickets", ticket_bytes(model, config));
    layout->split_region = es_plan_add(plan, ES_MEM_DEVICE, "split activations", split_bytes);
    layout->products_region = es_plan_add(plan, ES_MEM_DEVICE, "products", products_bytes);
    layout->blas_region =
        es_plan_add(plan, ES_MEM_DEVICE, "cublas workspace", blas_bytes(products_bytes));
    layout->plans_region =
        es_plan_add(plan, ES_MEM_HOST, "cublas algorithms", es_cuda_gemm_bytes());
}

enum es_status es_cuda_workspace_open(struct es_cuda_ops *ops, const struct es_model *model,
                                      const struct es_backend_config *config,
                                      const struct es_cuda_workspace_layout *layout,
                                      const struct es_arena *arena,
                                      const struct es_weights *weights, struct es_error *error) {
    size_t split_bytes = 0;
    size_t products_bytes = 0;
    es_cuda_many_scratch(model, config->encode_positions_max, &split_bytes, &products_bytes,
                         &ops->many_row_count_max);
    ops->partials = es_arena_region(arena, layout->partials_region);
    ops->arrivals = es_arena_region(arena, layout->tickets_region);
    ops->tickets = (uint32_t *)(void *)(ops->arrivals + 1);
    /* Measured on such chips alone; on older ones each operation is by itself. */
    ops->joins_layers =
        ops->cuda->compute_capability >= ES_CUDA_LAYER_CAPABILITY_MIN && !config->separates_layers;
    ops->split = es_arena_region(arena, layout->split_region);
    ops->products = es_arena_region(arena, layout->products_region);
    ops->blas_workspace = es_arena_region(arena, layout->blas_region);
    ops->blas_workspace_bytes = blas_bytes(products_bytes);
    void *plans = es_arena_region(arena, layout->plans_region);
    if (ops->partials == NULL || ops->arrivals == NULL || ops->split == NULL ||
        ops->products == NULL || ops->blas_workspace == NULL || plans == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuda scratch: its memory is not reserved; free some memory of the GPU");
    }
    enum es_status status =
        es_cuda_fill(ops->cuda, ops->arrivals, 0, ticket_bytes(model, config), error);
    if (status == ES_OK) {
        status = es_cuda_gemm_open(ops, config->blas != NULL ? config->blas : es_blas_runtime(),
                                   plans, error);
    }
    if (status != ES_OK) {
        return status;
    }
    return es_cuda_many_prepare(ops, model, weights, config->encode_positions_max, error);
}

void es_cuda_workspace_close(struct es_cuda_ops *ops) {
    es_cuda_gemm_close(ops);
}
