/* attention_inner.h - the three loops of attention, compiled once per instruction set.
 *
 * scores  q . k for a tile of queries by a tile of keys: linear_inner.h's tile with f32 rows
 * exp     lane i % LANES sums the elements i, v_sum folds the lanes
 * values  every element of the result takes the keys in order, one fused multiply-add each
 *
 * limit  one query: reading keys and values once. Many: the multiply-add units.
 * Include after linear_inner.h. */

INLINE void scores_rows(const float *const *q, uint32_t R, uint32_t N, const float *keys,
                        uint32_t key_count, uint32_t head_dim, float scale, float *const *scores) {
    float sums[TILE_SUMS_MAX];
    uint32_t key = 0;
    for (; key + N <= key_count; key += N) {
        const void *rows[TILE_OUTPUTS_MAX];
        UNROLL for (uint32_t n = 0; n < N; n++) {
            rows[n] = keys + (size_t)(key + n) * head_dim;
        }
        tile(ES_DTYPE_F32, R, N, rows, q, head_dim, sums);
        UNROLL for (uint32_t r = 0; r < R; r++) {
            UNROLL for (uint32_t n = 0; n < N; n++) {
                scores[r][key + n] = sums[r * N + n] * scale;
            }
        }
    }
    for (; key < key_count; key++) {
        const void *rows[1] = {keys + (size_t)key * head_dim};
        tile(ES_DTYPE_F32, R, 1, rows, q, head_dim, sums);
        UNROLL for (uint32_t r = 0; r < R; r++) {
            scores[r][key] = sums[r] * scale;
        }
    }
}

static void attention_scores(const float *const *q, uint32_t item_count, const float *keys,
                             uint32_t key_count, uint32_t head_dim, float scale,
                             float *const *scores) {
    uint32_t item = 0;
    while (item < item_count) {
        uint32_t left = item_count - item;
        if (TILE_ROWS >= 8u && left >= 8u) {
            scores_rows(q + item, 8, TILE_OUTPUTS_OF_8, keys, key_count, head_dim, scale,
                        scores + item);
            item += 8u;
        } else if (left >= 4u) {
            scores_rows(q + item, 4, TILE_OUTPUTS_OF_4, keys, key_count, head_dim, scale,
                        scores + item);
            item += 4u;
        } else if (left >= 2u) {
            scores_rows(q + item, 2, TILE_OUTPUTS_OF_2, keys, key_count, head_dim, scale,
                        scores + item);
            item += 2u;
        } else {
            scores_rows(q + item, 1, TILE_OUTPUTS_OF_1, keys, key_count, head_dim, scale,
                        scores + item);
            item += 1u;
        }
    }
}

static float attention_exp(float *scores, uint32_t count) {
    uint32_t whole = count / LANES * LANES;
    float largest = scores[0];
    if (whole > 0) {
        vec most = v_load(scores);
        for (uint32_t i = LANES; i < whole; i += LANES) {
            most = v_max(most, v_load(scores + i));
        }
        largest = v_largest(most);
    }
    for (uint32_t i = whole; i < count; i++) {
        largest = scores[i] > largest ? scores[i] : largest;
    }
    vec sum = v_zero();
    for (uint32_t i = 0; i < whole; i += LANES) {
        vec weight = v_exp(v_sub(v_load(scores + i), v_set(largest)));
        v_store(scores + i, weight);
        sum = v_add(sum, weight);
    }
    if (whole < count) {
        vec weight = v_exp(v_sub(v_load_part(scores + whole, count - whole), v_set(largest)));
        v_store_part(scores + whole, weight, count - whole);
        sum = v_add(sum, v_load_part(scores + whole, count - whole));
    }
    return v_sum(sum);
}

/* R results, C vectors of each from element `first`. */
INLINE void values_tile(const float *const *weights, uint32_t R, uint32_t C, const float *values,
                        uint32_t value_count, uint32_t head_dim, uint32_t first,
                        float *const *out) {
    vec acc[VALUE_ROWS * VALUE_VECTORS];
    UNROLL for (uint32_t r = 0; r < R; r++) {
        UNROLL for (uint32_t c = 0; c < C; c++) {
            acc[r * C + c] = v_load(out[r] + first + c * LANES);
        }
    }
    const float *value = values + first;
    for (uint32_t j = 0; j < value_count; j++) {
        vec b[VALUE_VECTORS];
        UNROLL for (uint32_t c = 0; c < C; c++) {
            b[c] = v_load(value + c * LANES);
        }
        UNROLL for (uint32_t r = 0; r < R; r++) {
            vec a = v_set(weights[r][j]);
            UNROLL for (uint32_t c = 0; c < C; c++) {
                acc[r * C + c] = v_fma(a, b[c], acc[r * C + c]);
            }
        }
        value += head_dim;
    }
    UNROLL for (uint32_t r = 0; r < R; r++) {
        UNROLL for (uint32_t c = 0; c < C; c++) {
            v_store(out[r] + first + c * LANES, acc[r * C + c]);
        }
    }
}

/* The last head_dim % LANES elements of one result. */
INLINE void values_part(const float *weights, const float *values, uint32_t value_count,
                        uint32_t head_dim, uint32_t first, float *out) {
    uint32_t count = head_dim - first;
    vec acc = v_load_part(out + first, count);
    for (uint32_t j = 0; j < value_count; j++) {
        acc = v_fma(v_set(weights[j]), v_load_part(values + (size_t)j * head_dim + first, count),
                    acc);
    }
    v_store_part(out + first, acc, count);
}

INLINE void values_rows(const float *const *weights, uint32_t R, const float *values,
                        uint32_t value_count, uint32_t head_dim, float *const *out) {
    uint32_t first = 0;
    for (; first + VALUE_VECTORS * LANES <= head_dim; first += VALUE_VECTORS * LANES) {
        values_tile(weights, R, VALUE_VECTORS, values, value_count, head_dim, first, out);
    }
    for (; first + LANES <= head_dim; first += LANES) {
        values_tile(weights, R, 1, values, value_count, head_dim, first, out);
    }
    if (first < head_dim) {
        UNROLL for (uint32_t r = 0; r < R; r++) {
            values_part(weights[r], values, value_count, head_dim, first, out[r]);
        }
    }
}

static void attention_values(const float *const *weights, uint32_t item_count, const float *values,
                             uint32_t value_count, uint32_t head_dim, float *const *out) {
    uint32_t item = 0;
    while (item < item_count) {
        uint32_t left = item_count - item;
        if (VALUE_ROWS >= 4u && left >= 4u) {
            values_rows(weights + item, 4, values, value_count, head_dim, out + item);
            item += 4u;
        } else if (left >= 2u) {
            values_rows(weights + item, 2, values, value_count, head_dim, out + item);
            item += 2u;
        } else {
            values_rows(weights + item, 1, values, value_count, head_dim, out + item);
            item += 1u;
        }
    }
}
