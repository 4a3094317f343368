#include "tests/support/random_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every block of one model's memory hangs on a list, so that freeing needs no walk over tensors. */
struct block {
    struct block *next;
    char padding[64 - sizeof(struct block *)];
};

struct random_model {
    struct es_weights weights; /* first: what the caller sees */
    struct block *blocks;
    uint64_t state;
    enum es_dtype dtype;
};

float es_random_next(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)((double)(z >> 11) / 4503599627370496.0 - 1.0);
}

static void *new_block(struct random_model *random, size_t bytes) {
    struct block *block = aligned_alloc(64, sizeof *block + ((bytes + 63u) & ~(size_t)63u));
    if (block == NULL) {
        abort();
    }
    block->next = random->blocks;
    random->blocks = block;
    return block + 1;
}

static float *new_vector(struct random_model *random, uint32_t count, float middle, float spread) {
    float *vector = new_block(random, count * sizeof *vector);
    for (uint32_t i = 0; i < count; i++) {
        vector[i] = middle + spread * es_random_next(&random->state);
    }
    return vector;
}

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Truncates: the values are random, so only that both sides read the same ones matters. Normal
 * numbers and zero only. */
static uint16_t to_half(float value) {
    uint32_t bits = float_bits(value);
    int exponent = (int)(bits >> 23 & 0xffu) - 127 + 15;
    uint32_t sign = bits >> 16 & 0x8000u;
    return exponent <= 0 ? (uint16_t)sign
                         : (uint16_t)(sign | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ffu));
}

static double from_half(uint16_t half) {
    int exponent = half >> 10 & 0x1f;
    double value =
        exponent == 0 ? 0.0 : ldexp(1.0 + (double)(half & 0x3ffu) / 1024.0, exponent - 15);
    return half >> 15 ? -value : value;
}

static struct es_matrix new_matrix(struct random_model *random, uint32_t out_dim, uint32_t in_dim,
                                   float gain) {
    size_t count = (size_t)out_dim * in_dim;
    void *data = new_block(random, count * sizeof(float));
    float scale = gain * sqrtf(3.0f / (float)in_dim); /* uniform: variance gain^2 / in_dim */
    for (size_t i = 0; i < count; i++) {
        float value = scale * es_random_next(&random->state);
        if (random->dtype == ES_DTYPE_F32) {
            ((float *)data)[i] = value;
        } else if (random->dtype == ES_DTYPE_F16) {
            ((uint16_t *)data)[i] = to_half(value);
        } else {
            ((uint16_t *)data)[i] = (uint16_t)(float_bits(value) >> 16);
        }
    }
    return (struct es_matrix){data, out_dim, in_dim, random->dtype, in_dim};
}

double es_matrix_at(const struct es_matrix *matrix, uint32_t row, uint32_t column) {
    size_t i = (size_t)row * matrix->in_dim + column;
    if (matrix->dtype == ES_DTYPE_F32) {
        return (double)((const float *)matrix->data)[i];
    }
    uint16_t half = ((const uint16_t *)matrix->data)[i];
    return matrix->dtype == ES_DTYPE_F16 ? from_half(half)
                                         : (double)bits_float((uint32_t)half << 16);
}

static void fill_encoder_layer(struct random_model *random, const struct es_model *model,
                               struct es_encoder_layer *layer) {
    const struct es_stack *shape = &model->encoder;
    uint32_t q_width = shape->head_count * shape->head_dim;
    uint32_t kv_width = shape->kv_head_count * shape->head_dim;
    layer->attention_norm = new_vector(random, shape->dim, 1.0f, 0.3f);
    layer->wq = new_matrix(random, q_width, shape->dim, 1.5f);
    layer->wk = new_matrix(random, kv_width, shape->dim, 1.5f);
    layer->wv = new_matrix(random, kv_width, shape->dim, 1.0f);
    layer->wo = new_matrix(random, shape->dim, q_width, 1.0f);
    layer->ffn_norm = new_vector(random, shape->dim, 1.0f, 0.3f);
    layer->w1 = new_matrix(random, shape->hidden_dim, shape->dim, 1.5f);
    layer->w3 = new_matrix(random, shape->hidden_dim, shape->dim, 1.0f);
    layer->w2 = new_matrix(random, shape->dim, shape->hidden_dim, 1.0f);
    if (model->encoder_biases) {
        layer->wq_bias = new_vector(random, q_width, 0.0f, 0.5f);
        layer->wv_bias = new_vector(random, kv_width, 0.0f, 0.5f);
        layer->wo_bias = new_vector(random, shape->dim, 0.0f, 0.5f);
        layer->w2_bias = new_vector(random, shape->dim, 0.0f, 0.5f);
    }
}

static void fill_decoder_layer(struct random_model *random, const struct es_model *model,
                               struct es_decoder_layer *layer) {
    const struct es_stack *shape = &model->decoder;
    uint32_t q_width = shape->head_count * shape->head_dim;
    uint32_t kv_width = shape->kv_head_count * shape->head_dim;
    layer->attention_norm = new_vector(random, shape->dim, 1.0f, 0.3f);
    layer->wq = new_matrix(random, q_width, shape->dim, 1.5f);
    layer->wk = new_matrix(random, kv_width, shape->dim, 1.5f);
    layer->wv = new_matrix(random, kv_width, shape->dim, 1.0f);
    layer->wo = new_matrix(random, shape->dim, q_width, 1.0f);
    layer->ffn_norm = new_vector(random, shape->dim, 1.0f, 0.3f);
    layer->ada0 = new_matrix(random, model->ada_dim, shape->dim, 1.5f);
    layer->ada2 = new_matrix(random, shape->dim, model->ada_dim, 1.0f);
    layer->w1 = new_matrix(random, shape->hidden_dim, shape->dim, 1.5f);
    layer->w3 = new_matrix(random, shape->hidden_dim, shape->dim, 1.0f);
    layer->w2 = new_matrix(random, shape->dim, shape->hidden_dim, 1.0f);
}

struct es_weights *es_random_weights(const struct es_model *model, enum es_dtype dtype,
                                     uint64_t seed) {
    struct random_model *random = calloc(1, sizeof *random);
    if (random == NULL) {
        abort();
    }
    random->state = seed;
    random->dtype = dtype;
    struct es_weights *weights = &random->weights;
    uint32_t dim = model->encoder.dim;
    weights->conv0 = new_matrix(random, dim, model->mel_bin_count * 3, 1.5f);
    weights->conv0_bias = new_vector(random, dim, 0.0f, 0.5f);
    weights->conv1 = new_matrix(random, dim, dim * 3, 1.5f);
    weights->conv1_bias = new_vector(random, dim, 0.0f, 0.5f);
    for (uint32_t i = 0; i < model->encoder.layer_count; i++) {
        fill_encoder_layer(random, model, &weights->encoder[i]);
    }
    weights->encoder_norm = new_vector(random, dim, 1.0f, 0.3f);
    weights->adapter0 = new_matrix(random, model->decoder.dim, dim * model->downsample, 1.5f);
    weights->adapter2 = new_matrix(random, model->decoder.dim, model->decoder.dim, 2.0f);
    weights->embedding = new_matrix(random, model->vocab_size, model->decoder.dim, 0.7f);
    for (uint32_t i = 0; i < model->decoder.layer_count; i++) {
        fill_decoder_layer(random, model, &weights->decoder[i]);
    }
    weights->decoder_norm = new_vector(random, model->decoder.dim, 1.0f, 0.3f);
    return weights;
}

void es_random_weights_free(struct es_weights *weights) {
    struct random_model *random = (struct random_model *)weights;
    while (random->blocks != NULL) {
        struct block *next = random->blocks->next;
        free(random->blocks);
        random->blocks = next;
    }
    free(random);
}

void es_random_mel(const struct es_model *model, uint32_t frame_count, uint64_t seed, float *mel) {
    uint64_t state = seed;
    float level = 0.0f;
    for (uint32_t t = 0; t < frame_count; t++) {
        if (t % 5 == 0) {
            level = es_random_next(&state);
        }
        for (uint32_t i = 0; i < model->mel_bin_count; i++) {
            *mel++ = 0.3f + 0.5f * level + 0.5f * es_random_next(&state);
        }
    }
}
