#include "engine/weights.h"

#include "engine/safetensors.h"
#include "platform/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[] = {
    [ES_DTYPE_BF16] = {"BF16", 2}, [ES_DTYPE_F16] = {"F16", 2}, [ES_DTYPE_F32] = {"F32", 4}};

#define DTYPE_COUNT (sizeof dtypes / sizeof dtypes[0])

size_t es_dtype_bytes(enum es_dtype dtype) {
    return dtypes[dtype].bytes;
}

const char *es_dtype_name(enum es_dtype dtype) {
    return dtypes[dtype].name;
}

static uint64_t element_count(const struct es_weight *weight) {
    return weight->shape[0] * weight->shape[1] * weight->shape[2];
}

/* -- layout ------------------------------------------------------------------------------------ */

struct sizing {
    enum es_dtype dtype;
    size_t part_bytes[ES_WEIGHT_PART_COUNT];
};

/* The one place that knows where a tensor lies in its region: every walk deals out the same. */
static size_t deal(struct sizing *sizing, const struct es_weight *weight) {
    size_t element_bytes = es_dtype_bytes(weight->is_matrix ? sizing->dtype : ES_DTYPE_F32);
    size_t bytes = (size_t)element_count(weight) * element_bytes;
    size_t offset = sizing->part_bytes[weight->part];
    bytes = (bytes + ES_REGION_ALIGN_BYTES - 1) & ~(size_t)(ES_REGION_ALIGN_BYTES - 1);
    sizing->part_bytes[weight->part] += bytes;
    return offset;
}

static enum es_status visit_size(void *context, const struct es_weight *weight) {
    (void)deal(context, weight);
    return ES_OK;
}

void es_weights_layout(const struct es_model *model, enum es_dtype dtype, struct es_plan *plan,
                       struct es_weights_layout *layout) {
    struct sizing sizing = {.dtype = dtype};
    enum es_status status = es_weights_walk(model, visit_size, &sizing);
    ES_ASSERT(status == ES_OK);
    const size_t *bytes = sizing.part_bytes;
    layout->dtype = dtype;
    layout->encoder_region =
        es_plan_add(plan, ES_MEM_HOST, "encoder weights", bytes[ES_WEIGHT_ENCODER]);
    layout->decoder_region =
        es_plan_add(plan, ES_MEM_HOST, "decoder weights", bytes[ES_WEIGHT_DECODER]);
    layout->embedding_region =
        es_plan_add(plan, ES_MEM_HOST, "embedding weights", bytes[ES_WEIGHT_EMBEDDING]);
}

/* -- header ------------------------------------------------------------------------------------ */

/* One tensor on its way from the file into the arena. */
struct transfer {
    const struct es_tensor_info *info;
    void *target;
    size_t count; /* elements */
    enum es_dtype from;
    enum es_dtype to;
};

struct matching {
    const char *path;
    const struct es_safetensors *file;
    struct es_error *error;
    bool matrix_dtype_found[DTYPE_COUNT];
    uint32_t weight_count;
};

/* Finds the tensor of a weight and checks its shape and type. */
static enum es_status match(const struct matching *matching, const struct es_weight *weight,
                            const struct es_tensor_info **info, enum es_dtype *dtype) {
    char expected[64];
    es_shape_text(weight->shape, weight->rank, expected, sizeof expected);
    *info = es_safetensors_find(matching->file, weight->name);
    if (*info == NULL) {
        return es_fail(
            matching->error, ES_ERR_INPUT,
            "%s: tensor %s %s is missing; give the checkpoint that belongs to params.json",
            matching->path, weight->name, expected);
    }
    if ((*info)->rank != weight->rank ||
        memcmp((*info)->shape, weight->shape, weight->rank * sizeof weight->shape[0]) != 0) {
        char found[128];
        es_shape_text((*info)->shape, (*info)->rank, found, sizeof found);
        return es_fail(
            matching->error, ES_ERR_INPUT,
            "%s: tensor %s has shape %s, params.json makes it %s; give files that belong "
            "together",
            matching->path, weight->name, found, expected);
    }
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        if (strcmp((*info)->dtype, dtypes[i].name) == 0) {
            *dtype = (enum es_dtype)i;
            return ES_OK;
        }
    }
    return es_fail(matching->error, ES_ERR_INPUT,
                   "%s: tensor %s has type %s; BF16, F16 and F32 are supported", matching->path,
                   weight->name, (*info)->dtype);
}

static enum es_status visit_match(void *context, const struct es_weight *weight) {
    struct matching *matching = context;
    const struct es_tensor_info *info = NULL;
    enum es_dtype dtype = ES_DTYPE_F32;
    enum es_status status = match(matching, weight, &info, &dtype);
    if (status == ES_OK) {
        matching->matrix_dtype_found[dtype] |= weight->is_matrix;
        matching->weight_count++;
    }
    return status;
}

/* Opens the checkpoint and matches every weight. The caller owns *fd and *file on success. */
static enum es_status open_checked(const struct es_model *model, const char *path,
                                   struct es_safetensors *file, int *fd, enum es_dtype *dtype,
                                   uint32_t *weight_count, struct es_error *error) {
    enum es_status status = es_safetensors_open(file, path, fd, error);
    if (status != ES_OK) {
        return status;
    }
    struct matching matching = {.path = path, .file = file, .error = error};
    status = es_weights_walk(model, visit_match, &matching);
    if (status != ES_OK) {
        es_safetensors_close(file);
        close(*fd);
        return status;
    }
    /* BF16 has the range and F16 the precision: only F32 holds both. */
    const bool *found = matching.matrix_dtype_found;
    bool is_mixed = found[ES_DTYPE_BF16] && found[ES_DTYPE_F16];
    *dtype = found[ES_DTYPE_F32] || is_mixed ? ES_DTYPE_F32
             : found[ES_DTYPE_F16]           ? ES_DTYPE_F16
                                             : ES_DTYPE_BF16;
    *weight_count = matching.weight_count;
    return ES_OK;
}

static void checkpoint_path(const char *directory, char *path, size_t path_bytes) {
    snprintf(path, path_bytes, "%s/consolidated.safetensors", directory);
}

enum es_status es_weights_probe(const struct es_model *model, const char *directory,
                                enum es_dtype *dtype, struct es_error *error) {
    char path[ES_FILE_PATH_BYTES];
    checkpoint_path(directory, path, sizeof path);
    struct es_safetensors file;
    int fd = -1;
    uint32_t weight_count = 0;
    enum es_status status = open_checked(model, path, &file, &fd, dtype, &weight_count, error);
    if (status == ES_OK) {
        es_safetensors_close(&file);
        close(fd);
    }
    return status;
}

/* -- data -------------------------------------------------------------------------------------- */

static float widen(enum es_dtype dtype, uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t bits = (uint32_t)half << 16;
    if (dtype == ES_DTYPE_F16) {
        uint32_t exponent = half >> 10 & 0x1fu;
        uint32_t fraction = half & 0x3ffu;
        if (exponent == 0) { /* zero or subnormal: fraction * 2^-24, exact in f32 */
            float magnitude = (float)fraction * 0x1p-24f;
            return sign != 0 ? -magnitude : magnitude;
        }
        uint32_t widened = exponent == 0x1fu ? 0xffu : exponent + (127 - 15);
        bits = sign | widened << 23 | fraction << 13;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float value_at(const uint8_t *data, enum es_dtype dtype, size_t index) {
    if (dtype == ES_DTYPE_F32) {
        float value;
        memcpy(&value, data + index * sizeof value, sizeof value);
        return value;
    }
    uint16_t half;
    memcpy(&half, data + index * sizeof half, sizeof half);
    return widen(dtype, half);
}

/* Whether all values are finite: no exponent of all ones. Plain loops, which compilers turn into
 * SIMD: this reads every weight of the model once. */
static bool is_finite(const uint8_t *data, enum es_dtype dtype, size_t count) {
    uint32_t bad = 0;
    if (dtype == ES_DTYPE_F32) {
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, data + i * sizeof bits, sizeof bits);
            bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
        }
        return bad == 0;
    }
    uint16_t mask = dtype == ES_DTYPE_F16 ? 0x7c00u : 0x7f80u;
    uint16_t bad_half = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + i * sizeof half, sizeof half);
        bad_half |= (uint16_t)((half & mask) == mask);
    }
    return bad_half == 0;
}

static enum es_status fail_not_finite(const struct transfer *transfer, const char *path,
                                      const uint8_t *data, size_t first, size_t count,
                                      struct es_error *error) {
    size_t index = 0;
    while (index + 1 < count && isfinite(value_at(data, transfer->from, index))) {
        index++;
    }
    return es_fail(error, ES_ERR_INPUT,
                   "%s: tensor %s: value %zu is %g, weights are finite; the file is damaged, copy "
                   "it again",
                   path, transfer->info->name, first + index,
                   (double)value_at(data, transfer->from, index));
}

static enum es_status read_chunk(int fd, const char *path, uint8_t *data, size_t bytes,
                                 uint64_t offset, struct es_error *error) {
    size_t have = 0;
    while (have < bytes) {
        ssize_t n = pread(fd, data + have, bytes - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return es_fail(error, ES_ERR_INPUT,
                           "%s: reading stopped at byte %" PRIu64 ": %s; copy it again", path,
                           offset + have, n < 0 ? strerror(errno) : "the file became shorter");
        }
        have += (size_t)n;
    }
    /* A weight is in memory once: the page cache forgets what the arena has now. */
    (void)posix_fadvise(fd, 0, (off_t)(offset + bytes), POSIX_FADV_DONTNEED);
    return ES_OK;
}

/* Reads one tensor in chunks to where it stays. Values that are widened are read into the upper
 * half of their place and spread out from its start: value i is written to bytes 4i..4i+3 and read
 * from bytes 2n+2i.., which no earlier write has reached. */
static enum es_status read_tensor(const struct transfer *transfer, const char *path, int fd,
                                  uint64_t data_offset, struct es_error *error) {
    size_t from_bytes = es_dtype_bytes(transfer->from);
    size_t to_bytes = es_dtype_bytes(transfer->to);
    size_t chunk_count = ES_READ_CHUNK_BYTES / from_bytes;
    uint8_t *target = transfer->target;
    uint8_t *landing = target + transfer->count * (to_bytes - from_bytes);
    for (size_t first = 0; first < transfer->count; first += chunk_count) {
        size_t left = transfer->count - first;
        size_t count = left < chunk_count ? left : chunk_count;
        uint8_t *chunk = landing + first * from_bytes;
        uint64_t offset = data_offset + transfer->info->begin + first * from_bytes;
        enum es_status status = read_chunk(fd, path, chunk, count * from_bytes, offset, error);
        if (status != ES_OK) {
            return status;
        }
        if (!is_finite(chunk, transfer->from, count)) {
            return fail_not_finite(transfer, path, chunk, first, count, error);
        }
        for (size_t i = 0; transfer->from != transfer->to && i < count; i++) {
            float value = value_at(chunk, transfer->from, i);
            memcpy(target + (first + i) * sizeof value, &value, sizeof value);
        }
    }
    return ES_OK;
}

/* -- loading ----------------------------------------------------------------------------------- */

struct binding {
    struct matching matching;
    struct sizing sizing;
    struct es_weights *weights;
    uint8_t *parts[ES_WEIGHT_PART_COUNT];
    struct transfer *transfers;
    uint32_t transfer_count;
};

static enum es_status visit_bind(void *context, const struct es_weight *weight) {
    struct binding *binding = context;
    struct transfer *transfer = &binding->transfers[binding->transfer_count];
    enum es_status status = match(&binding->matching, weight, &transfer->info, &transfer->from);
    if (status != ES_OK) {
        return status;
    }
    transfer->to = weight->is_matrix ? binding->sizing.dtype : ES_DTYPE_F32;
    transfer->count = (size_t)element_count(weight);
    transfer->target = binding->parts[weight->part] + deal(&binding->sizing, weight);
    char *field = (char *)binding->weights + weight->field_offset;
    if (weight->is_matrix) {
        struct es_matrix matrix = {transfer->target, (uint32_t)weight->shape[0],
                                   (uint32_t)(weight->shape[1] * weight->shape[2]), transfer->to,
                                   (uint32_t)(weight->shape[1] * weight->shape[2])};
        memcpy(field, &matrix, sizeof matrix);
    } else {
        const float *vector = transfer->target;
        memcpy(field, &vector, sizeof vector);
    }
    binding->transfer_count++;
    return ES_OK;
}

static int by_offset(const void *a, const void *b) {
    uint64_t x = ((const struct transfer *)a)->info->begin;
    uint64_t y = ((const struct transfer *)b)->info->begin;
    return (x > y) - (x < y);
}

static enum es_status fill(struct binding *binding, const struct es_model *model, int fd) {
    const struct matching *matching = &binding->matching;
    enum es_status status = es_weights_walk(model, visit_bind, binding);
    if (status != ES_OK) {
        return status;
    }
    const struct es_matrix *embedding = &binding->weights->embedding;
    binding->weights->embedding_blocks =
        (struct es_row_blocks){{embedding->data}, 1, embedding->out_dim};
    qsort(binding->transfers, binding->transfer_count, sizeof *binding->transfers, by_offset);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (uint32_t i = 0; status == ES_OK && i < binding->transfer_count; i++) {
        status = read_tensor(&binding->transfers[i], matching->path, fd,
                             matching->file->data_offset, matching->error);
    }
    return status;
}

enum es_status es_weights_load(struct es_weights *weights, const struct es_model *model,
                               const struct es_weights_layout *layout, const struct es_arena *arena,
                               const char *directory, struct es_error *error) {
    char path[ES_FILE_PATH_BYTES];
    checkpoint_path(directory, path, sizeof path);
    struct es_safetensors file;
    int fd = -1;
    enum es_dtype dtype = layout->dtype;
    uint32_t weight_count = 0;
    enum es_status status = open_checked(model, path, &file, &fd, &dtype, &weight_count, error);
    if (status != ES_OK) {
        return status;
    }
    memset(weights, 0, sizeof *weights);
    struct binding binding = {
        .matching = {.path = path, .file = &file, .error = error},
        .sizing = {.dtype = layout->dtype},
        .weights = weights,
        .parts = {[ES_WEIGHT_ENCODER] = es_arena_region(arena, layout->encoder_region),
                  [ES_WEIGHT_DECODER] = es_arena_region(arena, layout->decoder_region),
                  [ES_WEIGHT_EMBEDDING] = es_arena_region(arena, layout->embedding_region)},
        .transfers = calloc(weight_count, sizeof(struct transfer)),
    };
    if (dtype != layout->dtype && layout->dtype != ES_DTYPE_F32) {
        status = es_fail(error, ES_ERR_INPUT,
                         "%s: holds %s matrices, but memory is planned for %s; start again if the "
                         "file was replaced",
                         path, es_dtype_name(dtype), es_dtype_name(layout->dtype));
    } else if (binding.transfers == NULL) {
        status = es_fail(error, ES_ERR_HARDWARE, "%s: no memory for its list of tensors", path);
    } else {
        status = fill(&binding, model, fd);
    }
    free(binding.transfers);
    es_safetensors_close(&file);
    close(fd);
    return status;
}
