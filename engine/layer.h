/* layer.h - the weights of one transformer layer, whichever stack it belongs to.
 *
 *   struct es_layer layer = es_layer_of_encoder(&weights->encoder[i]);
 *   struct es_layer layer = es_layer_of_decoder(&weights->decoder[i], ada);
 *
 *   x += wo attention(rmsnorm(x, attention_norm)) + bias
 *   x += w2 (silu(w1 h) * w3 h) + bias,   h = rmsnorm(x, ffn_norm) * (1 + ada)
 *
 * A view: all pointers are borrowed from the weights. Any thread. */
#pragma once

#include "engine/weights.h"

/* What a stack has none of is NULL. */
struct es_layer {
    const float *attention_norm;
    const struct es_matrix *wq, *wk, *wv, *wo;
    const float *wq_bias, *wv_bias, *wo_bias;
    const float *ffn_norm;
    const float *ada; /* [dim] where the engine computes: on the host or the device */
    const struct es_matrix *w1, *w3, *w2;
    const float *w2_bias;
};

static inline struct es_layer es_layer_of_encoder(const struct es_encoder_layer *weights) {
    return (struct es_layer){
        .attention_norm = weights->attention_norm,
        .wq = &weights->wq,
        .wk = &weights->wk,
        .wv = &weights->wv,
        .wo = &weights->wo,
        .wq_bias = weights->wq_bias,
        .wv_bias = weights->wv_bias,
        .wo_bias = weights->wo_bias,
        .ffn_norm = weights->ffn_norm,
        .w1 = &weights->w1,
        .w3 = &weights->w3,
        .w2 = &weights->w2,
        .w2_bias = weights->w2_bias,
    };
}

static inline struct es_layer es_layer_of_decoder(const struct es_decoder_layer *weights,
                                                  const float *ada) {
    return (struct es_layer){
        .attention_norm = weights->attention_norm,
        .wq = &weights->wq,
        .wk = &weights->wk,
        .wv = &weights->wv,
        .wo = &weights->wo,
        .ffn_norm = weights->ffn_norm,
        .ada = ada,
        .w1 = &weights->w1,
        .w3 = &weights->w3,
        .w2 = &weights->w2,
    };
}
