#include "tests/support/fake_backend.h"

#include "engine/tokenizer.h"
#include "tests/support/test.h"

#include <string.h>

void es_fake_backend_init(struct es_fake_backend *fake, const struct es_model *model,
                          uint32_t encode_positions_max) {
    memset(fake, 0, sizeof *fake);
    fake->model = model;
    fake->encode_positions_max = encode_positions_max;
    fake->fail_after_steps = UINT32_MAX;
}

struct es_backend *es_fake_backend_seam(struct es_fake_backend *fake) {
    return (struct es_backend *)(void *)fake;
}

static struct es_fake_backend *fake_of(struct es_backend *backend) {
    return (struct es_fake_backend *)(void *)backend;
}

static void fake_layout(const struct es_model *model, const struct es_backend_config *config,
                        struct es_plan *plan, struct es_backend_layout *layout) {
    (void)model;
    (void)config;
    (void)plan;
    (void)layout;
}

static enum es_status fake_init(struct es_backend **backend, const struct es_model *model,
                                const struct es_backend_config *config,
                                const struct es_backend_layout *layout,
                                const struct es_arena *arena, const struct es_weights *weights,
                                struct es_error *error) {
    (void)backend;
    (void)model;
    (void)config;
    (void)layout;
    (void)arena;
    (void)weights;
    return es_fail(error, ES_ERR_NO, "the fake backend is made by es_fake_backend_init");
}

static enum es_status fake_reset(struct es_backend *backend, uint32_t delay_positions,
                                 uint32_t *silent_count, struct es_error *error) {
    (void)error;
    struct es_fake_backend *fake = fake_of(backend);
    uint32_t begin = 0;
    if (silent_count != NULL) {
        begin = *silent_count = fake->silent_count;
    }
    fake->delay_positions = delay_positions;
    fake->reset_count++;
    fake->encode_count = 0;
    fake->encoded_count = begin;
    fake->consumed_count = begin;
    fake->mel_sum = 0;
    fake->mel_frame_count = 0;
    fake->call_count = 0;
    fake->last_choice = -1;
    return ES_OK;
}

static int fake_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                       struct es_error *error) {
    (void)error;
    struct es_fake_backend *fake = fake_of(backend);
    ES_EXPECT(position_count >= 1 && position_count <= fake->encode_positions_max);
    uint32_t frame_count = position_count * fake->model->frames_per_position;
    for (uint32_t t = 0; t < frame_count; t++) {
        for (uint32_t bin = 0; bin < fake->model->mel_bin_count; bin++) {
            fake->mel_sum += (double)mel[t * fake->model->mel_bin_count + bin] *
                             (double)(fake->mel_frame_count % 1009u + 1u) * (bin + 1u);
        }
        fake->mel_frame_count++;
    }
    ES_EXPECT(fake->encode_count < ES_FAKE_CALL_COUNT_MAX);
    fake->encode_sizes[fake->encode_count++] = position_count;
    fake->encoded_count += position_count;
    uint64_t waiting_count = fake->encoded_count - fake->consumed_count;
    ES_EXPECT(waiting_count <= ES_PROMPT_POSITIONS_MAX + fake->encode_positions_max);
    return (int)waiting_count;
}

static enum es_status choose(struct es_fake_backend *fake, struct es_fake_call *call,
                             struct es_choice *choice, struct es_error *error) {
    if (fake->call_count == fake->fail_after_steps) {
        return es_fail(error, ES_ERR_HARDWARE, "fake backend: told to fail");
    }
    ES_EXPECT(fake->consumed_count <= fake->encoded_count);
    ES_EXPECT(fake->call_count < ES_FAKE_CALL_COUNT_MAX);
    call->encoded_count = fake->encoded_count;
    call->consumed_count = fake->consumed_count;
    uint32_t decision_index = fake->call_count;
    choice->id =
        decision_index < fake->script_count ? fake->script[decision_index] : ES_ID_STREAMING_PAD;
    choice->margin = (float)decision_index;
    fake->last_choice = choice->id;
    fake->calls[fake->call_count++] = *call;
    return ES_OK;
}

static enum es_status fake_prefill(struct es_backend *backend, const int32_t *ids,
                                   uint32_t id_count, float streaming_pad_bias,
                                   struct es_choice *choice, struct es_error *error) {
    struct es_fake_backend *fake = fake_of(backend);
    ES_EXPECT_EQ(fake->call_count, 0);
    for (uint32_t i = 1; i < id_count; i++) {
        ES_EXPECT_EQ(ids[i], ES_ID_STREAMING_PAD);
    }
    fake->consumed_count += id_count;
    struct es_fake_call call = {.kind = ES_FAKE_PREFILL,
                                .id_count = id_count,
                                .first_id = ids[0],
                                .last_id = ids[id_count - 1],
                                .bias = streaming_pad_bias};
    return choose(fake, &call, choice, error);
}

static enum es_status fake_decode(struct es_backend *backend, const struct es_step *step,
                                  struct es_choice *choice, struct es_error *error) {
    struct es_fake_backend *fake = fake_of(backend);
    ES_EXPECT(fake->call_count > 0 || (fake->consumed_count > 0 && step->id != ES_STEP_LAST));
    fake->consumed_count++;
    struct es_fake_call call = {.kind = ES_FAKE_DECODE,
                                .first_id = step->id == ES_STEP_LAST ? fake->last_choice : step->id,
                                .bias = step->streaming_pad_bias};
    return choose(fake, &call, choice, error);
}

static enum es_status fake_wait(struct es_backend *backend, struct es_error *error) {
    (void)backend;
    (void)error;
    return ES_OK;
}

static void fake_close(struct es_backend *backend) {
    (void)backend;
}

const struct es_backend_ops *es_backend_fake(void) {
    static const struct es_backend_ops ops = {
        .name = "fake",
        .cache_value_bytes = sizeof(float),
        .layout = fake_layout,
        .init = fake_init,
        .reset = fake_reset,
        .encode = fake_encode,
        .prefill = fake_prefill,
        .decode = fake_decode,
        .wait = fake_wait,
        .close = fake_close,
    };
    return &ops;
}
