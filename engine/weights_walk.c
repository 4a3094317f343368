#include "engine/weights.h"

#include <stdio.h>

#define EMBEDDING "mm_streams_embeddings.embedding_module."
#define WHISPER EMBEDDING "whisper_encoder."

#define CONV_TAP_COUNT 3u

/* Sizes that a shape is made of; what they are is known once a model is. */
enum extent {
    NONE,
    MEL_BINS,
    ENCODER_DIM,
    ENCODER_QUERY, /* head_count * head_dim */
    ENCODER_KEY,   /* kv_head_count * head_dim */
    ENCODER_HIDDEN,
    ADAPTER_INPUT, /* encoder.dim * downsample */
    DECODER_DIM,
    DECODER_QUERY,
    DECODER_KEY,
    DECODER_HIDDEN,
    ADA,
    VOCAB,
    EXTENT_COUNT
};

enum flavour {
    VECTOR,
    MATRIX,
    CONV,           /* a matrix in three dimensions: [out, in, taps] */
    OPTIONAL_VECTOR /* a bias that only models with encoder_biases have */
};

struct row {
    const char *name; /* after the layer's prefix */
    enum flavour flavour;
    enum extent out;
    enum extent in; /* NONE for vectors */
    enum es_weight_part part;
    size_t offset; /* in the struct that holds the field */
};

#define OF_MODEL(field) offsetof(struct es_weights, field)
#define OF_ENCODER(field) offsetof(struct es_encoder_layer, field)
#define OF_DECODER(field) offsetof(struct es_decoder_layer, field)

/* clang-format off: tables */
static const struct row stem_rows[] = {
    {WHISPER "conv_layers.0.conv.weight", CONV, ENCODER_DIM, MEL_BINS, ES_WEIGHT_ENCODER,
     OF_MODEL(conv0)},
    {WHISPER "conv_layers.0.conv.bias", VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER,
     OF_MODEL(conv0_bias)},
    {WHISPER "conv_layers.1.conv.weight", CONV, ENCODER_DIM, ENCODER_DIM, ES_WEIGHT_ENCODER,
     OF_MODEL(conv1)},
    {WHISPER "conv_layers.1.conv.bias", VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER,
     OF_MODEL(conv1_bias)},
};
static const struct row encoder_rows[] = {
    {"attention_norm.weight", VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER,
     OF_ENCODER(attention_norm)},
    {"attention.wq.weight", MATRIX, ENCODER_QUERY, ENCODER_DIM, ES_WEIGHT_ENCODER, OF_ENCODER(wq)},
    {"attention.wq.bias", OPTIONAL_VECTOR, ENCODER_QUERY, NONE, ES_WEIGHT_ENCODER,
     OF_ENCODER(wq_bias)},
    {"attention.wk.weight", MATRIX, ENCODER_KEY, ENCODER_DIM, ES_WEIGHT_ENCODER, OF_ENCODER(wk)},
    {"attention.wv.weight", MATRIX, ENCODER_KEY, ENCODER_DIM, ES_WEIGHT_ENCODER, OF_ENCODER(wv)},
    {"attention.wv.bias", OPTIONAL_VECTOR, ENCODER_KEY, NONE, ES_WEIGHT_ENCODER,
     OF_ENCODER(wv_bias)},
    {"attention.wo.weight", MATRIX, ENCODER_DIM, ENCODER_QUERY, ES_WEIGHT_ENCODER, OF_ENCODER(wo)},
    {"attention.wo.bias", OPTIONAL_VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER,
     OF_ENCODER(wo_bias)},
    {"ffn_norm.weight", VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER, OF_ENCODER(ffn_norm)},
    {"feed_forward.w1.weight", MATRIX, ENCODER_HIDDEN, ENCODER_DIM, ES_WEIGHT_ENCODER,
     OF_ENCODER(w1)},
    {"feed_forward.w3.weight", MATRIX, ENCODER_HIDDEN, ENCODER_DIM, ES_WEIGHT_ENCODER,
     OF_ENCODER(w3)},
    {"feed_forward.w2.weight", MATRIX, ENCODER_DIM, ENCODER_HIDDEN, ES_WEIGHT_ENCODER,
     OF_ENCODER(w2)},
    {"feed_forward.w2.bias", OPTIONAL_VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER,
     OF_ENCODER(w2_bias)},
};
static const struct row adapter_rows[] = {
    {WHISPER "transformer.norm.weight", VECTOR, ENCODER_DIM, NONE, ES_WEIGHT_ENCODER,
     OF_MODEL(encoder_norm)},
    {EMBEDDING "audio_language_projection.0.weight", MATRIX, DECODER_DIM, ADAPTER_INPUT,
     ES_WEIGHT_ENCODER, OF_MODEL(adapter0)},
    {EMBEDDING "audio_language_projection.2.weight", MATRIX, DECODER_DIM, DECODER_DIM,
     ES_WEIGHT_ENCODER, OF_MODEL(adapter2)},
};
static const struct row decoder_rows[] = {
    {"attention_norm.weight", VECTOR, DECODER_DIM, NONE, ES_WEIGHT_DECODER,
     OF_DECODER(attention_norm)},
    {"attention.wq.weight", MATRIX, DECODER_QUERY, DECODER_DIM, ES_WEIGHT_DECODER, OF_DECODER(wq)},
    {"attention.wk.weight", MATRIX, DECODER_KEY, DECODER_DIM, ES_WEIGHT_DECODER, OF_DECODER(wk)},
    {"attention.wv.weight", MATRIX, DECODER_KEY, DECODER_DIM, ES_WEIGHT_DECODER, OF_DECODER(wv)},
    {"attention.wo.weight", MATRIX, DECODER_DIM, DECODER_QUERY, ES_WEIGHT_DECODER, OF_DECODER(wo)},
    {"ffn_norm.weight", VECTOR, DECODER_DIM, NONE, ES_WEIGHT_DECODER, OF_DECODER(ffn_norm)},
    {"ada_rms_norm_t_cond.0.weight", MATRIX, ADA, DECODER_DIM, ES_WEIGHT_DECODER, OF_DECODER(ada0)},
    {"ada_rms_norm_t_cond.2.weight", MATRIX, DECODER_DIM, ADA, ES_WEIGHT_DECODER, OF_DECODER(ada2)},
    {"feed_forward.w1.weight", MATRIX, DECODER_HIDDEN, DECODER_DIM, ES_WEIGHT_DECODER,
     OF_DECODER(w1)},
    {"feed_forward.w3.weight", MATRIX, DECODER_HIDDEN, DECODER_DIM, ES_WEIGHT_DECODER,
     OF_DECODER(w3)},
    {"feed_forward.w2.weight", MATRIX, DECODER_DIM, DECODER_HIDDEN, ES_WEIGHT_DECODER,
     OF_DECODER(w2)},
};
static const struct row head_rows[] = {
    {EMBEDDING "tok_embeddings.weight", MATRIX, VOCAB, DECODER_DIM, ES_WEIGHT_EMBEDDING,
     OF_MODEL(embedding)},
    {"norm.weight", VECTOR, DECODER_DIM, NONE, ES_WEIGHT_EMBEDDING, OF_MODEL(decoder_norm)},
};
/* clang-format on */

struct walk {
    uint64_t extents[EXTENT_COUNT];
    bool has_biases;
    es_weights_visit *visit;
    void *context;
};

static void measure(const struct es_model *model, uint64_t *extents) {
    const struct es_stack *encoder = &model->encoder;
    const struct es_stack *decoder = &model->decoder;
    extents[NONE] = 1;
    extents[MEL_BINS] = model->mel_bin_count;
    extents[ENCODER_DIM] = encoder->dim;
    extents[ENCODER_QUERY] = (uint64_t)encoder->head_count * encoder->head_dim;
    extents[ENCODER_KEY] = (uint64_t)encoder->kv_head_count * encoder->head_dim;
    extents[ENCODER_HIDDEN] = encoder->hidden_dim;
    extents[ADAPTER_INPUT] = (uint64_t)encoder->dim * model->downsample;
    extents[DECODER_DIM] = decoder->dim;
    extents[DECODER_QUERY] = (uint64_t)decoder->head_count * decoder->head_dim;
    extents[DECODER_KEY] = (uint64_t)decoder->kv_head_count * decoder->head_dim;
    extents[DECODER_HIDDEN] = decoder->hidden_dim;
    extents[ADA] = model->ada_dim;
    extents[VOCAB] = model->vocab_size;
}

/* Visits the rows of one table; `prefix` goes before their names and `base` is where the struct
 * that holds their fields starts. */
static enum es_status walk_rows(const struct walk *walk, const struct row *rows, size_t row_count,
                                const char *prefix, size_t base) {
    for (size_t i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        if (row->flavour == OPTIONAL_VECTOR && !walk->has_biases) {
            continue;
        }
        char name[ES_TENSOR_NAME_BYTES];
        snprintf(name, sizeof name, "%s%s", prefix, row->name);
        bool is_matrix = row->flavour == MATRIX || row->flavour == CONV;
        struct es_weight weight = {
            .name = name,
            .rank = row->flavour == CONV ? 3
                    : is_matrix          ? 2
                                         : 1,
            .shape = {walk->extents[row->out], walk->extents[row->in],
                      row->flavour == CONV ? CONV_TAP_COUNT : 1},
            .is_matrix = is_matrix,
            .part = row->part,
            .field_offset = base + row->offset,
        };
        enum es_status status = walk->visit(walk->context, &weight);
        if (status != ES_OK) {
            return status;
        }
    }
    return ES_OK;
}

#define WALK_ROWS(rows, prefix, base)                                                              \
    walk_rows(&walk, rows, sizeof(rows) / sizeof((rows)[0]), prefix, base)

enum es_status es_weights_walk(const struct es_model *model, es_weights_visit *visit,
                               void *context) {
    struct walk walk = {.has_biases = model->encoder_biases, .visit = visit, .context = context};
    measure(model, walk.extents);
    char prefix[ES_TENSOR_NAME_BYTES];
    enum es_status status = WALK_ROWS(stem_rows, "", 0);
    for (uint32_t i = 0; status == ES_OK && i < model->encoder.layer_count; i++) {
        snprintf(prefix, sizeof prefix, WHISPER "transformer.layers.%u.", i);
        status = WALK_ROWS(encoder_rows, prefix,
                           OF_MODEL(encoder) + i * sizeof(struct es_encoder_layer));
    }
    if (status == ES_OK) {
        status = WALK_ROWS(adapter_rows, "", 0);
    }
    for (uint32_t i = 0; status == ES_OK && i < model->decoder.layer_count; i++) {
        snprintf(prefix, sizeof prefix, "layers.%u.", i);
        status = WALK_ROWS(decoder_rows, prefix,
                           OF_MODEL(decoder) + i * sizeof(struct es_decoder_layer));
    }
    return status == ES_OK ? WALK_ROWS(head_rows, "", 0) : status;
}
