#include "engine/cuda/backend_inner.h"
#include "engine/tokenizer.h"
#include "platform/assert.h"

#include <string.h>

size_t es_cuda_position_floats(const struct es_model *model) {
    return (size_t)model->frames_per_position * model->mel_bin_count;
}

static void deal_shared(struct es_cuda_shared *shared, const struct es_model *model,
                        const struct es_backend_config *config, struct es_deal *deal) {
    size_t mel_positions = ES_CUDA_GRAPH_POSITIONS + config->encode_positions_max;
    shared->input = es_deal_bytes(deal, sizeof *shared->input);
    shared->output = es_deal_bytes(deal, sizeof *shared->output);
    shared->state = es_deal_bytes(deal, sizeof *shared->state);
    shared->encoder_turns =
        es_deal_bytes(deal, model->encoder.head_dim / 2u * sizeof *shared->encoder_turns);
    shared->decoder_turns =
        es_deal_bytes(deal, model->decoder.head_dim / 2u * sizeof *shared->decoder_turns);
    shared->time = es_deal_floats(deal, model->decoder.dim);
    shared->ids = es_deal_bytes(deal, ES_PROMPT_POSITIONS_MAX * sizeof *shared->ids);
    shared->mel = es_deal_floats(deal, mel_positions * es_cuda_position_floats(model));
}

void es_cuda_backend_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan, struct es_backend_layout *layout) {
    ES_ASSERT(config->encode_positions_max >= 1);
    ES_ASSERT(config->encode_positions_max <= ES_ENCODE_POSITIONS_MAX);
    struct es_cuda_layout cuda;
    struct es_cuda_shared shared;
    struct es_deal deal = {NULL, 0};
    deal_shared(&shared, model, config, &deal);
    cuda.backend_region = es_plan_add(plan, ES_MEM_HOST, "cuda backend", sizeof(struct es_backend));
    cuda.shared_region =
        es_plan_add(plan, ES_MEM_SHARED, "step input and output, mel frames", deal.used_bytes);
    cuda.state_region =
        es_plan_add(plan, ES_MEM_DEVICE, "stream state", sizeof(struct es_cuda_stream_state));
    cuda.tap_region = es_cuda_tap_layout(model, config, plan);
    es_cuda_workspace_layout(model, config, plan, &cuda.workspace);
    es_cuda_encoder_layout(model, config, plan, &cuda.encoder);
    es_cuda_decoder_layout(model, config, plan, &cuda.decoder);
    memset(layout, 0, sizeof *layout);
    memcpy(layout, &cuda, sizeof cuda);
}

static enum es_status bind(struct es_backend *self, const struct es_cuda_layout *layout,
                           const struct es_backend_config *config, const struct es_arena *arena,
                           const struct es_weights *weights, struct es_error *error) {
    struct es_deal deal = {es_arena_region(arena, layout->shared_region), 0};
    self->ops.cuda = self->cuda;
    self->ops.state = es_arena_region(arena, layout->state_region);
    if (deal.base == NULL || self->ops.state == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuda backend: its memory is not reserved; free some memory of the GPU");
    }
    deal_shared(&self->shared, self->model, config, &deal);
    *self->shared.output = (struct es_cuda_step_output){0};
    es_cuda_tap_init(&self->tap, self->model, config, layout->tap_region, arena);
    enum es_status status = es_cuda_workspace_open(&self->ops, self->model, config,
                                                   &layout->workspace, arena, weights, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_cuda_encoder_init(&self->encoder, self->model, config, &self->ops, &layout->encoder,
                                  arena, weights, self->shared.encoder_turns, error);
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_decoder_io io = {
        .input = self->shared.input,
        .output = self->shared.output,
        .queue = self->encoder.queue,
        .queue_slot_count = self->encoder.queue_slot_count,
    };
    return es_cuda_decoder_init(&self->decoder, self->model, &self->ops, &layout->decoder, arena,
                                weights, &io, self->shared.decoder_turns, error);
}

/* Everything that a stream runs, once without graphs: code is loaded, libraries choose their
 * algorithms, and a fault shows where its name is known. The frames are silence. */
static enum es_status warm_up(struct es_backend *self, struct es_error *error) {
    static const int32_t ids[ES_CUDA_WARM_UP_ROWS];
    struct es_choice choice;
    enum es_status status = es_cuda_backend_reset(self, 1, NULL, error);
    for (uint32_t i = 0; status == ES_OK && i < ES_CUDA_GRAPH_COUNT; i++) {
        if (1u << i <= self->encode_positions_max) {
            status = es_cuda_encode(self, NULL, 1u << i, error);
        }
    }
    if (status == ES_OK && self->encode_positions_max > ES_CADENCE_POSITIONS_MAX) {
        status = es_cuda_encode(self, NULL, ES_CADENCE_POSITIONS_MAX + 1u, error);
    }
    while (status == ES_OK && self->encoded_count < 1u + 2u + ES_CUDA_WARM_UP_ROWS) {
        status = es_cuda_encode(self, NULL, 1, error);
    }
    if (status == ES_OK) {
        status = es_cuda_run_prompt(self, ids, ES_CUDA_WARM_UP_ROWS, 0.0f, &choice, error);
    }
    if (status == ES_OK) {
        status = es_cuda_run_prompt(self, ids, 2, 0.0f, &choice, error);
    }
    if (status == ES_OK) {
        status = es_cuda_decoder_run(&self->decoder, NULL, 1, &self->tap,
                                     self->start_position + self->decoded_count, error);
    }
    return status == ES_OK ? es_cuda_backend_wait(self, error) : status;
}

static enum es_status capture_encode(struct es_backend *self, uint32_t index,
                                     struct es_error *error) {
    static const char *const names[ES_CUDA_GRAPH_COUNT] = {
        "encoder, 1 position", "encoder, 2 positions", "encoder, 4 positions",
        "encoder, 8 positions"};
    enum es_status status = es_cuda_graph_begin(self->cuda, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_cuda_run_encoder(self, es_cuda_mel_of(self, index), 1u << index, error);
    if (status != ES_OK) {
        es_cuda_graph_abandon(self->cuda);
        return status;
    }
    return es_cuda_graph_end(self->cuda, &self->encode_graphs[index], names[index], error);
}

static enum es_status capture(struct es_backend *self, struct es_error *error) {
    enum es_status status = ES_OK;
    for (uint32_t i = 0; status == ES_OK && i < ES_CUDA_GRAPH_COUNT; i++) {
        if (1u << i <= self->encode_positions_max) {
            status = capture_encode(self, i, error);
        }
    }
    if (status == ES_OK) {
        status = es_cuda_graph_begin(self->cuda, error);
    }
    if (status != ES_OK) {
        return status;
    }
    status = es_cuda_decoder_run(&self->decoder, NULL, 1, &self->tap, 0, error);
    if (status != ES_OK) {
        es_cuda_graph_abandon(self->cuda);
        return status;
    }
    return es_cuda_graph_end(self->cuda, &self->decode_graph, "decoder step", error);
}

void es_cuda_backend_close(struct es_backend *backend) {
    if (backend == NULL) {
        return;
    }
    /* From a lost device, too, the handles are given back. */
    enum es_status ignored = es_cuda_wait(backend->cuda, NULL);
    (void)ignored;
    for (uint32_t i = 0; i < ES_CUDA_GRAPH_COUNT; i++) {
        es_cuda_graph_close(backend->cuda, &backend->encode_graphs[i]);
    }
    es_cuda_graph_close(backend->cuda, &backend->decode_graph);
    es_cuda_workspace_close(&backend->ops);
}

enum es_status es_cuda_backend_init(struct es_backend **backend, const struct es_model *model,
                                    const struct es_backend_config *config,
                                    const struct es_backend_layout *layout,
                                    const struct es_arena *arena, const struct es_weights *weights,
                                    struct es_error *error) {
    struct es_cuda_layout cuda;
    memcpy(&cuda, layout, sizeof cuda);
    ES_ASSERT(config->cuda != NULL);
    struct es_backend *self = es_arena_region(arena, cuda.backend_region);
    if (self == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "cuda backend: host memory is not reserved; free some memory");
    }
    memset(self, 0, sizeof *self);
    self->model = model;
    self->cuda = config->cuda;
    self->encode_positions_max = config->encode_positions_max;
    self->start_position = config->start_position;
    enum es_status status = bind(self, &cuda, config, arena, weights, error);
    self->tap.tap = NULL; /* it is not a stream yet */
    if (status == ES_OK) {
        status = warm_up(self, error);
    }
    self->tap.tap = config->tap;
    if (status == ES_OK && config->tap == NULL) {
        status = capture(self, error);
    }
    if (status != ES_OK) {
        es_cuda_backend_close(self);
        return status;
    }
    *backend = self;
    return ES_OK;
}
