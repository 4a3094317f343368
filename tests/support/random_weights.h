/* random_weights.h - small models made of random numbers, for tests of the engine.
 *
 *   struct es_weights *weights = es_random_weights(&model, ES_DTYPE_BF16, seed);
 *   es_random_mel(&model, frame_count, seed, mel);
 *   es_random_weights_free(weights);
 *
 * Scaled so that what a stream says depends on its audio, its delay and its past: unscaled random
 * weights repeat one id for ever and prove nothing. */
#pragma once

#include "engine/weights.h"

/* Uniform in -1..1 from a 64-bit state, the same on every machine. */
float es_random_next(uint64_t *state);

/* Owned by the caller. Aborts when memory runs out. */
struct es_weights *es_random_weights(const struct es_model *model, enum es_dtype dtype,
                                     uint64_t seed);
void es_random_weights_free(struct es_weights *weights);

/* mel [frame_count, mel_bin_count]: noise with a level that wanders, in the range of real features.
 */
void es_random_mel(const struct es_model *model, uint32_t frame_count, uint64_t seed, float *mel);

/* One weight of a matrix as a double; also the reference's way to read it. */
double es_matrix_at(const struct es_matrix *matrix, uint32_t row, uint32_t column);
