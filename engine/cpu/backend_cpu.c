#include "engine/cpu/backend_cpu.h"

#include "engine/cpu/conv.h"
#include "engine/cpu/decoder.h"
#include "engine/cpu/encoder.h"
#include "engine/cpu/kernels.h"
#include "platform/assert.h"

#include <string.h>

#define NO_ID (-1)

struct es_backend {
    /* configuration */
    const struct es_model *model;
    uint32_t encode_positions_max;
    uint64_t start_position;
    /* stages, each with its own state */
    struct es_conv conv;
    struct es_encoder encoder;
    struct es_adapter adapter;
    struct es_decoder decoder;
    /* state */
    int32_t last_id; /* what the last step chose; NO_ID before the first */
};

/* The seam's layout is an array of numbers; this is what they mean here. */
struct cpu_layout {
    uint32_t backend_region;
    uint32_t conv_region;
    struct es_transformer_layout encoder;
    uint32_t adapter_region;
    struct es_decoder_layout decoder;
    uint32_t scratch_region;
};
_Static_assert(sizeof(struct cpu_layout) <= sizeof(struct es_backend_layout),
               "the layout of this backend fits into the seam's");

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void cpu_layout(const struct es_model *model, const struct es_backend_config *config,
                       struct es_plan *plan, struct es_backend_layout *layout) {
    ES_ASSERT(config->encode_positions_max >= 1);
    ES_ASSERT(config->encode_positions_max <= ES_ENCODE_POSITIONS_MAX);
    struct cpu_layout cpu;
    cpu.backend_region = es_plan_add(plan, ES_MEM_HOST, "cpu backend", sizeof(struct es_backend));
    cpu.conv_region = es_conv_layout(model, config, plan);
    es_encoder_layout(model, config, plan, &cpu.encoder);
    cpu.adapter_region = es_adapter_layout(model, config, plan);
    es_decoder_layout(model, plan, &cpu.decoder);
    /* One stack runs at a time, so they share it. */
    uint32_t window_max = larger(model->encoder.window, model->decoder.window);
    cpu.scratch_region = es_plan_add(plan, ES_MEM_HOST, "attention scratch",
                                     es_attention_scratch_bytes(window_max, config->thread_count));
    memset(layout, 0, sizeof *layout);
    memcpy(layout, &cpu, sizeof cpu);
}

static enum es_status cpu_init(struct es_backend **backend, const struct es_model *model,
                               const struct es_backend_config *config,
                               const struct es_backend_layout *layout, const struct es_arena *arena,
                               const struct es_weights *weights, struct es_error *error) {
    struct cpu_layout cpu;
    memcpy(&cpu, layout, sizeof cpu);
    ES_ASSERT(config->pool != NULL);
    ES_ASSERT(es_pool_thread_count(config->pool) <= config->thread_count);
    struct es_backend *self = es_arena_region(arena, cpu.backend_region);
    void *scratch = es_arena_region(arena, cpu.scratch_region);
    if (self == NULL || scratch == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cpu backend: host memory is not reserved; free some memory");
    }
    self->model = model;
    self->encode_positions_max = config->encode_positions_max;
    self->start_position = config->start_position;
    es_conv_init(&self->conv, model, config, cpu.conv_region, arena, weights);
    es_encoder_init(&self->encoder, model, config, &cpu.encoder, arena, weights, scratch);
    es_adapter_init(&self->adapter, model, config, cpu.adapter_region, arena, weights);
    es_decoder_init(&self->decoder, model, config, &cpu.decoder, arena, weights, scratch);
    self->last_id = NO_ID;
    *backend = self;
    return ES_OK;
}

static enum es_status cpu_reset(struct es_backend *backend, uint32_t delay_positions,
                                uint32_t *silent_count, struct es_error *error) {
    (void)error;
    if (silent_count != NULL) {
        *silent_count = 0;
    }
    ES_ASSERT(delay_positions >= 1);
    ES_ASSERT(delay_positions <= ES_DELAY_POSITIONS_MAX);
    uint64_t start = backend->start_position;
    es_conv_reset(&backend->conv, start * backend->model->frames_per_position);
    es_encoder_reset(&backend->encoder, start * backend->model->downsample);
    es_adapter_reset(&backend->adapter, start);
    es_decoder_reset(&backend->decoder, delay_positions, start);
    backend->last_id = NO_ID;
    return ES_OK;
}

static int cpu_encode(struct es_backend *backend, const float *mel, uint32_t position_count,
                      struct es_error *error) {
    ES_ASSERT(position_count >= 1);
    ES_ASSERT(position_count <= backend->encode_positions_max);
    es_conv_push(&backend->conv, mel, position_count, backend->encoder.stack.x);
    const float *frames =
        es_encoder_push(&backend->encoder, position_count * backend->model->downsample);
    enum es_status status = es_adapter_push(&backend->adapter, frames, position_count, error);
    if (status != ES_OK) {
        return status;
    }
    return (int)es_adapter_waiting_count(&backend->adapter);
}

static enum es_status cpu_prefill(struct es_backend *backend, const int32_t *ids, uint32_t id_count,
                                  float streaming_pad_bias, struct es_choice *choice,
                                  struct es_error *error) {
    ES_ASSERT(backend->last_id == NO_ID);
    enum es_status status = es_decoder_push(&backend->decoder, ids, id_count, &backend->adapter,
                                            streaming_pad_bias, choice, error);
    if (status == ES_OK) {
        backend->last_id = choice->id;
    }
    return status;
}

static enum es_status cpu_decode(struct es_backend *backend, const struct es_step *step,
                                 struct es_choice *choice, struct es_error *error) {
    int32_t id = step->id == ES_STEP_LAST ? backend->last_id : step->id;
    ES_ASSERT(id != NO_ID);
    enum es_status status = es_decoder_push(&backend->decoder, &id, 1, &backend->adapter,
                                            step->streaming_pad_bias, choice, error);
    if (status == ES_OK) {
        backend->last_id = choice->id;
    }
    return status;
}

/* All of it is in the arena. */
/* A call that has returned has done its work. */
static enum es_status cpu_wait(struct es_backend *backend, struct es_error *error) {
    (void)backend;
    (void)error;
    return ES_OK;
}

static void cpu_close(struct es_backend *backend) {
    (void)backend;
}

const struct es_backend_ops *es_backend_cpu(void) {
    static const struct es_backend_ops ops = {
        .name = "cpu",
        .cache_value_bytes = sizeof(float),
        .layout = cpu_layout,
        .init = cpu_init,
        .reset = cpu_reset,
        .encode = cpu_encode,
        .prefill = cpu_prefill,
        .decode = cpu_decode,
        .wait = cpu_wait,
        .close = cpu_close,
    };
    return &ops;
}
