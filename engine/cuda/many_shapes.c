#include "engine/cuda/gemm.h"
#include "engine/cuda/many.h"
#include "engine/layer.h"

#define OPERATION_COUNT 12u
#define MATRIX_COUNT_MAX 3u

/* One kind of run of one operation: what it multiplies, by how many rows at most. */
struct operation {
    uint32_t row_count_max;
    uint32_t in_dim;
    uint32_t out_dims[MATRIX_COUNT_MAX]; /* 0: no such matrix */
    const struct es_matrix *matrices[MATRIX_COUNT_MAX];
};

/* The four products of a layer. */
static void add_layer(struct operation *operations, const struct es_stack *shape,
                      uint32_t row_count, const struct es_layer *layer) {
    const uint32_t q = shape->head_count * shape->head_dim;
    const uint32_t kv = shape->kv_head_count * shape->head_dim;
    operations[0] =
        (struct operation){row_count, shape->dim, {q, kv, kv}, {layer->wq, layer->wk, layer->wv}};
    operations[1] = (struct operation){row_count, q, {shape->dim}, {layer->wo}};
    operations[2] = (struct operation){
        row_count, shape->dim, {shape->hidden_dim, shape->hidden_dim}, {layer->w1, layer->w3}};
    operations[3] = (struct operation){row_count, shape->hidden_dim, {shape->dim}, {layer->w2}};
}

/* Everything that goes through es_cuda_*_many, of one layer of each stack. Without weights the
 * matrices point nowhere. */
static void list_operations(const struct es_model *model, const struct es_weights *weights,
                            uint32_t layer, uint32_t positions,
                            struct operation operations[OPERATION_COUNT]) {
    static const struct es_weights none;
    const struct es_weights *w = weights != NULL ? weights : &none;
    const struct es_layer encoder =
        es_layer_of_encoder(&w->encoder[layer < model->encoder.layer_count ? layer : 0]);
    const struct es_layer decoder =
        es_layer_of_decoder(&w->decoder[layer < model->decoder.layer_count ? layer : 0], NULL);
    const uint32_t dim = model->encoder.dim;
    const uint32_t frames = positions * model->downsample;
    operations[0] = (struct operation){
        positions * model->frames_per_position, 3u * model->mel_bin_count, {dim}, {&w->conv0}};
    operations[1] = (struct operation){frames, 3u * dim, {dim}, {&w->conv1}};
    operations[2] = (struct operation){
        positions, dim * model->downsample, {model->decoder.dim}, {&w->adapter0}};
    operations[3] =
        (struct operation){positions, model->decoder.dim, {model->decoder.dim}, {&w->adapter2}};
    add_layer(operations + 4, &model->encoder, frames, &encoder);
    add_layer(operations + 8, &model->decoder, ES_PROMPT_POSITIONS_MAX, &decoder);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

void es_cuda_many_scratch(const struct es_model *model, uint32_t positions_max, size_t *split_bytes,
                          size_t *products_bytes, uint32_t *row_count_max) {
    struct operation operations[OPERATION_COUNT];
    list_operations(model, NULL, 0, positions_max, operations);
    *split_bytes = 0;
    *products_bytes = 0;
    *row_count_max = 0;
    for (uint32_t i = 0; i < OPERATION_COUNT; i++) {
        const struct operation *operation = &operations[i];
        const size_t rows = es_cuda_gemm_row_count(operation->row_count_max);
        const size_t stride = (operation->in_dim + 31u) / 32u * 32u;
        size_t floats = 0;
        for (uint32_t k = 0; k < MATRIX_COUNT_MAX; k++) {
            floats += es_cuda_gemm_stride(operation->out_dims[k]);
        }
        *split_bytes = larger(*split_bytes, rows * stride * sizeof(uint16_t));
        *products_bytes = larger(*products_bytes, rows * floats * sizeof(float));
        *row_count_max = (uint32_t)larger(*row_count_max, operation->row_count_max);
    }
}

static enum es_status prepare_product(const struct es_cuda_ops *ops, const struct es_matrix *w,
                                      uint32_t row_count, struct es_error *error) {
    if (es_cuda_gemm_is_prepared(ops, w, row_count)) {
        return ES_OK;
    }
    enum es_status status = es_cuda_gemm_prepare(ops, w, row_count, error);
    if (status == ES_OK) {
        status = es_cuda_gemm(ops, w, row_count, ops->split, ops->products, error);
    }
    return status;
}

/* From the first row count that does not go to the few-row kernels, one of each multiple. */
static enum es_status prepare_operation(const struct es_cuda_ops *ops,
                                        const struct operation *operation, struct es_error *error) {
    struct es_matrix joined[MATRIX_COUNT_MAX];
    uint32_t count = 0;
    while (count < MATRIX_COUNT_MAX && operation->out_dims[count] > 0) {
        count++;
    }
    count = es_cuda_gemm_join(operation->matrices, count, joined);
    enum es_status status = ES_OK;
    if (operation->row_count_max <= ES_CUDA_FEW_ROWS_MAX) {
        return status;
    }
    const uint32_t stacked_max = es_cuda_gemm_row_count(operation->row_count_max);
    for (uint32_t stacked = es_cuda_gemm_row_count(ES_CUDA_FEW_ROWS_MAX + 1u);
         stacked <= stacked_max; stacked += ES_CUDA_GEMM_ROW_MULTIPLE) {
        for (uint32_t i = 0; i < count && status == ES_OK; i++) {
            status = prepare_product(ops, &joined[i], stacked / ES_CUDA_SPLIT_PART_COUNT, error);
        }
    }
    return status;
}

enum es_status es_cuda_many_prepare(const struct es_cuda_ops *ops, const struct es_model *model,
                                    const struct es_weights *weights, uint32_t positions_max,
                                    struct es_error *error) {
    size_t split_bytes = 0;
    size_t products_bytes = 0;
    uint32_t row_count_max = 0;
    es_cuda_many_scratch(model, positions_max, &split_bytes, &products_bytes, &row_count_max);
    enum es_status status = es_cuda_fill(ops->cuda, ops->split, 0, split_bytes, error);
    /* Layers differ in which of their matrices lie together: a region may end between them. */
    const uint32_t layer_count =
        (uint32_t)larger(model->encoder.layer_count, model->decoder.layer_count);
    for (uint32_t layer = 0; layer < layer_count; layer++) {
        struct operation operations[OPERATION_COUNT];
        list_operations(model, weights, layer, positions_max, operations);
        for (uint32_t i = 0; i < OPERATION_COUNT && status == ES_OK; i++) {
            status = prepare_operation(ops, &operations[i], error);
        }
    }
    return status;
}
