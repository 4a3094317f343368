/* attention_many.cu - out[r, h] = softmax(q[r, h] K^T / sqrt(head_dim)) V over the window, many rows
 *
 * shape  q, out [row_count, head_count, head_dim] f32; K, V [kv_head_count, slot_count, head_stride]
 *        f16
 * work   4 * row_count * head_count * head_dim operations per key seen; limit: tensor cores
 * map    An item is one query head of one row. A block takes one kv head and 64 items that follow one
 *        another; its 8 warps are 4 times 16 items, times two halves of the keys: every other tile of
 *        4 KiB of keys. Tiles of keys and values come into shared memory by asynchronous copies, two
 *        tiles ahead; rows are swizzled by 16 bytes, so that the 8 rows of an ldmatrix lie in
 *        different banks.
 *
 * Tiles lie on multiples of their length in positions, and a key that an item does not see adds an
 * exact zero: the bits of a row depend on its position alone, not on the rows beside it. */
#include "engine/cuda/f16.cuh"
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/many.h"
#include "platform/assert.h"

#define HALF_COUNT 2
#define HALF_WARPS 4
#define HALF_THREADS (32 * HALF_WARPS)
#define THREAD_COUNT (HALF_COUNT * HALF_THREADS)
#define WARP_ITEMS 16
#define BLOCK_ITEMS (WARP_ITEMS * HALF_WARPS)
#define STAGE_COUNT 3
#define TILE_HALVES 2048 /* f16 numbers of a tile of keys, and of values */
#define STAGE_HALVES (2 * TILE_HALVES)

struct params {
    const float *q;
    const uint16_t *keys, *values;
    const uint64_t *position, *oldest;
    float *out;
    uint32_t row_count, head_count, group, head_dim, window, slot_count;
    float scale; /* of q: log2(e) / sqrt(head_dim) */
};

/* What a block looks at; keys count as positions behind `first`. */
struct span {
    uint64_t first; /* first key that the block's first row sees */
    uint32_t count; /* to the last row's own */
    uint32_t base_slot;
};

/* The half's own barrier; 0 is that of the block. */
__device__ __forceinline__ void meet_half(uint32_t half) {
    es_ptx_bar_sync_at<HALF_THREADS>(half + 1u);
}

template <int HEAD_STRIDE> struct tile {
    static constexpr int KEYS = TILE_HALVES / HEAD_STRIDE;
    static constexpr int CHUNKS = HEAD_STRIDE / 8; /* of 16 bytes, per key */
    /* Bytes within a tile. Rows of 64 bytes share 128 two by two. */
    __device__ static __forceinline__ uint32_t offset(uint32_t key, uint32_t chunk) {
        const uint32_t swizzle = HEAD_STRIDE >= 64 ? key & 7u : key >> 1 & 3u;
        return (key * CHUNKS + (chunk ^ swizzle)) * 16u;
    }
};

/* A tile of keys and one of values on their way; `key` is the first one's position. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void fetch_tile(const struct params &p, const struct span &span,
                                           const uint16_t *keys, const uint16_t *values, int key,
                                           uint32_t stage) {
    typedef tile<HEAD_STRIDE> tile_type;
    const uint32_t thread = threadIdx.x % HALF_THREADS;
#pragma unroll
    for (uint32_t i = 0; i < TILE_HALVES / 8 / HALF_THREADS; i++) {
        const uint32_t index = thread + i * HALF_THREADS;
        const uint32_t row = index / tile_type::CHUNKS;
        const uint32_t chunk = index % tile_type::CHUNKS;
        const int wanted = key + (int)row;
        const bool is_there = (uint32_t)wanted < span.count;
        uint32_t slot = is_there ? span.base_slot + (uint32_t)wanted : 0u;
        slot = slot >= p.slot_count ? slot - p.slot_count : slot;
        const size_t from = (size_t)slot * HEAD_STRIDE + 8u * chunk;
        const uint32_t to = stage + tile_type::offset(row, chunk);
        es_ptx_cp_async(to, keys + from, is_there);
        es_ptx_cp_async(to + TILE_HALVES * (uint32_t)sizeof(uint16_t), values + from, is_there);
    }
}

/* Of items g and g + 8 of a warp, lane 4 g + t. */
template <int HEAD_STRIDE> struct running {
    float largest[2], sum[2]; /* sums of this lane's keys alone */
    float out[HEAD_STRIDE / 8][4];
};

template <int HEAD_STRIDE>
__device__ __forceinline__ void score_tile(float (&scores)[tile<HEAD_STRIDE>::KEYS / 8][4],
                                           const uint32_t (&q)[HEAD_STRIDE / 16][4],
                                           uint32_t stage) {
    typedef tile<HEAD_STRIDE> tile_type;
    const uint32_t lane = threadIdx.x % 32u;
#pragma unroll
    for (int n = 0; n < tile_type::KEYS / 8; n++) {
        scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0.0f;
    }
#pragma unroll
    for (int d = 0; d < HEAD_STRIDE / 16; d++) {
#pragma unroll
        for (int n = 0; n < tile_type::KEYS / 16; n++) {
            uint32_t k[4]; /* keys 0..7 and 8..15, each dims 0..7 and 8..15 */
            const uint32_t key = 16u * (uint32_t)n + (lane >> 4 << 3) + (lane & 7u);
            es_ptx_ldmatrix(k, stage + tile_type::offset(key, 2u * (uint32_t)d + (lane >> 3 & 1u)));
            es_f16_multiply(scores[2 * n], q[d][0], q[d][1], q[d][2], q[d][3], k[0], k[1]);
            es_f16_multiply(scores[2 * n + 1], q[d][0], q[d][1], q[d][2], q[d][3], k[2], k[3]);
        }
    }
}

/* Scores of keys that an item does not see: none. */
template <int TILES>
__device__ __forceinline__ void mask_tile(float (&scores)[TILES][4], int key, const int (&low)[2],
                                          const int (&high)[2]) {
    const int t = (int)(threadIdx.x % 4u);
#pragma unroll
    for (int n = 0; n < TILES; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int at = key + 8 * n + 2 * t + (i & 1);
            if (at < low[i >> 1] || at > high[i >> 1]) {
                scores[n][i] = -INFINITY;
            }
        }
    }
}

template <int HEAD_STRIDE>
__device__ __forceinline__ void soften_tile(struct running<HEAD_STRIDE> &run,
                                            float (&scores)[tile<HEAD_STRIDE>::KEYS / 8][4]) {
    constexpr int TILES = tile<HEAD_STRIDE>::KEYS / 8;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float largest = run.largest[h];
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            largest = fmaxf(largest, fmaxf(scores[n][2 * h], scores[n][2 * h + 1]));
        }
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
        const float from = largest == -INFINITY ? 0.0f : largest;
        const float shrink = es_ptx_ex2(run.largest[h] - from);
        run.largest[h] = largest;
        float sum = 0.0f;
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            scores[n][2 * h] = es_ptx_ex2(scores[n][2 * h] - from);
            scores[n][2 * h + 1] = es_ptx_ex2(scores[n][2 * h + 1] - from);
            sum += scores[n][2 * h] + scores[n][2 * h + 1];
        }
        run.sum[h] = run.sum[h] * shrink + sum;
#pragma unroll
        for (int n = 0; n < HEAD_STRIDE / 8; n++) {
            run.out[n][2 * h] *= shrink;
            run.out[n][2 * h + 1] *= shrink;
        }
    }
}

template <int HEAD_STRIDE>
__device__ __forceinline__ void add_values(struct running<HEAD_STRIDE> &run,
                                           const float (&weights)[tile<HEAD_STRIDE>::KEYS / 8][4],
                                           uint32_t stage) {
    typedef tile<HEAD_STRIDE> tile_type;
    const uint32_t lane = threadIdx.x % 32u;
#pragma unroll
    for (int k = 0; k < tile_type::KEYS / 16; k++) {
        const uint32_t a0 = es_f16_pack(weights[2 * k][0], weights[2 * k][1]);
        const uint32_t a1 = es_f16_pack(weights[2 * k][2], weights[2 * k][3]);
        const uint32_t a2 = es_f16_pack(weights[2 * k + 1][0], weights[2 * k + 1][1]);
        const uint32_t a3 = es_f16_pack(weights[2 * k + 1][2], weights[2 * k + 1][3]);
        const uint32_t key = 16u * (uint32_t)k + (lane & 15u);
#pragma unroll
        for (int d = 0; d < HEAD_STRIDE / 16; d++) {
            uint32_t v[4]; /* dims 0..7 and 8..15, each keys 0..7 and 8..15 */
            es_ptx_ldmatrix_trans(v,
                                  stage + tile_type::offset(key, 2u * (uint32_t)d + (lane >> 4)));
            es_f16_multiply(run.out[2 * d], a0, a1, a2, a3, v[0], v[1]);
            es_f16_multiply(run.out[2 * d + 1], a0, a1, a2, a3, v[2], v[3]);
        }
    }
}

/* Queries of items g and g + 8, scaled, as f16. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void load_queries(uint32_t (&q)[HEAD_STRIDE / 16][4],
                                             const struct params &p,
                                             const float *const (&rows)[2]) {
    const uint32_t t = threadIdx.x % 4u;
#pragma unroll
    for (int d = 0; d < HEAD_STRIDE / 16; d++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t dim = 16u * (uint32_t)d + 8u * (uint32_t)(i >> 1) + 2u * t;
            float2 pair = make_float2(0.0f, 0.0f);
            if (rows[i & 1] != NULL && dim < p.head_dim) {
                pair = __ldcg((const float2 *)(rows[i & 1] + dim));
            }
            q[d][i] = es_f16_pack(es_f16_bound(pair.x * p.scale), es_f16_bound(pair.y * p.scale));
        }
    }
}

/* One warp's items over its half's tiles. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void
run_half(struct running<HEAD_STRIDE> &run, const struct params &p, const struct span &span,
         const uint32_t (&q)[HEAD_STRIDE / 16][4], const int (&low)[2], const int (&high)[2],
         uint32_t kv_head, uint32_t half, uint32_t shared) {
    constexpr int KEYS = tile<HEAD_STRIDE>::KEYS;
    const uint16_t *keys = p.keys + (size_t)kv_head * p.slot_count * HEAD_STRIDE;
    const uint16_t *values = p.values + (size_t)kv_head * p.slot_count * HEAD_STRIDE;
    /* The half takes the tiles whose number in the stream is even, or odd. */
    const uint32_t first_tile = (uint32_t)(span.first / KEYS);
    const int begin = -(int)((uint32_t)span.first % KEYS) + (int)((first_tile ^ half) & 1u) * KEYS;
    const int end = (int)span.count;

    /* What the whole warp sees, and what each of its items does. */
    int low_any = min(low[0], low[1]);
    int low_all = max(low[0], low[1]);
    int high_any = max(high[0], high[1]);
    int high_all = min(high[0], high[1]);
#pragma unroll
    for (int offset = 4; offset < 32; offset *= 2) {
        low_any = min(low_any, __shfl_xor_sync(0xffffffffu, low_any, offset));
        low_all = max(low_all, __shfl_xor_sync(0xffffffffu, low_all, offset));
        high_any = max(high_any, __shfl_xor_sync(0xffffffffu, high_any, offset));
        high_all = min(high_all, __shfl_xor_sync(0xffffffffu, high_all, offset));
    }
#pragma unroll
    for (int i = 0; i < STAGE_COUNT - 1; i++) {
        const int key = begin + i * HALF_COUNT * KEYS;
        if (key < end) {
            fetch_tile<HEAD_STRIDE>(p, span, keys, values, key,
                                    shared + (uint32_t)i * STAGE_HALVES * 2u);
            es_ptx_cp_async_commit();
        }
    }
    /* Every thread has its own copies of this tile, then the half meets: so all copies are there,
     * and all warps are done with the tile before it, into whose stage the next copies go. No group
     * is empty, and the last tile waits for all that is open. */
    uint32_t stage = 0;
    uint32_t free_stage = STAGE_COUNT - 1;
    for (int key = begin; key < end; key += HALF_COUNT * KEYS) {
        static_assert(STAGE_COUNT == 3, "one tile may be on its way beside this one");
        if (key + HALF_COUNT * KEYS < end) {
            es_ptx_cp_async_wait<1>();
        } else {
            es_ptx_cp_async_wait<0>();
        }
        meet_half(half);
        const int next = key + (STAGE_COUNT - 1) * HALF_COUNT * KEYS;
        if (next < end) {
            fetch_tile<HEAD_STRIDE>(p, span, keys, values, next,
                                    shared + free_stage * STAGE_HALVES * 2u);
            es_ptx_cp_async_commit();
        }
        if (key + KEYS > low_any && key <= high_any) {
            const uint32_t here = shared + stage * STAGE_HALVES * 2u;
            float scores[KEYS / 8][4];
            score_tile<HEAD_STRIDE>(scores, q, here);
            if (key < low_all || key + KEYS - 1 > high_all) {
                mask_tile<KEYS / 8>(scores, key, low, high);
            }
            soften_tile<HEAD_STRIDE>(run, scores);
            add_values<HEAD_STRIDE>(run, scores, here + TILE_HALVES * (uint32_t)sizeof(uint16_t));
        }
        stage = stage == STAGE_COUNT - 1 ? 0 : stage + 1;
        free_stage = free_stage == STAGE_COUNT - 1 ? 0 : free_stage + 1;
    }
}

template <int HEAD_STRIDE>
__global__ static void __launch_bounds__(THREAD_COUNT)
    attend_many(const __grid_constant__ struct params p) {
    /* Tiles; at the end what the second half found: [BLOCK_ITEMS, HEAD_STRIDE] and its sums. */
    ES_SHARED_ALIGNED(128, uint16_t[HALF_COUNT * STAGE_COUNT * STAGE_HALVES], memory);
    static_assert(sizeof memory >= BLOCK_ITEMS * (HEAD_STRIDE + 2) * sizeof(float), "both fit");

    const uint32_t warp = threadIdx.x / 32u % HALF_WARPS;
    const uint32_t half = threadIdx.x / HALF_THREADS;
    const uint32_t g = threadIdx.x % 32u / 4u;
    const uint32_t t = threadIdx.x % 4u;
    const uint32_t kv_head = blockIdx.y;
    const uint32_t item_count = p.row_count * p.group;
    const uint32_t first_item = blockIdx.x * BLOCK_ITEMS;
    const uint32_t last_item = min(first_item + BLOCK_ITEMS, item_count) - 1u;
    const uint32_t first_row = first_item / p.group;

    es_grid_release();
    es_grid_wait();
    const uint64_t position = __ldcg((const unsigned long long *)p.position);
    const uint64_t oldest = __ldcg((const unsigned long long *)p.oldest);
    struct span span;
    span.first = es_first_seen(p.window, position + first_row, oldest);
    span.count = (uint32_t)(position + last_item / p.group + 1u - span.first);
    span.base_slot = es_slot_of(span.first, p.slot_count);

    const float *rows[2];
    size_t offsets[2];
    int low[2], high[2];
#pragma unroll
    for (uint32_t h = 0; h < 2; h++) {
        const uint32_t item = first_item + warp * WARP_ITEMS + g + 8u * h;
        const uint32_t row = min(item, last_item) / p.group;
        offsets[h] = ((size_t)row * p.head_count + kv_head * p.group + item % p.group) * p.head_dim;
        rows[h] = item <= last_item ? p.q + offsets[h] : NULL;
        low[h] = (int)(es_first_seen(p.window, position + row, oldest) - span.first);
        high[h] = (int)(position + row - span.first);
    }
    struct running<HEAD_STRIDE> run;
#pragma unroll
    for (int n = 0; n < HEAD_STRIDE / 8; n++) {
        run.out[n][0] = run.out[n][1] = run.out[n][2] = run.out[n][3] = 0.0f;
    }
    run.largest[0] = run.largest[1] = -INFINITY;
    run.sum[0] = run.sum[1] = 0.0f;
    {
        uint32_t q[HEAD_STRIDE / 16][4];
        load_queries<HEAD_STRIDE>(q, p, rows);
        run_half<HEAD_STRIDE>(run, p, span, q, low, high, kv_head, half,
                              (uint32_t)__cvta_generic_to_shared(memory) +
                                  half * STAGE_COUNT * STAGE_HALVES * 2u);
    }
    es_ptx_cp_async_wait<0>();
    __syncthreads();
    float *other = (float *)memory;
    float *other_sums = other + BLOCK_ITEMS * HEAD_STRIDE;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        run.sum[h] += __shfl_xor_sync(0xffffffffu, run.sum[h], 1);
        run.sum[h] += __shfl_xor_sync(0xffffffffu, run.sum[h], 2);
        const uint32_t item = warp * WARP_ITEMS + g + 8u * (uint32_t)h;
        if (half == 1) {
#pragma unroll
            for (int n = 0; n < HEAD_STRIDE / 8; n++) {
                *(float2 *)(other + item * HEAD_STRIDE + 8 * n + 2 * t) =
                    make_float2(run.out[n][2 * h], run.out[n][2 * h + 1]);
            }
            if (t == 0) {
                *(float2 *)(other_sums + 2 * item) = make_float2(run.largest[h], run.sum[h]);
            }
        }
    }
    __syncthreads();
    if (half == 1) {
        return;
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t item = warp * WARP_ITEMS + g + 8u * (uint32_t)h;
        const float2 have = *(const float2 *)(other_sums + 2 * item);
        const float largest = fmaxf(run.largest[h], have.x);
        const float from = largest == -INFINITY ? 0.0f : largest;
        const float mine = es_ptx_ex2(run.largest[h] - from);
        const float theirs = es_ptx_ex2(have.x - from);
        const float by = 1.0f / (run.sum[h] * mine + have.y * theirs);
        if (rows[h] == NULL) {
            continue;
        }
#pragma unroll
        for (int n = 0; n < HEAD_STRIDE / 8; n++) {
            const uint32_t dim = 8u * (uint32_t)n + 2u * t;
            const float2 more = *(const float2 *)(other + item * HEAD_STRIDE + dim);
            if (dim < p.head_dim) {
                *(float2 *)(p.out + offsets[h] + dim) =
                    make_float2((run.out[n][2 * h] * mine + more.x * theirs) * by,
                                (run.out[n][2 * h + 1] * mine + more.y * theirs) * by);
            }
        }
    }
}

enum es_status es_cuda_attention_many(const struct es_cuda_ops *ops,
                                      const struct es_cuda_attention *op, struct es_error *error) {
    static const struct es_cuda_kernel kernels[] = {
        ES_KERNEL("attention_many<32>", attend_many<32>),
        ES_KERNEL("attention_many<64>", attend_many<64>),
        ES_KERNEL("attention_many<128>", attend_many<128>),
    };
    ES_ASSERT(op->head_stride == 32 || op->head_stride == 64 || op->head_stride == 128);
    ES_ASSERT(op->slot_count >= (uint64_t)op->window - 1u + op->row_count);
    struct params params;
    params.q = op->q;
    params.keys = op->keys;
    params.values = op->values;
    params.position = op->position;
    params.oldest = op->oldest;
    params.out = op->out;
    params.row_count = op->row_count;
    params.head_count = op->head_count;
    params.group = op->head_count / op->kv_head_count;
    params.head_dim = op->head_dim;
    params.window = op->window;
    params.slot_count = op->slot_count;
    params.scale = 1.4426950408889634f / sqrtf((float)op->head_dim);
    const uint32_t item_count = op->row_count * params.group;
    const struct es_cuda_grid grid = {.block_count = (item_count + BLOCK_ITEMS - 1u) / BLOCK_ITEMS,
                                      .block_count_y = op->kv_head_count,
                                      .thread_count = THREAD_COUNT,
                                      .shared_bytes = 0,
                                      .is_dependent = true,
                                      .moved_bytes = (uint64_t)op->kv_head_count * op->window *
                                                     op->head_stride * 2u * sizeof(uint16_t)};
    void *args[] = {&params};
    return es_cuda_launch(ops->cuda, &kernels[op->head_stride / 64u], &grid, args, error);
}
