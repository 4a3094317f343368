/* model.h - the blueprint: every dimension of a Voxtral Realtime model, read from params.json.
 *
 *   struct es_model model;
 *   status = es_model_read(&model, "models/bringup", &error);
 *
 * Nothing about the 4B model is hard-coded: what a struct field holds came from the file and was
 * checked against bounds.h. Sources: params.json of Voxtral-Mini-4B-Realtime-2602 and
 * docs/MODEL.md. Immutable after reading; any thread may read it. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One transformer stack. `attention width` = head_count * head_dim, which need not equal dim. */
struct es_stack {
    uint32_t dim;           /* residual width: 1280 | 3072 (4B model: encoder | decoder) */
    uint32_t layer_count;   /* 32 | 26 */
    uint32_t head_dim;      /* 64 | 128; even */
    uint32_t hidden_dim;    /* SwiGLU width: 5120 | 9216 */
    uint32_t head_count;    /* query heads: 32 | 32 */
    uint32_t kv_head_count; /* 32 | 8; divides head_count */
    uint32_t window;        /* a query sees this many keys, its own included: 750 | 8192 */
    double rope_theta;      /* 1e6 | 1e6 */
    float norm_eps;         /* 1e-5 | 1e-5 */
};

struct es_model {
    struct es_stack encoder;
    struct es_stack decoder;
    bool encoder_biases;    /* wq, wv, wo, w2 of the encoder have a bias (wk, w1, w3 never do) */
    uint32_t mel_bin_count; /* 128 */
    uint32_t downsample;    /* encoder frames per position: 4 */
    uint32_t frames_per_position; /* mel frames per position: 2 * downsample = 8 */
    float log_mel_max;            /* global_log_mel_max: 1.5 */
    uint32_t ada_dim;             /* ada_rms_norm_t_cond_dim: 32 */
    uint32_t vocab_size;          /* 131072 */
};

/* Reads and checks DIRECTORY/params.json. Unknown keys are ignored; a missing, duplicate or
 * impossible value is named with what was found and what is allowed (ES_ERR_INPUT). Allocates while
 * it reads, keeps nothing. */
ES_MUST_CHECK enum es_status es_model_read(struct es_model *model, const char *directory,
                                           struct es_error *error);

/* The same from text in memory; `label` names it in errors. */
ES_MUST_CHECK enum es_status es_model_parse(struct es_model *model, const char *label,
                                            const char *text, size_t text_bytes,
                                            struct es_error *error);

#ifdef __cplusplus
}
#endif
