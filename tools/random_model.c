/* The weights of a random model. What makes its ids vary, for any dimensions:
 *
 * - the embedding is small beside what the layers add to the residual stream (each of them about
 *   0.5 twice), because the head is the embedding again: an id's own logit grows with dim, the best
 *   of the others only with its root, and the input would repeat itself;
 * - the adapter's rows are smaller still: much of them is the same at every position, and would
 *   drown the ids;
 * - attention scores have std about 1.7 (wq and wk gain 1.3), so that windows and positions count;
 * - ada0 has gain 3, so that delays get conditionings that differ;
 * - the final norm makes logits of std 8: near-ties under 0.01 are rare.
 *
 * At the bring-up dimensions, seeds 1 to 3 give 32 to 54 different ids in about 100, and two
 * recordings agree in at most 10 of them. */
#include "tools/random_model.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_ELEMENTS (1u << 20)
#define EMBEDDING_SHARE 1.5 /* an id's own logit, in std of the others: below their best */
#define BIAS_STD 0.3
#define NORM_JITTER_STD 0.2
#define LOGIT_STD 8.0

/* Gain of a matrix: its std is gain / sqrt(in_dim). Those not listed have 1. */
static const struct {
    const char *suffix;
    double gain;
} gains[] = {
    {"conv_layers.0.conv.weight", 2.5},
    {"conv_layers.1.conv.weight", 1.5},
    {"attention.wq.weight", 1.3},
    {"attention.wk.weight", 1.3},
    {"feed_forward.w1.weight", 1.3},
    {"feed_forward.w3.weight", 1.3},
    {"ada_rms_norm_t_cond.0.weight", 3.0},
    {"ada_rms_norm_t_cond.2.weight", 0.7},
    {"audio_language_projection.0.weight", 1.3},
};
#define ADAPTER_GAIN_OF_EMBEDDING 0.5

struct writing {
    const char *path;
    const struct es_model *model;
    struct es_error *error;
    struct es_pool *pool;
    enum es_dtype dtype;
    uint64_t seed;
    uint8_t *buffers; /* one chunk per worker */
    int fd;
    FILE *header;    /* in memory; NULL once the header is written */
    uint64_t offset; /* of the next tensor, in the data; in the file once the header is written */
    uint32_t tensor_index;
    /* the tensor that the pool works on */
    uint64_t key;
    uint64_t count;
    double mean;
    double std;
    int failure; /* errno of a worker; read after the run */
};

static bool ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text);
    size_t m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static void scale(struct writing *writing, const struct es_weight *weight) {
    double decoder_root = sqrt((double)writing->model->decoder.dim);
    double layers_std = sqrt(writing->model->decoder.layer_count * 2 * 0.5 * 0.5);
    double embedding_std = EMBEDDING_SHARE * layers_std / decoder_root;
    double gain = 1.0;
    for (size_t i = 0; i < sizeof gains / sizeof gains[0]; i++) {
        gain = ends_with(weight->name, gains[i].suffix) ? gains[i].gain : gain;
    }
    writing->mean = 0.0;
    if (ends_with(weight->name, "tok_embeddings.weight")) {
        writing->std = embedding_std;
    } else if (weight->is_matrix) {
        bool is_adapter = ends_with(weight->name, "audio_language_projection.2.weight");
        gain = is_adapter ? ADAPTER_GAIN_OF_EMBEDDING * embedding_std : gain;
        writing->std = gain / sqrt((double)(weight->shape[1] * weight->shape[2]));
    } else if (ends_with(weight->name, ".bias")) {
        writing->std = BIAS_STD;
    } else {
        bool is_final = strcmp(weight->name, "norm.weight") == 0;
        writing->mean = is_final ? LOGIT_STD / (embedding_std * decoder_root) : 1.0;
        writing->std = writing->mean * NORM_JITTER_STD;
    }
}

/* splitmix64: a counter in, 64 good bits out, so that every value can be made on its own. */
static uint64_t mix(uint64_t counter) {
    uint64_t x = counter * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The sum of four uniform 16-bit numbers, centred: close to normal, and cut at 3.5 std. */
static float centred(uint64_t bits) {
    int32_t sum = (int32_t)(bits & 0xffff) + (int32_t)(bits >> 16 & 0xffff) +
                  (int32_t)(bits >> 32 & 0xffff) + (int32_t)(bits >> 48);
    return (float)(sum - 2 * 0xffff);
}
#define CENTRED_STD 37837.2 /* sqrt(4 * (65536^2 - 1) / 12) */

static uint16_t bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* Truncates, and values too small for a normal half become zero: enough for random weights. */
static uint16_t f16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    int32_t exponent = (int32_t)(bits >> 23 & 0xff) - 127 + 15;
    if (exponent <= 0) {
        return (uint16_t)sign;
    }
    return (uint16_t)(sign | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ffu));
}

static void make_chunk(const struct writing *writing, uint64_t first, size_t count, uint8_t *out) {
    float mean = (float)writing->mean;
    float factor = (float)(writing->std / CENTRED_STD);
    for (size_t i = 0; i < count; i++) {
        float value = mean + factor * centred(mix(writing->key + first + i));
        if (writing->dtype == ES_DTYPE_F32) {
            memcpy(out + i * sizeof value, &value, sizeof value);
        } else {
            uint16_t half = writing->dtype == ES_DTYPE_F16 ? f16_of(value) : bf16_of(value);
            memcpy(out + i * sizeof half, &half, sizeof half);
        }
    }
}

static int write_all(int fd, const void *data, size_t bytes, uint64_t offset) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pwrite(fd, (const char *)data + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static void write_chunk(void *context, uint32_t task_index, uint32_t worker_index) {
    struct writing *writing = context;
    size_t element_bytes = es_dtype_bytes(writing->dtype);
    uint8_t *buffer = writing->buffers + (size_t)worker_index * CHUNK_ELEMENTS * sizeof(float);
    uint64_t first = (uint64_t)task_index * CHUNK_ELEMENTS;
    uint64_t left = writing->count - first;
    size_t count = left < CHUNK_ELEMENTS ? (size_t)left : CHUNK_ELEMENTS;
    make_chunk(writing, first, count, buffer);
    int failure = write_all(writing->fd, buffer, count * element_bytes,
                            writing->offset + first * element_bytes);
    if (failure != 0) {
        __atomic_store_n(&writing->failure, failure, __ATOMIC_RELAXED);
    }
}

static uint64_t count_of(const struct es_weight *weight) {
    return weight->shape[0] * weight->shape[1] * weight->shape[2];
}

static enum es_status visit_header(void *context, const struct es_weight *weight) {
    struct writing *writing = context;
    uint64_t end = writing->offset + count_of(weight) * es_dtype_bytes(writing->dtype);
    fprintf(writing->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
            writing->offset > 0 ? "," : "{", weight->name, es_dtype_name(writing->dtype));
    for (uint32_t i = 0; i < weight->rank; i++) {
        fprintf(writing->header, "%s%llu", i > 0 ? "," : "", (unsigned long long)weight->shape[i]);
    }
    fprintf(writing->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)writing->offset,
            (unsigned long long)end);
    writing->offset = end;
    return ES_OK;
}

static enum es_status fail_write(const struct writing *writing, int failure) {
    return es_fail(writing->error, ES_ERR_OUTPUT,
                   "%s: cannot be written: %s; make room or give "
                   "another directory",
                   writing->path, strerror(failure));
}

static enum es_status visit_data(void *context, const struct es_weight *weight) {
    struct writing *writing = context;
    scale(writing, weight);
    writing->count = count_of(weight);
    /* Counters of different tensors lie 2^40 apart: no tensor has as many values. */
    writing->key = mix(writing->seed + 1) + ((uint64_t)writing->tensor_index << 40);
    writing->tensor_index++;
    uint32_t chunk_count = (uint32_t)((writing->count + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS);
    es_pool_run(writing->pool, write_chunk, writing, chunk_count);
    writing->offset += writing->count * es_dtype_bytes(writing->dtype);
    return writing->failure == 0 ? ES_OK : fail_write(writing, writing->failure);
}

/* Header first, with its length rounded up to 8 by spaces, as the format's own library does. */
static enum es_status write_header(struct writing *writing) {
    char *text = NULL;
    size_t text_bytes = 0;
    writing->header = open_memstream(&text, &text_bytes);
    if (writing->header == NULL) {
        return fail_write(writing, errno);
    }
    enum es_status status = es_weights_walk(writing->model, visit_header, writing);
    fputs("}", writing->header);
    for (long at = ftell(writing->header); at % 8 != 0; at++) {
        fputs(" ", writing->header);
    }
    if (fclose(writing->header) != 0) {
        free(text);
        return fail_write(writing, ENOMEM);
    }
    uint8_t length[8];
    for (size_t i = 0; i < sizeof length; i++) {
        length[i] = (uint8_t)(text_bytes >> (8 * i));
    }
    uint64_t data_bytes = writing->offset;
    writing->offset = sizeof length + text_bytes;
    /* Reserving the whole file finds a full disk before minutes of work. */
    int failure = posix_fallocate(writing->fd, 0, (off_t)(writing->offset + data_bytes));
    failure = failure != 0 ? failure : write_all(writing->fd, length, sizeof length, 0);
    failure = failure != 0 ? failure : write_all(writing->fd, text, text_bytes, sizeof length);
    free(text);
    return status != ES_OK ? status : failure == 0 ? ES_OK : fail_write(writing, failure);
}

static enum es_status write_checkpoint(struct writing *writing) {
    size_t buffers_bytes =
        (size_t)es_pool_thread_count(writing->pool) * CHUNK_ELEMENTS * sizeof(float);
    writing->buffers = malloc(buffers_bytes);
    if (writing->buffers == NULL) {
        return fail_write(writing, ENOMEM);
    }
    writing->fd = open(writing->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (writing->fd < 0) {
        free(writing->buffers);
        return es_fail(writing->error, ES_ERR_OUTPUT,
                       "%s: cannot be made: %s; give a new directory", writing->path,
                       strerror(errno));
    }
    enum es_status status = write_header(writing);
    if (status == ES_OK) {
        status = es_weights_walk(writing->model, visit_data, writing);
    }
    free(writing->buffers);
    if (close(writing->fd) != 0 && status == ES_OK) {
        status = fail_write(writing, errno);
    }
    if (status != ES_OK) {
        unlink(writing->path);
    }
    return status;
}

enum es_status es_random_model_write(const char *directory, const struct es_model *model,
                                     enum es_dtype dtype, uint64_t seed, struct es_pool *pool,
                                     struct es_error *error) {
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        return es_fail(error, ES_ERR_OUTPUT, "%s: cannot be made: %s; give a path that can be",
                       directory, strerror(errno));
    }
    enum es_status status = es_params_write(directory, model, error);
    if (status == ES_OK) {
        status = es_tekken_write(directory, model, error);
    }
    if (status != ES_OK) {
        return status;
    }
    char path[ES_FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s/consolidated.safetensors", directory);
    struct writing writing = {
        .path = path, .model = model, .error = error, .pool = pool, .dtype = dtype, .seed = seed};
    return write_checkpoint(&writing);
}
