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

/* Widening costs a slice one pass; it is repaid from WIDE_TILES_MIN tiles of rows on. */
#define WIDE_TILES_MIN 4u
#define WIDE_TILES_MAX (64u / TILE_ROWS)
#define WIDE_OUTPUTS (TILE_ROWS >= 8u ? TILE_OUTPUTS_OF_8 : TILE_OUTPUTS_OF_4)

/* The longest slice; the odd cache line keeps the rows of a panel out of each other's sets. */
#define WIDE_STRIDE (SLICE_BYTES / (TILE_ROWS * 4u) + 2u * LANES + 16u)

/* From 8 rows on the arithmetic hides the memory. */
#define PREFETCH_ROWS_MAX 4u

INLINE size_t element_bytes(enum es_dtype dtype) {
    return dtype == ES_DTYPE_F32 ? 4u : 2u;
}

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

/* Asks for the weights that lie `ahead_bytes` behind the two vectors at `index`. An address behind
 * the last weight is asked for in vain, which a prefetch forgives. */
INLINE void weights_prefetch(enum es_dtype dtype, uint32_t N, const void *const *w, size_t index,
                             size_t ahead_bytes) {
    UNROLL for (uint32_t n = 0; n < N; n++) {
        uintptr_t at = (uintptr_t)w[n] + index * element_bytes(dtype) + ahead_bytes;
        __builtin_prefetch((const void *)at);
    }
}

/* Adds `count` elements of R * N dot products x[r] . w[n] to fresh partial sums or to those in
 * `carry` [R * N], where they stay; prefetches `ahead_bytes` behind its weights unless 0. R, N and
 * dtype are constants at every call. */
INLINE void tile_part(enum es_dtype dtype, uint32_t R, uint32_t N, const void *const *w,
                      const float *const *x, size_t count, size_t ahead_bytes, bool is_fresh,
                      vec *carry) {
    vec acc[TILE_SUMS_MAX];
    UNROLL for (uint32_t i = 0; i < R * N; i++) {
        acc[i] = is_fresh ? v_zero() : carry[i];
    }
    size_t index = 0;
    for (; index + 2u * LANES <= count; index += 2u * LANES) {
        if (ahead_bytes > 0) {
            weights_prefetch(dtype, N, w, index, ahead_bytes);
        }
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
    while (index < count) {
        uint32_t part = (uint32_t)(count - index < LANES ? count - index : LANES);
        vec b[TILE_OUTPUTS_MAX];
        UNROLL for (uint32_t n = 0; n < N; n++) {
            b[n] = weights_load_part(dtype, w[n], index, part);
        }
        UNROLL for (uint32_t r = 0; r < R; r++) {
            vec a = v_load_part(x[r] + index, part);
            UNROLL for (uint32_t n = 0; n < N; n++) {
                acc[r * N + n] = v_fma(a, b[n], acc[r * N + n]);
            }
        }
        index += part;
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
    tile_part(dtype, R, N, w, x, k, 0, true, carry);
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

/* Elements of a row that stay in the first-level cache while PANEL_TILES tiles use them: whole
 * steps, so that the lanes do not depend on where a row is cut. */
INLINE size_t slice_elements(uint32_t R, size_t k) {
    const size_t step = 2u * LANES;
    size_t slices = (R * k * sizeof(float) + SLICE_BYTES - 1u) / SLICE_BYTES;
    return ((k + slices - 1u) / slices + step - 1u) / step * step;
}

INLINE const char *weights_at(const struct es_linear_block *block, enum es_dtype dtype,
                              uint32_t output, size_t index) {
    return (const char *)block->w->data +
           (output * (size_t)block->w->in_dim + index) * element_bytes(dtype);
}

/* R rows by `tile_count` times N outputs. Few rows are bound by memory, and rows of weights are too
 * short for the hardware to see the next tile coming: it is asked for while this one is used. */
INLINE void linear_panel(const struct es_linear_block *block, enum es_dtype dtype, uint32_t R,
                         uint32_t N, uint32_t row, uint32_t output, uint32_t tile_count) {
    const size_t k = block->w->in_dim;
    const size_t slice = slice_elements(R, k);
    const size_t ahead_bytes = R <= PREFETCH_ROWS_MAX ? N * k * element_bytes(dtype) : 0;
    vec carry[PANEL_TILES][TILE_SUMS_MAX];
    size_t first = 0;
    do {
        const size_t count = k - first < slice ? k - first : slice;
        const float *x[TILE_ROWS];
        UNROLL for (uint32_t r = 0; r < R; r++) {
            x[r] = block->x + (row + r) * k + first;
        }
        for (uint32_t i = 0; i < tile_count; i++) {
            const void *w[TILE_OUTPUTS_MAX];
            UNROLL for (uint32_t n = 0; n < N; n++) {
                w[n] = weights_at(block, dtype, output + i * N + n, first);
            }
            tile_part(dtype, R, N, w, x, count, ahead_bytes, first == 0, carry[i]);
        }
        first += count;
    } while (first < k);
    for (uint32_t i = 0; i < tile_count; i++) {
        float sums[TILE_SUMS_MAX];
        tile_fold(R, N, carry[i], sums);
        linear_store(block, sums, R, N, row, output + i * N);
    }
}

/* R rows by outputs first .. end - 1, N at a time and the rest one by one. */
INLINE void linear_rows(const struct es_linear_block *block, enum es_dtype dtype, uint32_t R,
                        uint32_t N, uint32_t row, uint32_t first, uint32_t end) {
    while (end - first >= N) {
        uint32_t tile_count = smaller((end - first) / N, PANEL_TILES);
        linear_panel(block, dtype, R, N, row, first, tile_count);
        first += tile_count * N;
    }
    for (; first < end; first++) {
        linear_panel(block, dtype, R, 1, row, first, 1);
    }
}

/* For many rows it can pay to widen a slice of the weights once and to use it for several tiles of
 * rows (WIDENS_AHEAD): the same numbers meet in the same lanes and order, only earlier widened. */
struct wide_panel {
    float weights[PANEL_TILES * WIDE_OUTPUTS][WIDE_STRIDE];
    vec carry[WIDE_TILES_MAX][PANEL_TILES][TILE_SUMS_MAX];
};

INLINE void widen(enum es_dtype dtype, const void *w, size_t count, float *wide) {
    size_t index = 0;
    for (; index + 2u * LANES <= count; index += 2u * LANES) {
        v_store(wide + index, weights_load(dtype, w, index, 0));
        v_store(wide + index + LANES, weights_load(dtype, w, index, 1));
    }
    while (index < count) {
        uint32_t part = (uint32_t)(count - index < LANES ? count - index : LANES);
        v_store_part(wide + index, weights_load_part(dtype, w, index, part), part);
        index += part;
    }
}

/* row_tiles times TILE_ROWS rows by PANEL_TILES times WIDE_OUTPUTS outputs. */
INLINE void linear_wide_panel(const struct es_linear_block *block, enum es_dtype dtype,
                              struct wide_panel *panel, uint32_t row, uint32_t row_tiles,
                              uint32_t output) {
    const size_t k = block->w->in_dim;
    const size_t slice = slice_elements(TILE_ROWS, k);
    size_t first = 0;
    do {
        const size_t count = k - first < slice ? k - first : slice;
        for (uint32_t n = 0; n < PANEL_TILES * WIDE_OUTPUTS; n++) {
            widen(dtype, weights_at(block, dtype, output + n, first), count, panel->weights[n]);
        }
        for (uint32_t tile = 0; tile < row_tiles; tile++) {
            const float *x[TILE_ROWS];
            UNROLL for (uint32_t r = 0; r < TILE_ROWS; r++) {
                x[r] = block->x + (row + tile * TILE_ROWS + r) * k + first;
            }
            for (uint32_t i = 0; i < PANEL_TILES; i++) {
                const void *w[TILE_OUTPUTS_MAX];
                UNROLL for (uint32_t n = 0; n < WIDE_OUTPUTS; n++) {
                    w[n] = panel->weights[i * WIDE_OUTPUTS + n];
                }
                tile_part(ES_DTYPE_F32, TILE_ROWS, WIDE_OUTPUTS, w, x, count, 0, first == 0,
                          panel->carry[tile][i]);
            }
        }
        first += count;
    } while (first < k);
    for (uint32_t tile = 0; tile < row_tiles; tile++) {
        for (uint32_t i = 0; i < PANEL_TILES; i++) {
            float sums[TILE_SUMS_MAX];
            tile_fold(TILE_ROWS, WIDE_OUTPUTS, panel->carry[tile][i], sums);
            linear_store(block, sums, TILE_ROWS, WIDE_OUTPUTS, row + tile * TILE_ROWS,
                         output + i * WIDE_OUTPUTS);
        }
    }
}

INLINE void linear_wide_rows(const struct es_linear_block *block, enum es_dtype dtype, uint32_t row,
                             uint32_t row_tiles) {
    struct wide_panel panel;
    uint32_t first = block->first_output;
    const uint32_t end = first + block->output_count;
    for (; end - first >= PANEL_TILES * WIDE_OUTPUTS; first += PANEL_TILES * WIDE_OUTPUTS) {
        linear_wide_panel(block, dtype, &panel, row, row_tiles, first);
    }
    for (uint32_t tile = 0; tile < row_tiles; tile++) {
        linear_rows(block, dtype, TILE_ROWS, WIDE_OUTPUTS, row + tile * TILE_ROWS, first, end);
    }
}

INLINE void linear_block_of(const struct es_linear_block *block, enum es_dtype dtype) {
    const uint32_t first = block->first_output;
    const uint32_t end = first + block->output_count;
    uint32_t row = 0;
    while (row < block->row_count) {
        uint32_t left = block->row_count - row;
        if (WIDENS_AHEAD && dtype != ES_DTYPE_F32 && left >= WIDE_TILES_MIN * TILE_ROWS) {
            uint32_t row_tiles = smaller(left / TILE_ROWS, WIDE_TILES_MAX);
            linear_wide_rows(block, dtype, row, row_tiles);
            row += row_tiles * TILE_ROWS;
        } else if (TILE_ROWS >= 8u && left >= 8u) {
            linear_rows(block, dtype, 8, TILE_OUTPUTS_OF_8, row, first, end);
            row += 8u;
        } else if (left >= 4u) {
            linear_rows(block, dtype, 4, TILE_OUTPUTS_OF_4, row, first, end);
            row += 4u;
        } else if (left >= 2u) {
            linear_rows(block, dtype, 2, TILE_OUTPUTS_OF_2, row, first, end);
            row += 2u;
        } else {
            linear_rows(block, dtype, 1, TILE_OUTPUTS_OF_1, row, first, end);
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
