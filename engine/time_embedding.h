/* time_embedding.h - the delay as a vector, which the ada norms are conditioned on.
 *
 *   es_time_embedding(6, model.decoder.dim, t);
 *
 * t = [cos(d * f_j), sin(d * f_j)], f_j = exp(-ln(10000) * j / (dim / 2)), d = the delay in
 * positions. Source: docs/MODEL.md, transformers' VoxtralRealtimeTimeEmbedding. */
#pragma once

#include <stdint.h>

/* out [dim]; dim even. Any thread. */
void es_time_embedding(uint32_t delay_positions, uint32_t dim, float *out);
