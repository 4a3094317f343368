/* weights_values.h - numbers as a checkpoint holds them.
 *
 *   if (!es_values_are_finite(data, ES_DTYPE_BF16, count)) { ... }
 *   float x = es_value_at(data, ES_DTYPE_F16, 7);
 *
 * `data` need not be aligned: a tensor may begin at any byte of its file. Internal to
 * engine/weights*.c. */
#pragma once

#include "engine/weights.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ES_DTYPE_COUNT 3u

/* "BF16" to ES_DTYPE_BF16; false for a name that is none. */
bool es_dtype_find(const char *name, enum es_dtype *dtype);

/* Value `index` in f32: exact, for every type. */
float es_value_at(const uint8_t *data, enum es_dtype dtype, size_t index);

/* Whether none of `count` values is an infinity or no number. Reads at the speed of memory. */
bool es_values_are_finite(const uint8_t *data, enum es_dtype dtype, size_t count);

/* Index of the first one that is not, in `count` values of which one is. */
size_t es_values_find_not_finite(const uint8_t *data, enum es_dtype dtype, size_t count);
