/* fake_backend.h - a backend without a model: it checks the schedule and records it.
 *
 *   struct es_fake_backend fake;
 *   es_fake_backend_init(&fake, &model, encode_positions_max);
 *   es_stream_init(&stream, &model, max, es_backend_fake(), es_fake_backend_seam(&fake), ...);
 *
 * It chooses what `script` says (id 32 beyond its end), or whatever `choose` returns. A call that
 * breaks the seam's contract (a step with no embedding waiting, a second prompt) is a failed test.
 */
#pragma once

#include "engine/backend.h"

#define ES_FAKE_CALL_COUNT_MAX 8192u

struct es_fake_call {
    enum { ES_FAKE_PREFILL, ES_FAKE_DECODE } kind;
    uint32_t id_count;       /* of a prompt */
    int32_t first_id;        /* of a prompt; of a step: the id fed, ES_STEP_LAST resolved */
    int32_t last_id;         /* of a prompt */
    float bias;              /* for id 32 */
    uint64_t encoded_count;  /* positions encoded when the call came */
    uint64_t consumed_count; /* embeddings consumed after it */
};

struct es_fake_backend {
    const struct es_model *model;
    uint32_t encode_positions_max;
    const int32_t *script; /* what the n-th decision chooses */
    uint32_t script_count;
    uint32_t fail_after_steps; /* the call with this number fails; UINT32_MAX for never */
    uint32_t silent_count;     /* positions that a reset on silence holds already */
    /* what happened */
    uint32_t delay_positions;
    uint32_t reset_count;
    uint32_t encode_count;
    uint32_t encode_sizes[ES_FAKE_CALL_COUNT_MAX]; /* positions of each call */
    uint64_t encoded_count;                        /* silent ones included */
    uint64_t consumed_count;
    double mel_sum; /* frames weighted by their place: shows lost, doubled or swapped ones */
    uint64_t mel_frame_count;
    int32_t last_choice;
    struct es_fake_call calls[ES_FAKE_CALL_COUNT_MAX];
    uint32_t call_count;
};

void es_fake_backend_init(struct es_fake_backend *fake, const struct es_model *model,
                          uint32_t encode_positions_max);
struct es_backend *es_fake_backend_seam(struct es_fake_backend *fake);
const struct es_backend_ops *es_backend_fake(void);
