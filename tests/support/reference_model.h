/* reference_model.h - the model once more: double precision, whole sequences, no rings, no state.
 *
 *   es_reference_run(&reference, &model, weights, mel, position_count, delay, ids, mistake);
 *   es_reference_rows(&reference, ES_STAGE_ENCODER_LAYER, 1)    [rows, dim]
 *   es_reference_free(&reference);
 *
 * Written from docs/MODEL.md alone, with masks instead of rings and plain loops instead of kernels.
 * Slow: for models of a few dozen dimensions. A planted mistake proves that a comparison with it
 * would notice that mistake in the engine. */
#pragma once

#include "engine/backend.h"

enum es_mistake {
    ES_MISTAKE_NONE,
    ES_MISTAKE_CONV1_PAD_TWO,
    ES_MISTAKE_CONV1_PAD_BEFORE_GELU, /* pads with what conv 0 gives for silence */
    ES_MISTAKE_TANH_GELU,
    ES_MISTAKE_ENCODER_WINDOW_WIDER,
    ES_MISTAKE_ENCODER_WINDOW_NARROWER,
    ES_MISTAKE_DECODER_WINDOW_WIDER,
    ES_MISTAKE_DECODER_WINDOW_NARROWER,
    ES_MISTAKE_NO_WV_BIAS,
    ES_MISTAKE_NO_W2_BIAS,
    ES_MISTAKE_HALF_SPLIT_ROTARY,
    ES_MISTAKE_SINE_FIRST,
    ES_MISTAKE_ADA_WITHOUT_ONE,
    ES_MISTAKE_KV_HEADS_INTERLEAVED,
    ES_MISTAKE_ADAPTER_CHANNEL_MAJOR,
    ES_MISTAKE_COUNT
};

struct es_reference_stage {
    double *rows; /* [row_count, dim] */
    uint32_t row_count;
    uint32_t dim;
};

struct es_reference {
    struct es_reference_stage *stages; /* [ES_STAGE_COUNT, ES_LAYER_COUNT_MAX] */
};

/* mel [position_count * frames_per_position, mel_bin_count]; ids [position_count]: the id fed at
 * each position. Every stage of every position, logits included, is kept until
 * es_reference_free. */
void es_reference_run(struct es_reference *reference, const struct es_model *model,
                      const struct es_weights *weights, const float *mel, uint32_t position_count,
                      uint32_t delay_positions, const int32_t *ids, enum es_mistake mistake);
const struct es_reference_stage *es_reference_rows(const struct es_reference *reference,
                                                   enum es_stage stage, uint32_t layer);
void es_reference_free(struct es_reference *reference);
