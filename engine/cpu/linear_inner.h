/* linear_inner.h - tiles of dot products, compiled once per instruction set.
 *
 * A tile is R rows of x by N rows of W. Each of its R * N dot products has one vector of partial
 * sums: element i is added to lane i % LANES by one fused multiply-add, i rising; v_sum folds the
 * lanes at the end. R and N only say how many are in flight, so every tile shape gives the same
 * bits, and a row never notices its company.
 *
 * limit  one row: memory. Many rows: the multiply-add units; widening a weight costs one shuffle
 *        for R multiply-adds, and both operands of the loop stay in the first two caches.
 * Include after vector_math.h. */

#include "engine/cpu/kernel_set.h"

#define TILE_SUMS_MAX 24u
#define TILE_OUTPUTS_MAX 8u

/* A slice of R rows and the partial sums of PANEL_TILES tiles (6 KiB) share a 32 KiB first-level
 * cache with the weights that stream by. */
#define SLICE_BYTES (20u << 10)
#define PANEL_TILES 4u

/* Half `half` (LANES elements) of 2 * LANES weights. */
INLINE vec weights_load(enum es_dtype dtype, const void *w, size_t index, uint32_t half) {
    switch (dtype) {
    case ES_DTYPE_BF16:
        return v_load_bf16((const uint16_t *)w + index, half);
    case ES_DTYPE_F16:
        return v_load_f16((const uint16_t *)w + index, half);
    default:
        return v_load((const float *)w + index + LANES * half);
    }
}

INLINE vec weights_load_part(enum es_dtype dtype, const void *w, size_t index, uint32_t count) {
    switch (dtype) {
    case ES_DTYPE_BF16:
        return v_load_part_bf16((const uint16_t *)w + index, count);
    case ES_DTYPE_F16:
        return v_load_part_f16((const uint16_t *)w + index, count);
    default:
        return v_load_part((const float *)w + index, count);
    }
}

INLINE uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Elements first .. end - 1 of R * N dot products x[r] . w[n], from fresh partial sums or from those
 * in `carry` [R * N], and back into it. R, N and dtype are constants at every call. */
INLINE void tile_part(enum es_dtype dtype, uint32_t R, uint32_t N, const void *const *w,
                      const float *const *x, size_t first, size_t end, bool is_fresh, vec *carry) {
    vec acc[TILE_SUMS_MAX];
    UNROLL for (uint32_t i = 0; i < R * N; i++) {
        acc[i] = is_fresh ? v_zero() : carry[i];
    }
    size_t index = first;
    for (; index + 2u * LANES <= end; index += 2u * LANES) {
        UNROLL for (uint32_t half = 0; half < 2u; half++) {
            vec b[TILE_OUTPUTS_MAX];
            UNROLL for (uint32_t n = 0; n < N; n++) {
                b[n] = weights_load(dtype, w[n], index, half);
            }
            UNROLL for (uint32_t r = 0; r < R; r++) {
                vec a = v_keep(v_load(x[r] + index + LANES * half));
                UNROLL for (uint32_t n = 0; n < N; n++) {
                    acc[r * N + n] = v_fma(a, b[n], acc[r * N + n]);
                }
            }
        }
    }
    while (index < end) {
        uint32_t count = (uint32_t)(end - index < LANES ? end - index : LANES);
        vec b[TILE_OUTPUTS_MAX];
        UNROLL for (uint32_t n = 0; n < N; n++) {
            b[n] = weights_load_part(dtype, w[n], index, count);
        }
        UNROLL for (uint32_t r = 0; r < R; r++) {
            vec a = v_load_part(x[r] + index, count);
            UNROLL for (uint32_t n = 0; n < N; n++) {
                acc[r * N + n] = v_fma(a, b[n], acc[r * N + n]);
            }
        }
        index += count;
    }
    UNROLL for (uint32_t i = 0; i < R * N; i++) {
        carry[i] = acc[i];
    }
}

/* sums[r * N + n] = the folded partial sums. */
INLINE void tile_fold(uint32_t R, uint32_t N, const vec *carry, float *sums) {
    UNROLL for (uint32_t i = 0; i + 4u <= R * N; i += 4u) {
        v_sum_4(carry + i, sums + i);
    }
    UNROLL for (uint32_t i = R * N / 4u * 4u; i < R * N; i++) {
        sums[i] = v_sum(carry[i]);
    }
}

INLINE void tile(enum es_dtype dtype, uint32_t R, uint32_t N, const void *const *w,
                 const float *const *x, size_t k, float *sums) {
    vec carry[TILE_SUMS_MAX];
    tile_part(dtype, R, N, w, x, 0, k, true, carry);
    tile_fold(R, N, carry, sums);
}

INLINE void linear_store(const struct es_linear_block *block, const float *sums, uint32_t R,
                         uint32_t N, uint32_t row, uint32_t output) {
    for (uint32_t r = 0; r < R; r++) {
        size_t at = (size_t)(row + r) * block->w->out_dim + output;
        for (uint32_t n = 0; n < N; n++) {
            float y = sums[r * N + n];
            if (block->bias != NULL) {
                y += block->bias[output + n];
            }
            if (block->residual != NULL) {
                y += block->residual[at + n];
            }
            block->y[at + n] = y;
        }
    }
}

/* Elements of a row that stay in the first-level cache while PANEL_TILES tiles use them. */
INLINE size_t slice_elements(uint32_t R, size_t k) {
    size_t slices = (R * k * sizeof(float) + SLICE_BYTES - 1u) / SLICE_BYTES;
    size_t elements = (k + slices - 1u) / slices;
    return (elements + 2u * LANES - 1u) / (2u * LANES) * (2u * LANES);
}

/* R rows by `tile_count` times N outputs. */
INLINE void linear_panel(const struct es_linear_block *block, enum es_dtype dtype, uint32_t R,
                         uint32_t N, uint32_t row, uint32_t output, uint32_t tile_count) {
    const size_t k = block->w->in_dim;
    const size_t stride = k * (dtype == ES_DTYPE_F32 ? 4u : 2u);
    const float *x[TILE_ROWS];
    UNROLL for (uint32_t r = 0; r < R; r++) {
        x[r] = block->x + (size_t)(row + r) * k;
    }
    const size_t slice = slice_elements(R, k);
    vec carry[PANEL_TILES][TILE_SUMS_MAX];
    size_t first = 0;
    do {
        size_t end = first + slice < k ? first + slice : k;
        const char *w = (const char *)block->w->data + output * stride;
        for (uint32_t i = 0; i < tile_count; i++) {
            const void *rows[TILE_OUTPUTS_MAX];
            UNROLL for (uint32_t n = 0; n < N; n++) {
                rows[n] = w + n * stride;
            }
            tile_part(dtype, R, N, rows, x, first, end, first == 0, carry[i]);
            w += N * stride;
        }
        first = end;
    } while (first < k);
    for (uint32_t i = 0; i < tile_count; i++) {
        float sums[TILE_SUMS_MAX];
        tile_fold(R, N, carry[i], sums);
        linear_store(block, sums, R, N, row, output + i * N);
    }
}

/* R rows by all outputs of the block, N at a time and the rest one by one. */
INLINE void linear_rows(const struct es_linear_block *block, enum es_dtype dtype, uint32_t R,
                        uint32_t N, uint32_t row) {
    uint32_t output = block->first_output;
    const uint32_t end = output + block->output_count;
    while (end - output >= N) {
        uint32_t tile_count = smaller((end - output) / N, PANEL_TILES);
        linear_panel(block, dtype, R, N, row, output, tile_count);
        output += tile_count * N;
    }
    for (; output < end; output++) {
        linear_panel(block, dtype, R, 1, row, output, 1);
    }
}

INLINE void linear_block_of(const struct es_linear_block *block, enum es_dtype dtype) {
    uint32_t row = 0;
    while (row < block->row_count) {
        uint32_t left = block->row_count - row;
        if (TILE_ROWS >= 8u && left >= 8u) {
            linear_rows(block, dtype, 8, TILE_OUTPUTS_OF_8, row);
            row += 8u;
        } else if (left >= 4u) {
            linear_rows(block, dtype, 4, TILE_OUTPUTS_OF_4, row);
            row += 4u;
        } else if (left >= 2u) {
            linear_rows(block, dtype, 2, TILE_OUTPUTS_OF_2, row);
            row += 2u;
        } else {
            linear_rows(block, dtype, 1, TILE_OUTPUTS_OF_1, row);
            row += 1u;
        }
    }
}

static void linear_block(const struct es_linear_block *block) {
    switch (block->w->dtype) {
    case ES_DTYPE_BF16:
        linear_block_of(block, ES_DTYPE_BF16);
        break;
    case ES_DTYPE_F16:
        linear_block_of(block, ES_DTYPE_F16);
        break;
    default:
        linear_block_of(block, ES_DTYPE_F32);
        break;
    }
}
