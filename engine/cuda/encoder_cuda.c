#include "engine/cuda/encoder_cuda.h"

#include "platform/assert.h"
#include "platform/deal.h"

#define MEL_HISTORY 2u   /* left pad of conv 0: kernel - stride */
#define CONV0_HISTORY 1u /* left pad of conv 1 */

uint32_t es_cuda_queue_slot_count(const struct es_backend_config *config) {
    return ES_PROMPT_POSITIONS_MAX + config->encode_positions_max;
}

static struct es_cuda_stack_size stack_size(const struct es_model *model,
                                            const struct es_backend_config *config) {
    uint32_t rows = config->encode_positions_max * model->downsample;
    struct es_cuda_stack_size size = {
        .shape = &model->encoder,
        .row_count_max = rows,
        .later_row_count_max = rows,
        .kept_count_max = ES_SILENT_POSITIONS * model->downsample,
        .activations_name = "encoder activations",
        .ring_name = "encoder kv ring",
    };
    return size;
}

static size_t history_floats(const struct es_model *model) {
    return (size_t)MEL_HISTORY * model->mel_bin_count + (size_t)CONV0_HISTORY * model->encoder.dim;
}

static void deal_stem(struct es_cuda_encoder *encoder, const struct es_model *model,
                      const struct es_backend_config *config, struct es_deal *deal) {
    size_t positions = config->encode_positions_max;
    size_t frames = positions * model->frames_per_position;
    encoder->mel_frames = es_deal_floats(deal, (MEL_HISTORY + frames) * model->mel_bin_count);
    encoder->conv0_rows = es_deal_floats(deal, (CONV0_HISTORY + frames) * model->encoder.dim);
    encoder->hidden = es_deal_floats(deal, positions * model->decoder.dim);
    encoder->queue =
        es_deal_floats(deal, (size_t)es_cuda_queue_slot_count(config) * model->decoder.dim);
}

void es_cuda_encoder_layout(const struct es_model *model, const struct es_backend_config *config,
                            struct es_plan *plan, struct es_cuda_encoder_layout *layout) {
    struct es_cuda_encoder encoder;
    struct es_deal deal = {NULL, 0};
    deal_stem(&encoder, model, config, &deal);
    layout->stem_region =
        es_plan_add(plan, ES_MEM_DEVICE, "conv stem and embedding queue", deal.used_bytes);
    layout->kept_region = es_plan_add(plan, ES_MEM_DEVICE, "conv histories, silence",
                                      history_floats(model) * sizeof(float));
    struct es_cuda_stack_size size = stack_size(model, config);
    es_cuda_stack_layout(&size, config->kv_kind, plan, &layout->stack);
}

enum es_status es_cuda_encoder_init(struct es_cuda_encoder *encoder, const struct es_model *model,
                                    const struct es_backend_config *config,
                                    const struct es_cuda_ops *ops,
                                    const struct es_cuda_encoder_layout *layout,
                                    const struct es_arena *arena, const struct es_weights *weights,
                                    uint64_t *staging, struct es_error *error) {
    encoder->model = model;
    encoder->weights = weights;
    encoder->queue_slot_count = es_cuda_queue_slot_count(config);
    struct es_deal deal = {es_arena_region(arena, layout->stem_region), 0};
    encoder->kept = es_arena_region(arena, layout->kept_region);
    if (deal.base == NULL || encoder->kept == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "conv stem: its memory is not reserved; free some memory of the GPU");
    }
    deal_stem(encoder, model, config, &deal);
    struct es_cuda_stack_size size = stack_size(model, config);
    encoder->stack.position = &ops->state->encoder_frame;
    encoder->stack.oldest = &ops->state->encoder_oldest;
    return es_cuda_stack_init(&encoder->stack, &size, ops, &layout->stack, arena, staging, error);
}

/* The histories go from or to `kept`, one behind the other. */
static enum es_status move_histories(const struct es_cuda_encoder *encoder, bool is_restoring,
                                     struct es_error *error) {
    struct es_cuda *cuda = encoder->stack.ops->cuda;
    size_t mel_floats = (size_t)MEL_HISTORY * encoder->model->mel_bin_count;
    size_t conv0_floats = (size_t)CONV0_HISTORY * encoder->model->encoder.dim;
    float *mel = encoder->kept;
    float *conv0 = encoder->kept + mel_floats;
    enum es_status status =
        is_restoring ? es_cuda_copy(cuda, encoder->mel_frames, mel, mel_floats * sizeof(float),
                                    ES_CUDA_WITHIN_DEVICE, error)
                     : es_cuda_copy(cuda, mel, encoder->mel_frames, mel_floats * sizeof(float),
                                    ES_CUDA_WITHIN_DEVICE, error);
    if (status != ES_OK) {
        return status;
    }
    return is_restoring ? es_cuda_copy(cuda, encoder->conv0_rows, conv0,
                                       conv0_floats * sizeof(float), ES_CUDA_WITHIN_DEVICE, error)
                        : es_cuda_copy(cuda, conv0, encoder->conv0_rows,
                                       conv0_floats * sizeof(float), ES_CUDA_WITHIN_DEVICE, error);
}

enum es_status es_cuda_encoder_clear(const struct es_cuda_encoder *encoder,
                                     struct es_error *error) {
    struct es_cuda *cuda = encoder->stack.ops->cuda;
    const struct es_model *model = encoder->model;
    enum es_status status =
        es_cuda_fill(cuda, encoder->mel_frames, 0,
                     MEL_HISTORY * (size_t)model->mel_bin_count * sizeof(float), error);
    if (status != ES_OK) {
        return status;
    }
    return es_cuda_fill(cuda, encoder->conv0_rows, 0,
                        CONV0_HISTORY * (size_t)model->encoder.dim * sizeof(float), error);
}

enum es_status es_cuda_encoder_keep(struct es_cuda_encoder *encoder, uint64_t first_position,
                                    uint32_t position_count, struct es_error *error) {
    uint32_t downsample = encoder->model->downsample;
    enum es_status status =
        es_cuda_rings_keep(&encoder->stack.rings, encoder->stack.ops, first_position * downsample,
                           position_count * downsample, error);
    return status == ES_OK ? move_histories(encoder, false, error) : status;
}

enum es_status es_cuda_encoder_restore(const struct es_cuda_encoder *encoder,
                                       struct es_error *error) {
    enum es_status status = es_cuda_rings_restore(&encoder->stack.rings, encoder->stack.ops, error);
    return status == ES_OK ? move_histories(encoder, true, error) : status;
}

/* One run, as its parts hand it on. */
struct run {
    const struct es_cuda_encoder *encoder;
    const struct es_cuda_tap *tap;
    uint64_t first_position, written_count;
    uint32_t position_count, frame_count, row_count;
    struct es_error *error;
};

static enum es_status run_stem(const struct run *run, const float *mel) {
    const struct es_cuda_encoder *encoder = run->encoder;
    const struct es_model *model = encoder->model;
    const struct es_cuda_ops *ops = encoder->stack.ops;
    uint32_t dim = model->encoder.dim;
    uint64_t first_frame = run->first_position * model->frames_per_position;
    float *conv0 = encoder->conv0_rows + (size_t)CONV0_HISTORY * dim;
    const struct es_cuda_mel mel_in = {mel, run->frame_count, model->mel_bin_count,
                                       encoder->mel_frames};
    enum es_status status = es_cuda_mel(ops, &mel_in, run->error);
    if (status != ES_OK) {
        return status;
    }
    /* A row is the window that the convolution sees: rows overlap. */
    const struct es_cuda_project first = {
        .x = encoder->mel_frames,
        .x_row_floats = model->mel_bin_count,
        .row_count = run->frame_count,
        .w = &encoder->weights->conv0,
        .bias = encoder->weights->conv0_bias,
        .has_gelu = true,
        .y = conv0,
    };
    status = es_cuda_project(ops, &first, run->error);
    if (status == ES_OK) {
        status = es_cuda_tap_rows(run->tap, ES_STAGE_CONV0, 0, first_frame, conv0, run->frame_count,
                                  dim, run->error);
    }
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_project second = {
        .x = encoder->conv0_rows,
        .x_row_floats = 2u * dim,
        .row_count = run->row_count,
        .w = &encoder->weights->conv1,
        .bias = encoder->weights->conv1_bias,
        .has_gelu = true,
        .y = encoder->stack.x,
    };
    status = es_cuda_project(ops, &second, run->error);
    if (status != ES_OK) {
        return status;
    }
    return es_cuda_tap_rows(run->tap, ES_STAGE_CONV1, 0, first_frame / 2u, encoder->stack.x,
                            run->row_count, dim, run->error);
}

static enum es_status run_layers(const struct run *run) {
    const struct es_cuda_encoder *encoder = run->encoder;
    const struct es_stack *shape = &encoder->model->encoder;
    const struct es_cuda_stack *stack = &encoder->stack;
    uint64_t first_row = run->first_position * encoder->model->downsample;
    enum es_status status = ES_OK;
    for (uint32_t i = 0; status == ES_OK && i < shape->layer_count; i++) {
        const struct es_layer layer = es_layer_of_encoder(&encoder->weights->encoder[i]);
        const bool is_last = i + 1u == shape->layer_count;
        const struct es_layer next =
            es_layer_of_encoder(&encoder->weights->encoder[is_last ? i : i + 1u]);
        status = es_cuda_stack_layer(stack, i, &layer, is_last ? NULL : &next, run->row_count,
                                     run->error);
        if (status == ES_OK) {
            status = es_cuda_tap_rows(run->tap, ES_STAGE_ENCODER_LAYER, i, first_row, stack->x,
                                      run->row_count, shape->dim, run->error);
        }
    }
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_norm norm = {.x = stack->x,
                                      .norm = encoder->weights->encoder_norm,
                                      .norm_eps = shape->norm_eps,
                                      .row_count = run->row_count,
                                      .dim = shape->dim,
                                      .y = stack->normed};
    status = es_cuda_norm(stack->ops, &norm, run->error);
    if (status != ES_OK) {
        return status;
    }
    return es_cuda_tap_rows(run->tap, ES_STAGE_ENCODER, 0, first_row, stack->normed, run->row_count,
                            shape->dim, run->error);
}

/* The queue is a ring: what was just written may lie in two pieces. */
static enum es_status tap_queue(const struct run *run) {
    const struct es_cuda_encoder *encoder = run->encoder;
    uint32_t dim = encoder->model->decoder.dim;
    enum es_status status = ES_OK;
    for (uint32_t r = 0; status == ES_OK && r < run->position_count; r++) {
        uint64_t slot = (run->written_count + r) % encoder->queue_slot_count;
        status = es_cuda_tap_rows(run->tap, ES_STAGE_ADAPTER, 0, run->first_position + r,
                                  encoder->queue + slot * dim, 1, dim, run->error);
    }
    return status;
}

static enum es_status run_adapter(const struct run *run) {
    const struct es_cuda_encoder *encoder = run->encoder;
    const struct es_model *model = encoder->model;
    const struct es_cuda_ops *ops = encoder->stack.ops;
    /* The frames of a position are neighbours: [positions, downsample * encoder.dim]. */
    const struct es_cuda_project first = {
        .x = encoder->stack.normed,
        .x_row_floats = model->downsample * model->encoder.dim,
        .row_count = run->position_count,
        .w = &encoder->weights->adapter0,
        .has_gelu = true,
        .y = encoder->hidden,
    };
    enum es_status status = es_cuda_project(ops, &first, run->error);
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_project second = {
        .x = encoder->hidden,
        .x_row_floats = model->decoder.dim,
        .row_count = run->position_count,
        .w = &encoder->weights->adapter2,
        .y = encoder->queue,
        .y_slot_count = encoder->queue_slot_count,
    };
    status = es_cuda_project(ops, &second, run->error);
    return status == ES_OK ? tap_queue(run) : status;
}

enum es_status es_cuda_encoder_run(const struct es_cuda_encoder *encoder, const float *mel,
                                   uint32_t position_count, const struct es_cuda_tap *tap,
                                   uint64_t first_position, uint64_t written_count,
                                   struct es_error *error) {
    const struct es_model *model = encoder->model;
    const struct run run = {
        .encoder = encoder,
        .tap = tap,
        .first_position = first_position,
        .written_count = written_count,
        .position_count = position_count,
        .frame_count = position_count * model->frames_per_position,
        .row_count = position_count * model->downsample,
        .error = error,
    };
    enum es_status status = run_stem(&run, mel);
    if (status == ES_OK) {
        status = run_layers(&run);
    }
    if (status == ES_OK) {
        status = run_adapter(&run);
    }
    if (status != ES_OK) {
        return status;
    }
    const struct es_cuda_advance advance = {
        .frame_count = run.row_count,
        .position_count = position_count,
        .mel_frames = encoder->mel_frames,
        .mel_frame_count = run.frame_count,
        .mel_dim = model->mel_bin_count,
        .conv0_rows = encoder->conv0_rows,
        .conv0_row_count = run.frame_count,
        .conv0_dim = model->encoder.dim,
    };
    return es_cuda_advance(encoder->stack.ops, &advance, error);
}
