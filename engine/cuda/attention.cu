/* attention.cu - out[r, h] = softmax(q[r, h] K^T / sqrt(head_dim)) V over the window, few rows
 *
 * shape  q, out [row_count, head_count, head_dim] f32; K, V [kv_head_count, slot_count, head_stride]
 *        f16; row_count * (head_count / kv_head_count) <= 16
 * bytes  kv_head_count * (keys seen) * head_stride * 4        limit: DRAM bandwidth; few keys: latency
 * map    An item is one query head of one row. A block takes one kv head, up to 8 items that share
 *        it and one split of the keys; a warp takes a quarter of the split in steps of 16 keys. The
 *        16 rows of the tensor cores' product hold 8 items twice: queries, and then weights, as f16
 *        and what f16 lost of them, so that only K and V are rounded. Keys and values go from memory
 *        straight to the registers that the product wants: which dimension of a head is which
 *        column is a matter of taste as long as both operands agree, and so every load is 16 bytes.
 *
 * Splits lie on multiples of their length in positions, not in slots and not from the first key
 * seen, and a key that an item does not see adds an exact zero. So the bits of a row depend on its
 * position and on the length of a split alone. That follows from the window and from how many keys
 * the first row sees (es_attention_split_shift); for windows of up to 2048 keys it is constant.
 *
 * The last block of a kv head to finish puts the parts together, in the order of their keys. */
#include "engine/cuda/attention_step.cuh"
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/many.h"
#include "engine/cuda/ops.h"
#include "engine/cuda/split.cuh"
#include "platform/assert.h"

#define WARP_COUNT 4u
#define THREAD_COUNT (32u * WARP_COUNT)
#define TILE_ITEMS 8u
#define ITEM_COUNT_MAX ES_CUDA_ATTENTION_FEW_MAX
#define SPLIT_SHIFT_MIN 6u   /* 64 keys: a step for each warp */
#define SPLIT_FULL_COUNT 32u /* of as many keys as may be; see split_shift */
#define SPLIT_COUNT_MAX (SPLIT_FULL_COUNT + 2u)
#define COMBINE_DEPTH 17u /* parts in flight: two rounds at most */

struct params {
    const float *q;
    const uint16_t *keys, *values;
    const uint64_t *position, *oldest;
    float *out;
    uint16_t *split;   /* in place of out, or NULL */
    float *parts;      /* [kv_head_count, tile_count, split_count_max, TILE_ITEMS, head_stride] */
    float2 *sums;      /* [.., TILE_ITEMS]: largest score, sum of weights */
    uint32_t *tickets; /* [kv_head_count, tile_count] */
    uint32_t row_count, head_count, group, head_dim, tile_count, window, slot_count;
    float scale; /* of q: log2(e) / sqrt(head_dim) */
};

/* The keys that this launch looks at; positions count from `first`. */
struct span {
    uint64_t first; /* first key that row 0 sees */
    uint32_t count; /* to the last row's own */
    uint32_t shift; /* a split is 1 << shift keys */
    uint32_t split_count;
};

/* At most 32 full splits of what the first row sees: enough blocks to fill a large GPU from 8 kv
 * heads on, few enough that putting them together stays short. */
__device__ __forceinline__ uint32_t split_shift(uint32_t seen_count) {
    uint32_t shift = SPLIT_SHIFT_MIN;
    while (seen_count > SPLIT_FULL_COUNT << shift) {
        shift++;
    }
    return shift;
}

__device__ __forceinline__ struct span span_of(const struct params &p, uint64_t position,
                                               uint64_t oldest) {
    struct span span;
    span.first = es_first_seen(p.window, position, oldest);
    span.count = (uint32_t)(position + p.row_count - span.first);
    span.shift = split_shift((uint32_t)(position + 1u - span.first));
    span.split_count =
        (uint32_t)(((position + p.row_count - 1u) >> span.shift) - (span.first >> span.shift)) + 1u;
    return span;
}

/* The block's warps into one part, in the order of their keys. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void store_part(const struct params &p, const float *warp_out,
                                           const float2 *warp_sums, uint32_t item_count,
                                           size_t part) {
    const uint32_t quads = HEAD_STRIDE / 4;
    for (uint32_t i = threadIdx.x; i < item_count * quads; i += THREAD_COUNT) {
        const uint32_t item = i / quads;
        float largest = -INFINITY;
#pragma unroll
        for (uint32_t w = 0; w < WARP_COUNT; w++) {
            largest = fmaxf(largest, warp_sums[w * TILE_ITEMS + item].x);
        }
        const float from = largest == -INFINITY ? 0.0f : largest;
        float4 out = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        float sum = 0.0f;
#pragma unroll
        for (uint32_t w = 0; w < WARP_COUNT; w++) {
            const float2 have = warp_sums[w * TILE_ITEMS + item];
            const float weight = es_ptx_ex2(have.x - from);
            const float4 more = *(const float4 *)(warp_out + (w * TILE_ITEMS + item) * HEAD_STRIDE +
                                                  4u * (i % quads));
            out.x = fmaf(weight, more.x, out.x);
            out.y = fmaf(weight, more.y, out.y);
            out.z = fmaf(weight, more.z, out.z);
            out.w = fmaf(weight, more.w, out.w);
            sum = fmaf(weight, have.y, sum);
        }
        *(float4 *)(p.parts + (part * TILE_ITEMS + item) * HEAD_STRIDE + 4u * (i % quads)) = out;
        if (i % quads == 0) {
            p.sums[part * TILE_ITEMS + item] = make_float2(largest, sum);
        }
    }
}

/* Columns are even, as is the distance between rows. */
__device__ __forceinline__ void store_pair(const struct params &p, uint32_t row, uint32_t column,
                                           float first, float second) {
    if (p.split != nullptr) {
        es_split_store2(p.split, p.row_count, row, column, first, second);
    } else {
        *(float2 *)(p.out + (size_t)row * p.head_count * p.head_dim + column) =
            make_float2(first, second);
    }
}

/* Up to COMBINE_DEPTH parts of four dimensions of an item, on their way. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void load_parts(const struct params &p, float4 (&more)[COMBINE_DEPTH],
                                           size_t first_part, uint32_t i, uint32_t split,
                                           uint32_t split_count) {
    const uint32_t quads = HEAD_STRIDE / 4;
    const float *part =
        p.parts + (first_part * TILE_ITEMS + i / quads) * HEAD_STRIDE + 4u * (i % quads);
#pragma unroll
    for (uint32_t k = 0; k < COMBINE_DEPTH; k++) {
        const uint32_t from = split + k < split_count ? split + k : split;
        more[k] = __ldcg((const float4 *)(part + (size_t)from * TILE_ITEMS * HEAD_STRIDE));
    }
}

/* weights [item_count, split_count]: of a part's numbers, and its share of the sum. */
__device__ __forceinline__ void weigh_parts(const struct params &p, float2 *weights,
                                            uint32_t split_count, size_t first_part,
                                            uint32_t item_count) {
    const uint32_t lane = threadIdx.x % 32u;
    for (uint32_t item = threadIdx.x / 32u; item < item_count; item += WARP_COUNT) {
        float2 have[2];
        float largest = -INFINITY;
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t split = lane + 32u * i;
            have[i] = make_float2(-INFINITY, 0.0f);
            if (split < split_count) {
                have[i] = __ldcg(p.sums + (first_part + split) * TILE_ITEMS + item);
            }
            largest = fmaxf(largest, have[i].x);
        }
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
        }
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t split = lane + 32u * i;
            if (split < split_count) {
                const float weight = es_ptx_ex2(have[i].x - largest);
                weights[item * SPLIT_COUNT_MAX + split] = make_float2(weight, weight * have[i].y);
            }
        }
    }
}

/* All parts of these items into their result; `first_part` is that of the first split. The first
 * parts come while their weights are made. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void
combine(const struct params &p, float2 *weights, uint32_t split_count, size_t first_part,
        uint32_t first_item, uint32_t item_count, uint32_t kv_head) {
    const uint32_t quads = HEAD_STRIDE / 4;
    const uint32_t count = item_count * quads;
    float4 more[COMBINE_DEPTH];
    if (threadIdx.x < count) {
        load_parts<HEAD_STRIDE>(p, more, first_part, threadIdx.x, 0, split_count);
    }
    weigh_parts(p, weights, split_count, first_part, item_count);
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += THREAD_COUNT) {
        const uint32_t item = i / quads;
        const uint32_t dim = 4u * (i % quads);
        const float2 *weight = weights + item * SPLIT_COUNT_MAX;
        float4 out = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        float sum = 0.0f;
        for (uint32_t split = 0; split < split_count; split += COMBINE_DEPTH) {
            if (i != threadIdx.x || split > 0) {
                load_parts<HEAD_STRIDE>(p, more, first_part, i, split, split_count);
            }
#pragma unroll
            for (uint32_t k = 0; k < COMBINE_DEPTH; k++) {
                if (split + k < split_count) {
                    const float2 w = weight[split + k];
                    out.x = fmaf(w.x, more[k].x, out.x);
                    out.y = fmaf(w.x, more[k].y, out.y);
                    out.z = fmaf(w.x, more[k].z, out.z);
                    out.w = fmaf(w.x, more[k].w, out.w);
                    sum += w.y;
                }
            }
        }
        const uint32_t row = (first_item + item) / p.group;
        const uint32_t head = kv_head * p.group + (first_item + item) % p.group;
        const float by = 1.0f / sum;
        if (dim < p.head_dim) {
            store_pair(p, row, head * p.head_dim + dim, out.x * by, out.y * by);
        }
        if (dim + 2u < p.head_dim) {
            store_pair(p, row, head * p.head_dim + dim + 2u, out.z * by, out.w * by);
        }
    }
}

/* A warp's quarter of a split. What older runs left in the ring is on its way before the queries,
 * and this run's own keys, are there. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void run_warp(struct running<HEAD_STRIDE> &run, const struct params &p,
                                         const struct span &span, uint64_t position,
                                         uint64_t oldest, uint32_t kv_head, uint32_t first_item,
                                         uint32_t item_count) {
    const uint32_t warp = threadIdx.x / 32u;
    const uint32_t g = threadIdx.x % 32u / 4u;
    const uint32_t t = threadIdx.x % 4u;
    const uint32_t item = first_item + (g < item_count ? g : 0u);
    const uint32_t row = item / p.group;
    const uint32_t head = kv_head * p.group + item % p.group;

    /* Keys as positions behind span.first; the first split may begin before it. */
    const uint32_t quarter = 1u << (span.shift - 2u);
    const int begin = (int)(blockIdx.x << span.shift) + (int)(warp * quarter) -
                      (int)((uint32_t)span.first & ((1u << span.shift) - 1u));
    const int end = min(begin + (int)quarter, (int)span.count);
    int key = begin;
    while (key + (int)STEP_KEYS <= 0) {
        key += (int)STEP_KEYS;
    }
    const struct ring_view ring = {es_slot_of(span.first, p.slot_count), p.slot_count, span.count};
    const uint16_t *keys = p.keys + (size_t)kv_head * p.slot_count * HEAD_STRIDE;
    const uint16_t *values = p.values + (size_t)kv_head * p.slot_count * HEAD_STRIDE;
    struct step_data<HEAD_STRIDE> data;
    const bool is_old = key + (int)STEP_KEYS <= (int)(span.count - p.row_count);
    if (key < end && is_old) {
        load_keys<HEAD_STRIDE>(data, ring, keys, key, g, t);
        load_values<HEAD_STRIDE>(data, ring, values, key, g, t);
    }
    es_grid_wait();
    if (key < end && !is_old) {
        load_keys<HEAD_STRIDE>(data, ring, keys, key, g, t);
        load_values<HEAD_STRIDE>(data, ring, values, key, g, t);
    }
    struct query_data<HEAD_STRIDE> q;
    load_query<HEAD_STRIDE>(q, p.q + ((size_t)row * p.head_count + head) * p.head_dim, p.head_dim,
                            p.scale, g < item_count, t);
    /* This item sees the keys from `low` to `high`. */
    const int low = (int)(es_first_seen(p.window, position + row, oldest) - span.first);
    const int high = (int)(position + row - span.first);

    run.largest = -INFINITY;
    run.sum = 0.0f;
#pragma unroll
    for (int n = 0; n < HEAD_STRIDE / 8; n++) {
        run.out[n][0] = run.out[n][1] = run.out[n][2] = run.out[n][3] = 0.0f;
    }
    for (; key < end; key += (int)STEP_KEYS) {
        float scores[4];
        score_step<HEAD_STRIDE>(scores, q, data);
        const int next = key + (int)STEP_KEYS;
        if (next < end) {
            load_keys<HEAD_STRIDE>(data, ring, keys, next, g, t);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int at = key + (int)(2u * t) + (i & 1) + 8 * (i >> 1);
            scores[i] = at >= low && at <= high ? scores[i] : -INFINITY;
        }
        weigh_step<HEAD_STRIDE>(run, scores, data);
        if (next < end) {
            load_values<HEAD_STRIDE>(data, ring, values, next, g, t);
        }
    }
    run.sum += __shfl_xor_sync(0xffffffffu, run.sum, 1);
    run.sum += __shfl_xor_sync(0xffffffffu, run.sum, 2);
}

template <int HEAD_STRIDE>
__global__ static void __launch_bounds__(THREAD_COUNT)
    attend_few(const __grid_constant__ struct params p) {
    ES_SHARED_ALIGNED(16, float[WARP_COUNT * TILE_ITEMS * HEAD_STRIDE], warp_out);
    ES_SHARED(float2[WARP_COUNT * TILE_ITEMS], warp_sums);
    ES_SHARED(float2[TILE_ITEMS * SPLIT_COUNT_MAX], weights);
    ES_SHARED(bool, is_last);

    es_grid_release();
    /* Nothing of a run but its end moves these two (grid.cuh). */
    const uint64_t position = __ldcg((const unsigned long long *)p.position);
    const uint64_t oldest = __ldcg((const unsigned long long *)p.oldest);
    const struct span span = span_of(p, position, oldest);
    if (blockIdx.x >= span.split_count) {
        return; /* others of this kernel wait */
    }
    const uint32_t kv_head = blockIdx.y / p.tile_count;
    const uint32_t first_item = blockIdx.y % p.tile_count * TILE_ITEMS;
    const uint32_t item_count = min(TILE_ITEMS, p.row_count * p.group - first_item);
    const uint32_t warp = threadIdx.x / 32u;
    const uint32_t g = threadIdx.x % 32u / 4u;
    const uint32_t t = threadIdx.x % 4u;
    {
        struct running<HEAD_STRIDE> run;
        run_warp<HEAD_STRIDE>(run, p, span, position, oldest, kv_head, first_item, item_count);
        if (g < item_count) {
            store_warp<HEAD_STRIDE>(run, warp_out + (warp * TILE_ITEMS + g) * HEAD_STRIDE, t);
            if (t == 0) {
                warp_sums[warp * TILE_ITEMS + g] = make_float2(run.largest, run.sum);
            }
        }
    }
    __syncthreads();
    const size_t first_part = (size_t)blockIdx.y * gridDim.x;
    store_part<HEAD_STRIDE>(p, warp_out, warp_sums, item_count, first_part + blockIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) {
        /* What the block wrote comes before, and what it reads now comes after what those with
         * earlier tickets wrote. */
        is_last = es_ptx_add_acq_rel(p.tickets + blockIdx.y, 1u) == span.split_count - 1u;
    }
    __syncthreads();
    if (!is_last) {
        return;
    }
    combine<HEAD_STRIDE>(p, weights, span.split_count, first_part, first_item, item_count, kv_head);
    if (threadIdx.x == 0) {
        p.tickets[blockIdx.y] = 0;
    }
}

static uint32_t tile_count_of(uint32_t item_count) {
    return (item_count + TILE_ITEMS - 1u) / TILE_ITEMS;
}

/* Splits of the shortest length, or what longer ones may be at most. */
static uint32_t split_count_max(uint32_t window, uint32_t row_count) {
    uint32_t count = ((window + row_count - 2u) >> SPLIT_SHIFT_MIN) + 2u;
    return count < SPLIT_COUNT_MAX ? count : SPLIT_COUNT_MAX;
}

/* Items of one kv head in the largest run that this kernel takes. */
static uint32_t item_count_max(const struct es_stack *stack, uint32_t row_count_max) {
    uint32_t group = stack->head_count / stack->kv_head_count;
    uint32_t rows = ITEM_COUNT_MAX / group;
    return group * (rows < row_count_max ? rows : row_count_max);
}

size_t es_cuda_attention_scratch_bytes(const struct es_stack *stack, uint32_t row_count_max) {
    size_t parts = (size_t)stack->kv_head_count *
                   tile_count_of(item_count_max(stack, row_count_max)) *
                   split_count_max(stack->window, ITEM_COUNT_MAX);
    return parts * TILE_ITEMS *
           (es_cuda_head_stride(stack->head_dim) * sizeof(float) + sizeof(float2));
}

uint32_t es_cuda_attention_ticket_count(const struct es_stack *stack, uint32_t row_count_max) {
    return stack->kv_head_count * tile_count_of(item_count_max(stack, row_count_max));
}

enum es_status es_cuda_attention(const struct es_cuda_ops *ops, const struct es_cuda_attention *op,
                                 struct es_error *error) {
    static const struct es_cuda_kernel kernels[] = {
        ES_KERNEL("attention_few<32>", attend_few<32>),
        ES_KERNEL("attention_few<64>", attend_few<64>),
        ES_KERNEL("attention_few<128>", attend_few<128>),
    };
    ES_ASSERT(op->row_count >= 1);
    ES_ASSERT(op->window >= 1);
    ES_ASSERT(op->kv_head_count >= 1);
    ES_ASSERT(op->head_count % op->kv_head_count == 0);
    ES_ASSERT(op->head_dim % 2 == 0);
    ES_ASSERT(op->head_dim <= op->head_stride);
    ES_ASSERT(op->head_stride == 32 || op->head_stride == 64 || op->head_stride == 128);
    ES_ASSERT(op->slot_count >= (uint64_t)op->window - 1u + op->row_count);
    const uint32_t group = op->head_count / op->kv_head_count;
    const uint32_t item_count = op->row_count * group;
    if (item_count > ITEM_COUNT_MAX) {
        ES_ASSERT(op->split == NULL);
        return es_cuda_attention_many(ops, op, error);
    }
    const uint32_t tile_count = tile_count_of(item_count);
    const uint32_t split_count = split_count_max(op->window, op->row_count);
    const size_t parts = (size_t)op->kv_head_count * tile_count * split_count;
    struct params params;
    params.q = op->q;
    params.keys = op->keys;
    params.values = op->values;
    params.position = op->position;
    params.oldest = op->oldest;
    params.out = op->out;
    params.split = op->split;
    params.parts = ops->partials;
    params.sums = (float2 *)(ops->partials + parts * TILE_ITEMS * op->head_stride);
    params.tickets = ops->tickets;
    params.row_count = op->row_count;
    params.head_count = op->head_count;
    params.group = group;
    params.head_dim = op->head_dim;
    params.tile_count = tile_count;
    params.window = op->window;
    params.slot_count = op->slot_count;
    params.scale = 1.4426950408889634f / sqrtf((float)op->head_dim);
    const struct es_cuda_grid grid = {.block_count = split_count,
                                      .block_count_y = op->kv_head_count * tile_count,
                                      .thread_count = THREAD_COUNT,
                                      .shared_bytes = 0,
                                      .is_dependent = true,
                                      .moved_bytes = (uint64_t)op->kv_head_count * op->window *
                                                     op->head_stride * 2u * sizeof(uint16_t)};
    void *args[] = {&params};
    return es_cuda_launch(ops->cuda, &kernels[op->head_stride / 64u], &grid, args, error);
}
