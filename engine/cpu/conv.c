#include "engine/cpu/conv.h"

#include "engine/cpu/kernels.h"
#include "platform/deal.h"

#include <string.h>

#define TAP_COUNT 3u
#define MEL_HISTORY 2u   /* left pad of conv 0: kernel - stride */
#define CONV0_HISTORY 1u /* left pad of conv 1 */

static void deal_buffers(struct es_conv *conv, const struct es_model *model,
                         const struct es_backend_config *config, struct es_deal *deal) {
    size_t frame_count = (size_t)config->encode_positions_max * model->frames_per_position;
    size_t row_count = (size_t)config->encode_positions_max * model->downsample;
    size_t columns0 = frame_count * model->mel_bin_count * TAP_COUNT;
    size_t columns1 = row_count * model->encoder.dim * TAP_COUNT;
    conv->columns = es_deal_floats(deal, columns0 > columns1 ? columns0 : columns1);
    conv->mel = es_deal_floats(deal, (MEL_HISTORY + frame_count) * model->mel_bin_count);
    conv->conv0 = es_deal_floats(deal, (CONV0_HISTORY + frame_count) * model->encoder.dim);
}

uint32_t es_conv_layout(const struct es_model *model, const struct es_backend_config *config,
                        struct es_plan *plan) {
    struct es_conv conv;
    struct es_deal deal = {NULL, 0};
    deal_buffers(&conv, model, config, &deal);
    return es_plan_add(plan, ES_MEM_HOST, "conv stem", deal.used_bytes);
}

void es_conv_init(struct es_conv *conv, const struct es_model *model,
                  const struct es_backend_config *config, uint32_t region,
                  const struct es_arena *arena, const struct es_weights *weights) {
    conv->model = model;
    conv->weights = weights;
    conv->pool = config->pool;
    conv->tap = config->tap;
    struct es_deal deal = {es_arena_region(arena, region), 0};
    deal_buffers(conv, model, config, &deal);
    es_conv_reset(conv, 0);
}

void es_conv_reset(struct es_conv *conv, uint64_t first_frame) {
    memset(conv->mel, 0, MEL_HISTORY * conv->model->mel_bin_count * sizeof(float));
    memset(conv->conv0, 0, CONV0_HISTORY * conv->model->encoder.dim * sizeof(float));
    conv->frame_count = first_frame;
}

/* columns[r, c, tap] = frames[r * stride + tap, c]: the order of the weights, so that the
 * convolution is one matrix product. */
static void gather_columns(const float *frames, uint32_t channel_count, uint32_t stride,
                           uint32_t row_count, float *columns) {
    for (uint32_t r = 0; r < row_count; r++) {
        const float *from = frames + (size_t)r * stride * channel_count;
        for (uint32_t c = 0; c < channel_count; c++) {
            for (uint32_t tap = 0; tap < TAP_COUNT; tap++) {
                *columns++ = from[(size_t)tap * channel_count + c];
            }
        }
    }
}

void es_conv_push(struct es_conv *conv, const float *mel, uint32_t position_count, float *x) {
    const struct es_model *model = conv->model;
    const struct es_weights *weights = conv->weights;
    uint32_t bin_count = model->mel_bin_count;
    uint32_t dim = model->encoder.dim;
    uint32_t frame_count = position_count * model->frames_per_position;
    uint32_t row_count = position_count * model->downsample;

    memcpy(conv->mel + (size_t)MEL_HISTORY * bin_count, mel,
           (size_t)frame_count * bin_count * sizeof(float));
    gather_columns(conv->mel, bin_count, 1, frame_count, conv->columns);
    float *conv0 = conv->conv0 + (size_t)CONV0_HISTORY * dim;
    es_linear(conv->pool, &weights->conv0, conv->columns, frame_count, weights->conv0_bias, NULL,
              conv0);
    es_gelu(conv0, (size_t)frame_count * dim);
    es_tap_rows(conv->tap, ES_STAGE_CONV0, 0, conv->frame_count, conv0, frame_count, dim);

    gather_columns(conv->conv0, dim, 2, row_count, conv->columns);
    es_linear(conv->pool, &weights->conv1, conv->columns, row_count, weights->conv1_bias, NULL, x);
    es_gelu(x, (size_t)row_count * dim);
    es_tap_rows(conv->tap, ES_STAGE_CONV1, 0, conv->frame_count / 2, x, row_count, dim);

    /* A position has at least two frames, so the new history never overlaps the old. */
    memcpy(conv->mel, conv->mel + (size_t)frame_count * bin_count,
           MEL_HISTORY * bin_count * sizeof(float));
    memcpy(conv->conv0, conv->conv0 + (size_t)frame_count * dim,
           CONV0_HISTORY * dim * sizeof(float));
    conv->frame_count += frame_count;
}
