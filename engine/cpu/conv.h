/* conv.h - the causal convolution stem: mel frames at 10 ms to encoder frames at 20 ms.
 *
 *   region = es_conv_layout(&model, &config, &plan);
 *   es_conv_init(&conv, &model, &config, region, &arena, &weights);
 *   es_conv_reset(&conv);
 *   es_conv_push(&conv, mel, position_count, x);       x [position_count * downsample, dim]
 *
 * conv 0: kernel 3, stride 1, sees frames j-2, j-1, j; conv 1: kernel 3, stride 2, sees frames
 * 2j-1, 2j, 2j+1 of conv 0; both with erf-GELU. What lies before the stream is zero, for conv 1 a
 * zero after conv 0's GELU (docs/MODEL.md). Between pushes two mel frames and one frame of conv 0
 * are kept. Engine thread only. */
#pragma once

#include "engine/backend.h"

struct es_conv {
    /* configuration */
    const struct es_model *model;
    const struct es_weights *weights;
    struct es_pool *pool;
    const struct es_tap *tap;
    float *columns; /* one row of inputs per output frame: [rows, channels * 3], tap fastest */
    float *mel;     /* [2 + frames, mel_bin_count]: the first two rows are state */
    float *conv0;   /* [1 + frames, encoder.dim]: the first row is state */
    /* state: the rows named above, and */
    uint64_t frame_count; /* mel frames seen, from the start position on */
};

/* One region for buffers of config->encode_positions_max positions. Returns its number. */
uint32_t es_conv_layout(const struct es_model *model, const struct es_backend_config *config,
                        struct es_plan *plan);
void es_conv_init(struct es_conv *conv, const struct es_model *model,
                  const struct es_backend_config *config, uint32_t region,
                  const struct es_arena *arena, const struct es_weights *weights);

/* first_frame: what the tap calls the first mel frame of the stream. */
void es_conv_reset(struct es_conv *conv, uint64_t first_frame);

/* mel [position_count * frames_per_position, mel_bin_count] ->
 * x [position_count * downsample, encoder.dim]. */
void es_conv_push(struct es_conv *conv, const float *mel, uint32_t position_count, float *x);
