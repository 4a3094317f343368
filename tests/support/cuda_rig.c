#include "tests/support/cuda_rig.h"

#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN_BYTES 64u
#define STRIDE_ELEMENTS 32u
#define TAP_COUNT 3u
#define BLOCK_ROWS_MIN 8u

struct packing {
    const struct es_weights *host;
    char *staging; /* NULL while counting */
    char *memory;  /* the same bytes on the device */
    size_t used_bytes;
    struct es_weights *weights;
};

/* The next `bytes`: where they are written, and where they will be. */
static char *take(struct packing *packing, size_t bytes, const void **on_device) {
    char *here = packing->staging == NULL ? NULL : packing->staging + packing->used_bytes;
    *on_device = packing->memory == NULL ? NULL : packing->memory + packing->used_bytes;
    packing->used_bytes += (bytes + ALIGN_BYTES - 1u) / ALIGN_BYTES * ALIGN_BYTES;
    return here;
}

static uint32_t stride_of(uint32_t in_dim) {
    return (in_dim + STRIDE_ELEMENTS - 1u) / STRIDE_ELEMENTS * STRIDE_ELEMENTS;
}

/* Rows first .. first + count of a host matrix, padded; a convolution by tap. */
static void write_rows(char *target, const struct es_matrix *from, uint32_t first, uint32_t count,
                       bool is_conv) {
    uint32_t channels = from->in_dim / TAP_COUNT;
    uint16_t *rows = (uint16_t *)(void *)target;
    if (rows == NULL) {
        return;
    }
    for (uint32_t r = 0; r < count; r++) {
        const uint16_t *row = (const uint16_t *)from->data + (size_t)(first + r) * from->in_dim;
        uint16_t *padded = rows + (size_t)r * stride_of(from->in_dim);
        for (uint32_t i = 0; i < from->in_dim; i++) {
            padded[i] = row[is_conv ? i % channels * TAP_COUNT + i / channels : i];
        }
    }
}

/* Three blocks where there are rows enough, so that a test crosses their borders. */
static void pack_embedding(struct packing *packing, const struct es_matrix *from,
                           struct es_weights *weights) {
    uint32_t rows = (from->out_dim / 3u + BLOCK_ROWS_MIN) / BLOCK_ROWS_MIN * BLOCK_ROWS_MIN;
    weights->embedding_blocks.rows_per_block = rows;
    for (uint32_t first = 0; first < from->out_dim; first += rows) {
        uint32_t left = from->out_dim - first;
        uint32_t count = left < rows ? left : rows;
        const void *block;
        char *here = take(packing, (size_t)count * stride_of(from->in_dim) * 2u, &block);
        write_rows(here, from, first, count, false);
        weights->embedding_blocks.blocks[weights->embedding_blocks.block_count++] = block;
    }
    weights->embedding = (struct es_matrix){.out_dim = from->out_dim,
                                            .in_dim = from->in_dim,
                                            .dtype = from->dtype,
                                            .stride = stride_of(from->in_dim)};
}

static enum es_status visit(void *context, const struct es_weight *weight) {
    struct packing *packing = context;
    const char *field = (const char *)packing->host + weight->field_offset;
    char *target = (char *)packing->weights + weight->field_offset;
    const void *on_device = NULL;
    if (!weight->is_matrix) {
        const float *vector;
        memcpy(&vector, field, sizeof vector);
        char *here = take(packing, weight->shape[0] * sizeof(float), &on_device);
        if (here != NULL) {
            memcpy(here, vector, weight->shape[0] * sizeof(float));
        }
        memcpy(target, &on_device, sizeof on_device);
        return ES_OK;
    }
    struct es_matrix matrix;
    memcpy(&matrix, field, sizeof matrix);
    if (weight->part == ES_WEIGHT_EMBEDDING) {
        pack_embedding(packing, &matrix, packing->weights);
        return ES_OK;
    }
    char *here = take(packing, (size_t)matrix.out_dim * stride_of(matrix.in_dim) * 2u, &on_device);
    write_rows(here, &matrix, 0, matrix.out_dim, weight->rank == 3);
    matrix.data = on_device;
    matrix.stride = stride_of(matrix.in_dim);
    memcpy(target, &matrix, sizeof matrix);
    return ES_OK;
}

/* Shapes alone: what the walk says of each tensor. */
static enum es_status count_visit(void *context, const struct es_weight *weight) {
    size_t *bytes = context;
    size_t in_dim = weight->is_matrix ? stride_of((uint32_t)(weight->shape[1] * weight->shape[2]))
                                      : sizeof(float) / 2u;
    *bytes += (size_t)weight->shape[0] * in_dim * 2u + 3u * ALIGN_BYTES;
    return ES_OK;
}

static size_t weights_bytes(const struct es_model *model) {
    size_t bytes = 0;
    ES_EXPECT_EQ(es_weights_walk(model, count_visit, &bytes), ES_OK);
    return bytes;
}

static enum es_status place(struct es_cuda *cuda, const struct es_model *model,
                            const struct es_weights *host, void *memory, struct es_weights *weights,
                            struct es_error *error) {
    /* Kept until the next one: where the wait below fails, the copy may still be on its way. */
    static char *staging;
    size_t bytes = weights_bytes(model);
    free(staging);
    staging = calloc(1, bytes);
    struct packing packing = {
        .host = host, .staging = staging, .memory = memory, .weights = weights};
    ES_EXPECT(packing.staging != NULL && memory != NULL);
    ES_EXPECT_EQ(es_weights_walk(model, visit, &packing), ES_OK);
    ES_EXPECT(packing.used_bytes <= bytes);
    enum es_status status =
        es_cuda_copy(cuda, memory, packing.staging, bytes, ES_CUDA_TO_DEVICE, error);
    if (status == ES_OK) {
        status = es_cuda_wait(cuda, error);
    }
    return status;
}

static enum es_status fill(struct es_cuda *cuda, void *memory, int byte, size_t bytes,
                           struct es_error *error) {
    enum es_status status = es_cuda_fill(cuda, memory, byte, bytes, error);
    return status == ES_OK ? es_cuda_wait(cuda, error) : status;
}

void es_cuda_rig_device(struct es_rig_device *device, struct es_cuda *cuda,
                        enum es_mem_kind kv_kind) {
    *device = (struct es_rig_device){.cuda = cuda,
                                     .kv_kind = kv_kind,
                                     .weights_bytes = weights_bytes,
                                     .place = place,
                                     .fill = fill};
    es_cuda_provider(cuda, &device->provider);
}
