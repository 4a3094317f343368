/* random_model.h - a whole model directory of any dimensions, filled with seeded random weights.
 *
 *   es_random_model_write(directory, &model, ES_DTYPE_BF16, seed, pool, &error);
 *
 * Plain random weights make a model repeat one id for ever, whatever it hears; these are scaled so
 * that its ids depend on audio, delay and windows (random_model.c says how). The same arguments
 * give the same bytes on any machine with any number of threads. */
#pragma once

#include "engine/model.h"
#include "engine/weights.h"
#include "platform/pool.h"

/* Dimensions of Voxtral-Mini-4B-Realtime-2602. */
extern const struct es_model es_model_4b;
/* Dimensions of models/bringup. */
extern const struct es_model es_model_bringup;

/* Writes params.json, consolidated.safetensors and tekken.json into DIRECTORY, which is made when
 * it is missing. Files that exist are not overwritten: ES_ERR_OUTPUT. */
ES_MUST_CHECK enum es_status es_random_model_write(const char *directory,
                                                   const struct es_model *model,
                                                   enum es_dtype dtype, uint64_t seed,
                                                   struct es_pool *pool, struct es_error *error);

/* The two small files of it. 131072 ids make about 150,000 pieces in tekken.json, as in the real
 * one. */
ES_MUST_CHECK enum es_status es_params_write(const char *directory, const struct es_model *model,
                                             struct es_error *error);
ES_MUST_CHECK enum es_status es_tekken_write(const char *directory, const struct es_model *model,
                                             struct es_error *error);
