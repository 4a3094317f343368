#include "engine/cuda/workspace.h"

#include "platform/assert.h"

#include <string.h>

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Rows of one kind of run, and the widest that goes into and comes out of a product in it. */
struct load {
    size_t row_count, in_dim, out_dim;
};

static struct load stack_load(const struct es_stack *shape, size_t row_count) {
    size_t q = (size_t)shape->head_count * shape->head_dim;
    size_t kv = (size_t)shape->kv_head_count * shape->head_dim;
    struct load load = {
        .row_count = row_count,
        .in_dim = larger(larger(shape->dim, q), shape->hidden_dim),
        .out_dim = larger(larger(q + 2u * kv, 2u * (size_t)shape->hidden_dim), shape->dim),
    };
    return load;
}

/* The largest products: elements in (rows as wide as a matrix's stride) and out. */
static void many_elements(const struct es_model *model, const struct es_backend_config *config,
                          size_t *in, size_t *out) {
    size_t positions = config->encode_positions_max;
    const struct load loads[] = {
        {positions * model->frames_per_position, 3u * (size_t)model->mel_bin_count,
         model->encoder.dim},
        {positions * model->downsample, 3u * (size_t)model->encoder.dim, model->encoder.dim},
        stack_load(&model->encoder, positions * model->downsample),
        {positions, larger((size_t)model->encoder.dim * model->downsample, model->decoder.dim),
         model->decoder.dim},
        stack_load(&model->decoder, ES_PROMPT_POSITIONS_MAX),
    };
    *in = *out = 0;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        size_t stride = (loads[i].in_dim + 31u) / 32u * 32u;
        *in = larger(*in, loads[i].row_count * stride);
        *out = larger(*out, loads[i].row_count * loads[i].out_dim);
    }
}

static uint32_t row_count_max(const struct es_model *model,
                              const struct es_backend_config *config) {
    size_t frames = (size_t)config->encode_positions_max * model->frames_per_position;
    return (uint32_t)larger(frames, ES_PROMPT_POSITIONS_MAX);
}

static size_t partial_bytes(const struct es_model *model, const struct es_backend_config *config) {
    uint32_t rows = config->encode_positions_max * model->downsample;
    return larger(es_cuda_attention_scratch_bytes(&model->encoder, rows),
                  es_cuda_attention_scratch_bytes(&model->decoder, ES_PROMPT_POSITIONS_MAX));
}

static size_t ticket_bytes(const struct es_model *model, const struct es_backend_config *config) {
    uint32_t rows = config->encode_positions_max * model->downsample;
    size_t count = larger(es_cuda_attention_ticket_count(&model->encoder, rows),
                          es_cuda_attention_ticket_count(&model->decoder, ES_PROMPT_POSITIONS_MAX));
    return larger(count, 1u) * sizeof(uint32_t);
}

void es_cuda_workspace_layout(const struct es_model *model, const struct es_backend_config *config,
                              struct es_plan *plan, struct es_cuda_workspace_layout *layout) {
    size_t in = 0;
    size_t out = 0;
    many_elements(model, config, &in, &out);
    layout->partials_region = es_plan_add(plan, ES_MEM_DEVICE, "attention partials",
                                          larger(partial_bytes(model, config), sizeof(float)));
    layout->tickets_region =
        es_plan_add(plan, ES_MEM_DEVICE, "tickets", ticket_bytes(model, config));
    layout->split_region =
        es_plan_add(plan, ES_MEM_DEVICE, "split activations", 2u * in * sizeof(uint16_t));
    layout->products_region =
        es_plan_add(plan, ES_MEM_DEVICE, "products", 2u * out * sizeof(float));
    layout->blas_region =
        es_plan_add(plan, ES_MEM_DEVICE, "cublas workspace", ES_CUDA_BLAS_WORKSPACE_BYTES);
}

enum es_status es_cuda_workspace_open(struct es_cuda_ops *ops, const struct es_model *model,
                                      const struct es_backend_config *config,
                                      const struct es_cuda_workspace_layout *layout,
                                      const struct es_arena *arena, struct es_error *error) {
    ops->partials = es_arena_region(arena, layout->partials_region);
    ops->tickets = es_arena_region(arena, layout->tickets_region);
    ops->split = es_arena_region(arena, layout->split_region);
    ops->products = es_arena_region(arena, layout->products_region);
    ops->blas_workspace = es_arena_region(arena, layout->blas_region);
    ops->blas_workspace_bytes = ES_CUDA_BLAS_WORKSPACE_BYTES;
    ops->many_row_count_max = row_count_max(model, config);
    if (ops->partials == NULL || ops->tickets == NULL || ops->split == NULL ||
        ops->products == NULL || ops->blas_workspace == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuda scratch: its memory is not reserved; free some memory of the GPU");
    }
    return es_cuda_fill(ops->cuda, ops->tickets, 0, ticket_bytes(model, config), error);
}

void es_cuda_workspace_close(struct es_cuda_ops *ops) {
    ops->blas = NULL;
}
