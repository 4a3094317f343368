/* many.cu - what stands before and behind the products of many rows (many.h)
 *
 * shape  x [row_count, in_dim] f32 -> split [parts * row_count, stride] bf16; products
 *        [parts * row_count, stride of out_dim] f32 -> what the operation gives
 * bytes  each kernel reads and writes its operands once: at 256 rows they stay in the L2 cache of a
 *        large GPU        limit: latency, then the speed of that cache
 * map    split: a block per row; the others: a thread per result or pair of results, a row of blocks
 *        per row */
#include "engine/cuda/bf16.cuh"
#include "engine/cuda/gemm.h"
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/many.h"
#include "platform/assert.h"

#include <cuda_fp16.h>

#define THREAD_COUNT 256u
#define WARP_COUNT (THREAD_COUNT / 32u)
#define PART_COUNT ES_CUDA_SPLIT_PART_COUNT
#define HALF_MAX 65504.0f
#define MATRIX_COUNT_MAX 3u

static_assert(PART_COUNT == 1 || PART_COUNT == 2, "a part is what the one before it lost");

/* -- before ------------------------------------------------------------------------------------- */

struct split_params {
    const float *x;
    uint32_t x_row_floats, in_dim, stride, row_count;
    const float *norm; /* or NULL: as it is */
    const float *ada;  /* or NULL */
    float norm_eps;
    uint32_t *split; /* pairs */
};

/* The sum of all threads' values, to all of them, always added in the same order. */
__device__ __forceinline__ float block_sum(float value) {
    ES_SHARED(float[WARP_COUNT], sums);
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, offset);
    }
    if (threadIdx.x % 32u == 0) {
        sums[threadIdx.x / 32u] = value;
    }
    __syncthreads();
    float sum = 0.0f;
#pragma unroll
    for (uint32_t i = 0; i < WARP_COUNT; i++) {
        sum += sums[i];
    }
    return sum;
}

__device__ __forceinline__ float split_value(const struct split_params &p, const float *x,
                                             uint32_t i, float scale) {
    if (i >= p.in_dim) {
        return 0.0f;
    }
    float value = __ldcg(x + i);
    if (p.norm != NULL) {
        value = value * scale * p.norm[i];
    }
    if (p.ada != NULL) {
        value *= 1.0f + __ldcg(p.ada + i);
    }
    return value;
}

__global__ static void __launch_bounds__(THREAD_COUNT)
    split_rows(const __grid_constant__ struct split_params p) {
    es_grid_release();
    es_grid_wait();
    const float *x = p.x + (size_t)blockIdx.x * p.x_row_floats;
    float scale = 1.0f;
    if (p.norm != NULL) {
        float sum = 0.0f;
        for (uint32_t i = threadIdx.x; i < p.in_dim; i += THREAD_COUNT) {
            const float value = __ldcg(x + i);
            sum = fmaf(value, value, sum);
        }
        scale = 1.0f / sqrtf(block_sum(sum) / (float)p.in_dim + p.norm_eps);
    }
    const uint32_t pairs = p.stride / 2u;
    uint32_t *high = p.split + (size_t)blockIdx.x * pairs;
    uint32_t *low = high + (size_t)p.row_count * pairs;
    for (uint32_t i = threadIdx.x; i < pairs; i += THREAD_COUNT) {
        const float first = split_value(p, x, 2u * i, scale);
        const float second = split_value(p, x, 2u * i + 1u, scale);
        uint32_t parts[2];
        es_bf16_split(first, second, &parts[0], &parts[1]);
        high[i] = parts[0];
        if (PART_COUNT == 2) {
            low[i] = parts[1];
        }
    }
}

static enum es_status split(const struct es_cuda_ops *ops, struct split_params *params,
                            struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("many_split", split_rows);
    ES_ASSERT(params->row_count >= 1);
    ES_ASSERT(params->row_count <= ops->many_row_count_max);
    ES_ASSERT(params->stride % 2 == 0);
    params->split = (uint32_t *)ops->split;
    const struct es_cuda_grid grid = {.block_count = params->row_count,
                                      .block_count_y = 0,
                                      .thread_count = THREAD_COUNT,
                                      .shared_bytes = 0,
                                      .is_dependent = true,
                                      .moved_bytes = 0};
    void *args[] = {params};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}

/* -- behind ------------------------------------------------------------------------------------- */

/* Products of one matrix. */
struct found {
    const float *products;
    uint32_t stride, row_count;
};

/* Element i of a row: the sum of its parts. */
__device__ __forceinline__ float whole(const struct found &found, uint32_t row, uint32_t i) {
    const float *at = found.products + (size_t)row * found.stride + i;
    float sum = __ldcg(at);
    if (PART_COUNT == 2) {
        sum += __ldcg(at + (size_t)found.row_count * found.stride);
    }
    return sum;
}

/* split times each matrix; those that lie together in one product. */
static enum es_status multiply(const struct es_cuda_ops *ops,
                               const struct es_matrix *const *matrices, uint32_t count,
                               uint32_t row_count, struct found *found, struct es_error *error) {
    struct es_matrix joined[MATRIX_COUNT_MAX];
    ES_ASSERT(count <= MATRIX_COUNT_MAX);
    const uint32_t joined_count = es_cuda_gemm_join(matrices, count, joined);
    enum es_status status = ES_OK;
    float *products = ops->products;
    uint32_t next = 0;
    for (uint32_t i = 0; i < joined_count && status == ES_OK; i++) {
        status = es_cuda_gemm(ops, &joined[i], row_count, ops->split, products, error);
        const uint32_t stride = es_cuda_gemm_stride(joined[i].out_dim);
        for (uint32_t first = 0; first < joined[i].out_dim; next++) {
            found[next].products = products + first;
            found[next].stride = stride;
            found[next].row_count = row_count;
            first += matrices[next]->out_dim;
        }
        products += (size_t)es_cuda_gemm_row_count(row_count) * stride;
    }
    return status;
}

static enum es_status launch(const struct es_cuda_ops *ops, const struct es_cuda_kernel *kernel,
                             uint32_t item_count, uint32_t row_count, void *params,
                             struct es_error *error) {
    const struct es_cuda_grid grid = {.block_count =
                                          (item_count + THREAD_COUNT - 1u) / THREAD_COUNT,
                                      .block_count_y = row_count,
                                      .thread_count = THREAD_COUNT,
                                      .shared_bytes = 0,
                                      .is_dependent = true,
                                      .moved_bytes = 0};
    void *args[] = {params};
    return es_cuda_launch(ops->cuda, kernel, &grid, args, error);
}

struct qkv_params {
    struct found maps[MATRIX_COUNT_MAX]; /* queries, keys, values */
    uint32_t q_pairs, kv_pairs, head_dim, head_stride, slot_count;
    const float *wq_bias, *wv_bias;
    const uint64_t *turns;
    const uint64_t *position;
    float2 *q_out;
    uint16_t *keys, *values;
    struct es_cuda_stream_state *state;
};

__device__ __forceinline__ float2 whole_pair(const struct found &found, const float *bias,
                                             uint32_t row, uint32_t pair) {
    float2 value = make_float2(whole(found, row, 2u * pair), whole(found, row, 2u * pair + 1u));
    if (bias != NULL) {
        value.x += bias[2u * pair];
        value.y += bias[2u * pair + 1u];
    }
    return value;
}

/* The phase is a 64-bit fraction of a turn, which wraps as it should (engine/rope.h). */
__device__ __forceinline__ float2 rotated(const struct qkv_params &p, float2 value, uint32_t pair,
                                          uint64_t position) {
    const uint64_t fraction = p.turns[pair % (p.head_dim / 2u)] * position;
    float sine, cosine;
    sincospif((float)(int64_t)fraction * 0x1p-63f, &sine, &cosine);
    return make_float2(value.x * cosine - value.y * sine, value.x * sine + value.y * cosine);
}

/* A number that f16 does not hold, or that is none, becomes its largest; and is told. */
__device__ __forceinline__ __half narrow(float value, struct es_cuda_stream_state *state) {
    if (!(fabsf(value) <= HALF_MAX)) {
        atomicOr(&state->flags, (uint32_t)ES_CUDA_FLAG_KV_OUT_OF_RANGE);
        value = copysignf(HALF_MAX, value);
    }
    return __float2half_rn(value);
}

__device__ __forceinline__ void store_ring(const struct qkv_params &p, uint16_t *ring, float2 value,
                                           uint32_t pair, uint64_t position) {
    const uint32_t head_pairs = p.head_dim / 2u;
    const size_t row = (size_t)(pair / head_pairs) * p.slot_count + position % p.slot_count;
    *(__half2 *)(ring + row * p.head_stride + 2u * (pair % head_pairs)) =
        __halves2half2(narrow(value.x, p.state), narrow(value.y, p.state));
}

__global__ static void __launch_bounds__(THREAD_COUNT)
    finish_qkv(const __grid_constant__ struct qkv_params p) {
    es_grid_release();
    es_grid_wait();
    const uint32_t row = blockIdx.y;
    const uint64_t position = __ldcg((const unsigned long long *)p.position) + row;
    uint32_t pair = blockIdx.x * THREAD_COUNT + threadIdx.x;
    if (pair < p.q_pairs) {
        p.q_out[(size_t)row * p.q_pairs + pair] =
            rotated(p, whole_pair(p.maps[0], p.wq_bias, row, pair), pair, position);
        return;
    }
    pair -= p.q_pairs;
    if (pair < p.kv_pairs) {
        store_ring(p, p.keys, rotated(p, whole_pair(p.maps[1], NULL, row, pair), pair, position),
                   pair, position);
        return;
    }
    pair -= p.kv_pairs;
    if (pair < p.kv_pairs) {
        store_ring(p, p.values, whole_pair(p.maps[2], p.wv_bias, row, pair), pair, position);
    }
}

enum es_status es_cuda_qkv_many(const struct es_cuda_ops *ops, const struct es_cuda_qkv *op,
                                struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("many_qkv", finish_qkv);
    ES_ASSERT(op->head_dim % 2 == 0);
    ES_ASSERT(op->slot_count >= op->row_count);
    ES_ASSERT(op->wq->stride == op->wk->stride);
    ES_ASSERT(op->wq->stride == op->wv->stride);
    struct split_params params = {op->x,          op->wq->in_dim, op->wq->in_dim,
                                  op->wq->stride, op->row_count,  op->norm,
                                  NULL,           op->norm_eps,   NULL};
    const struct es_matrix *const matrices[] = {op->wq, op->wk, op->wv};
    struct qkv_params finish;
    enum es_status status = split(ops, &params, error);
    if (status == ES_OK) {
        status = multiply(ops, matrices, 3, op->row_count, finish.maps, error);
    }
    if (status != ES_OK) {
        return status;
    }
    finish.q_pairs = op->wq->out_dim / 2u;
    finish.kv_pairs = op->wk->out_dim / 2u;
    finish.head_dim = op->head_dim;
    finish.head_stride = op->head_stride;
    finish.slot_count = op->slot_count;
    finish.wq_bias = op->wq_bias;
    finish.wv_bias = op->wv_bias;
    finish.turns = op->turns;
    finish.position = op->position;
    finish.q_out = (float2 *)op->q;
    finish.keys = op->keys;
    finish.values = op->values;
    finish.state = ops->state;
    return launch(ops, &kernel, finish.q_pairs + 2u * finish.kv_pairs, op->row_count, &finish,
                  error);
}

struct gate_params {
    struct found maps[2]; /* gate, up */
    uint32_t hidden_dim;
    float *out;
};

__global__ static void __launch_bounds__(THREAD_COUNT)
    finish_gate(const __grid_constant__ struct gate_params p) {
    es_grid_release();
    es_grid_wait();
    const uint32_t i = blockIdx.x * THREAD_COUNT + threadIdx.x;
    if (i >= p.hidden_dim) {
        return;
    }
    const float gate = whole(p.maps[0], blockIdx.y, i);
    const float up = whole(p.maps[1], blockIdx.y, i);
    p.out[(size_t)blockIdx.y * p.hidden_dim + i] = gate / (1.0f + expf(-gate)) * up;
}

enum es_status es_cuda_gate_many(const struct es_cuda_ops *ops, const struct es_cuda_gate *op,
                                 struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("many_gate", finish_gate);
    ES_ASSERT(op->w1->stride == op->w3->stride);
    ES_ASSERT(op->w1->out_dim == op->w3->out_dim);
    struct split_params params = {op->x,          op->w1->in_dim, op->w1->in_dim,
                                  op->w1->stride, op->row_count,  op->norm,
                                  op->ada,        op->norm_eps,   NULL};
    const struct es_matrix *const matrices[] = {op->w1, op->w3};
    struct gate_params finish;
    enum es_status status = split(ops, &params, error);
    if (status == ES_OK) {
        status = multiply(ops, matrices, 2, op->row_count, finish.maps, error);
    }
    if (status != ES_OK) {
        return status;
    }
    finish.hidden_dim = op->w1->out_dim;
    finish.out = op->out;
    return launch(ops, &kernel, finish.hidden_dim, op->row_count, &finish, error);
}

struct project_params {
    struct found found;
    const float *bias;
    uint32_t out_dim, y_slot_count;
    bool is_added, has_gelu;
    float *y;
    struct es_cuda_stream_state *state;
};

__global__ static void __launch_bounds__(THREAD_COUNT)
    finish_project(const __grid_constant__ struct project_params p) {
    es_grid_release();
    es_grid_wait();
    const uint32_t i = blockIdx.x * THREAD_COUNT + threadIdx.x;
    if (i >= p.out_dim) {
        return;
    }
    uint64_t row = blockIdx.y;
    float value = whole(p.found, blockIdx.y, i);
    if (p.bias != NULL) {
        value += p.bias[i];
    }
    if (p.has_gelu) {
        value = 0.5f * value * (1.0f + erff(value * 0.70710678118654752f));
    }
    if (p.y_slot_count > 0) {
        if (!isfinite(value)) {
            atomicOr(&p.state->flags, (uint32_t)ES_CUDA_FLAG_EMBEDDING_NOT_FINITE);
        }
        row = (__ldcg((const unsigned long long *)&p.state->embeddings_written) + row) %
              p.y_slot_count;
    }
    float *y = p.y + row * p.out_dim + i;
    *y = p.is_added ? __ldcg(y) + value : value;
}

enum es_status es_cuda_project_many(const struct es_cuda_ops *ops, const struct es_cuda_project *op,
                                    struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("many_project", finish_project);
    ES_ASSERT(!op->is_added || !op->has_gelu);
    ES_ASSERT(op->y_slot_count == 0 || op->y_slot_count >= op->row_count);
    struct split_params params = {
        op->x, op->x_row_floats, op->w->in_dim, op->w->stride, op->row_count, NULL, NULL, 0.0f,
        NULL};
    struct project_params finish;
    enum es_status status = split(ops, &params, error);
    if (status == ES_OK) {
        status = multiply(ops, &op->w, 1, op->row_count, &finish.found, error);
    }
    if (status != ES_OK) {
        return status;
    }
    finish.bias = op->bias;
    finish.out_dim = op->w->out_dim;
    finish.y_slot_count = op->y_slot_count;
    finish.is_added = op->is_added;
    finish.has_gelu = op->has_gelu;
    finish.y = op->y;
    finish.state = ops->state;
    return launch(ops, &kernel, finish.out_dim, op->row_count, &finish, error);
}
