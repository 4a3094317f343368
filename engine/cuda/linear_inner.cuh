/* linear_inner.cuh - weights streamed once past a few rows of activations.
 *
 *   struct map { row_count(), weight_row(v), begin(), ahead(...), finish(...), end() };
 *   __global__ ... { es_linear_run<LOAD_COUNT, IS_RAGGED>(job, map); }
 *   status = es_linear_launch(ops, &variants, &job, ...);
 *
 * sums[r, v] = scale[r] * sum_k x'[r, k] W[v, k]; x' = x, or x * norm * (1 + ada) with scale = 1 / rms
 *
 * shape  x [1..8, in_dim] f32, W [row_count(), stride] bf16; what becomes of a pair of sums (2p,
 *        2p + 1) is the map's: bias, rotation, gate, residual, choice
 * bytes  W once; x once per thread block, from the cache          limit: DRAM bandwidth
 * map    A thread block takes a contiguous run of pairs; two groups of 8 warps take turns at units of
 *        4 pairs = 8 weight rows = the columns of a 16 x 8 product of the tensor cores. The 16 rows
 *        are the upper and lower BF16 parts of 8 rows of x (rows that are not there are zero).
 *        The warps of a group share the unit's columns k: in chunks of 32, a 64-byte piece of each
 *        weight row, of which a lane loads 16 bytes: as they lie, they are its operands of two
 *        products, because the order of the terms within a sum is free as long as both sides agree.
 *        A warp takes LOAD_COUNT chunks at a step, and has the next step's loads in flight while it
 *        multiplies this one's: 16 warps * 512 bytes * 4..6 loads = 32..48 KiB per SM.
 * order  A sum's terms: by chunks of one warp, then the warps 0..7. It follows from in_dim alone, so
 *        a row's result has the same bits for any grid and any rows beside it. */
#pragma once

#include "engine/cuda/bf16.cuh"
#include "engine/cuda/grid.cuh"
#include "engine/cuda/kernel.cuh"
#include "engine/cuda/ops.h"

#define ES_LINEAR_ROW_COUNT_MAX 8u
#define ES_LINEAR_GROUP_COUNT 2u
#define ES_LINEAR_GROUP_WARPS 8u
#define ES_LINEAR_THREADS (ES_LINEAR_GROUP_COUNT * ES_LINEAR_GROUP_WARPS * 32u)
#define ES_LINEAR_CHUNK 32u /* columns */
#define ES_LINEAR_RUN 256u  /* columns whose squares are summed by one warp */
#define ES_LINEAR_UNIT_PAIRS 4u
#define ES_LINEAR_UNIT_ROWS (2u * ES_LINEAR_UNIT_PAIRS)
#define ES_LINEAR_CHUNK_WORDS                                                                      \
    4u /* of 16 bytes, in a weight row; the lanes t = 0..3 take one each */

struct es_linear_job {
    const float *x; /* [row_count, in_dim], rows x_row_floats apart */
    const float *norm, *ada;
    float norm_eps;
    uint32_t x_row_floats;
    uint32_t row_count; /* 1..ES_LINEAR_ROW_COUNT_MAX */
    uint32_t in_dim;
    uint32_t chunk_count; /* weight rows are so many chunks long */
    uint32_t pair_count;  /* of weight rows, the last may lack its second */
};

/* Dynamic shared memory, in this order. */
struct es_linear_shared {
    uint4 *x;       /* [chunk_count, 2 parts, row_count, 4] bf16 x 8 */
    float2 *sums;   /* [2, group, warp, 32] */
    float *squares; /* [row_count, run_count] */
    float *factors; /* [chunk_count * 32]: norm * (1 + ada); only with norm */
    uint32_t run_count;
};

#define ES_LINEAR_SUM_COUNT (2u * ES_LINEAR_GROUP_COUNT * ES_LINEAR_GROUP_WARPS * 32u)

__host__ __device__ inline uint32_t es_linear_run_count(uint32_t in_dim) {
    return (in_dim + ES_LINEAR_RUN - 1) / ES_LINEAR_RUN;
}

__host__ __device__ inline size_t es_linear_shared_bytes(const struct es_linear_job *job) {
    size_t columns = (size_t)job->chunk_count * ES_LINEAR_CHUNK;
    return columns * job->row_count * sizeof(float) + ES_LINEAR_SUM_COUNT * sizeof(float2) +
           (size_t)es_linear_run_count(job->in_dim) * job->row_count * sizeof(float) +
           (job->norm != nullptr ? columns * sizeof(float) : 0);
}

__device__ __forceinline__ struct es_linear_shared
es_linear_shared_lay(const struct es_linear_job &job) {
    ES_SHARED_DYNAMIC(uint4, es_linear_memory);
    struct es_linear_shared shared;
    shared.run_count = es_linear_run_count(job.in_dim);
    shared.x = es_linear_memory;
    shared.sums = reinterpret_cast<float2 *>(shared.x + job.chunk_count * 8 * job.row_count);
    shared.factors = reinterpret_cast<float *>(shared.sums + ES_LINEAR_SUM_COUNT);
    shared.squares = shared.factors + (job.norm != nullptr ? job.chunk_count * ES_LINEAR_CHUNK : 0);
    return shared;
}

/* Where a warp's next loads come from: units of its group, steps of a unit, chunks of a step. */
template <uint32_t LOAD_COUNT, bool IS_RAGGED, class Map> struct es_linear_stream {
    const uint4 *words; /* this lane's 16 bytes of the step's first chunk */
    uint32_t pair;      /* first of the unit */
    uint32_t step;
    uint32_t chunk; /* first of this warp's step; looked at only if ragged */
    bool has_row;   /* this lane's weight row exists and is the block's */

    __device__ __forceinline__ void aim(const Map &map, uint32_t pair_end, uint32_t member,
                                        uint32_t lane) {
        uint32_t row = 2 * pair + lane / 4;
        uint32_t row_end = min(2 * pair_end, map.row_count());
        has_row = row < row_end;
        chunk = member * LOAD_COUNT;
        words = reinterpret_cast<const uint4 *>(map.weight_row(has_row ? row : row_end - 1)) +
                chunk * ES_LINEAR_CHUNK_WORDS + lane % 4;
        step = 0;
    }

    __device__ __forceinline__ void advance(const Map &map, uint32_t step_count, uint32_t pair_end,
                                            uint32_t member, uint32_t lane) {
        step++;
        words += ES_LINEAR_GROUP_WARPS * LOAD_COUNT * ES_LINEAR_CHUNK_WORDS;
        chunk += ES_LINEAR_GROUP_WARPS * LOAD_COUNT;
        if (step == step_count) {
            pair += ES_LINEAR_GROUP_COUNT * ES_LINEAR_UNIT_PAIRS;
            aim(map, pair_end, member, lane);
        }
    }

    __device__ __forceinline__ void load(uint32_t index, uint32_t chunk_count, uint4 &into) const {
        if (IS_RAGGED && chunk + index >= chunk_count) {
            into = make_uint4(0, 0, 0, 0);
        } else if (has_row) {
            into = es_ptx_load_once(words + index * ES_LINEAR_CHUNK_WORDS);
        }
    }
};

/* Eight columns of x, zero beyond in_dim. From L2: another kernel that runs on this SM may have
 * brought an older state of the line into L1. */
__device__ __forceinline__ void es_linear_read8(const float *x, uint32_t column, uint32_t in_dim,
                                                float (&values)[8]) {
    if (column + 8 <= in_dim && (reinterpret_cast<uintptr_t>(x + column) & 15u) == 0) {
        const float4 first = __ldcg(reinterpret_cast<const float4 *>(x + column));
        const float4 second = __ldcg(reinterpret_cast<const float4 *>(x + column + 4));
        values[0] = first.x;
        values[1] = first.y;
        values[2] = first.z;
        values[3] = first.w;
        values[4] = second.x;
        values[5] = second.y;
        values[6] = second.z;
        values[7] = second.w;
    } else {
#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
            values[i] = column + i < in_dim ? __ldcg(x + column + i) : 0.0f;
        }
    }
}

/* norm is a weight, and ada was written before this run (grid.cuh): read before the wait. Columns
 * beyond in_dim count as zero. */
__device__ __forceinline__ void es_linear_stage_factors(const struct es_linear_job &job,
                                                        const struct es_linear_shared &shared) {
    for (uint32_t i = threadIdx.x; i < job.chunk_count * ES_LINEAR_CHUNK; i += ES_LINEAR_THREADS) {
        float factor = 0.0f;
        if (i < job.in_dim) {
            factor =
                __ldg(job.norm + i) * (1.0f + (job.ada != nullptr ? __ldg(job.ada + i) : 0.0f));
        }
        shared.factors[i] = factor;
    }
}

/* x into shared memory as the products want it. A warp takes 256 columns of a row at a time, so
 * that the sum of squares is made in the same order whichever warp does it. */
__device__ __forceinline__ void es_linear_stage_x(const struct es_linear_job &job,
                                                  const struct es_linear_shared &shared) {
    uint32_t lane = threadIdx.x % 32;
    uint32_t task_count = shared.run_count * job.row_count;
    for (uint32_t task = threadIdx.x / 32; task < task_count; task += ES_LINEAR_THREADS / 32) {
        uint32_t row = task % job.row_count;
        uint32_t run = task / job.row_count;
        uint32_t column = run * ES_LINEAR_RUN + lane * 8;
        float values[8];
        es_linear_read8(job.x + (size_t)row * job.x_row_floats, column, job.in_dim, values);
        if (job.norm != nullptr) {
            float square = 0.0f;
#pragma unroll
            for (uint32_t i = 0; i < 8; i++) {
                square += values[i] * values[i];
                if (column < job.chunk_count * ES_LINEAR_CHUNK) {
                    values[i] *= shared.factors[column + i];
                }
            }
#pragma unroll
            for (uint32_t offset = 16; offset > 0; offset /= 2) {
                square += __shfl_xor_sync(0xffffffffu, square, offset);
            }
            if (lane == 0) {
                shared.squares[row * shared.run_count + run] = square;
            }
        }
        if (column < job.chunk_count * ES_LINEAR_CHUNK) {
            uint4 high, low;
            es_bf16_split(values[0], values[1], &high.x, &low.x);
            es_bf16_split(values[2], values[3], &high.y, &low.y);
            es_bf16_split(values[4], values[5], &high.z, &low.z);
            es_bf16_split(values[6], values[7], &high.w, &low.w);
            uint4 *target = shared.x + column / ES_LINEAR_CHUNK * 8 * job.row_count + row * 4 +
                            column % ES_LINEAR_CHUNK / 8;
            target[0] = high;
            target[job.row_count * 4] = low;
        }
    }
}

/* 1 / rms of this lane's row, from the runs in their order. */
__device__ __forceinline__ float es_linear_scale(const struct es_linear_job &job,
                                                 const struct es_linear_shared &shared,
                                                 uint32_t row) {
    float sum = 0.0f;
    for (uint32_t run = 0; run < shared.run_count; run++) {
        sum += shared.squares[row * shared.run_count + run];
    }
    return 1.0f / sqrtf(sum / (float)job.in_dim + job.norm_eps);
}

__device__ __forceinline__ void es_linear_meet(uint32_t group) {
    static_assert(ES_LINEAR_GROUP_COUNT == 2, "one barrier for each");
    if (group == 0) {
        es_ptx_bar_sync<1, (int)(ES_LINEAR_GROUP_WARPS * 32u)>();
    } else {
        es_ptx_bar_sync<2, (int)(ES_LINEAR_GROUP_WARPS * 32u)>();
    }
}

template <uint32_t LOAD_COUNT, bool IS_RAGGED, class Map>
__device__ __forceinline__ void es_linear_run(const struct es_linear_job &job, Map &map) {
    es_grid_release();
    const struct es_linear_shared shared = es_linear_shared_lay(job);
    uint32_t lane = threadIdx.x % 32;
    uint32_t group = threadIdx.x / (ES_LINEAR_GROUP_WARPS * 32);
    uint32_t member = threadIdx.x / 32 % ES_LINEAR_GROUP_WARPS;
    uint32_t pair_first = (uint32_t)((uint64_t)job.pair_count * blockIdx.x / gridDim.x);
    uint32_t pair_end = (uint32_t)((uint64_t)job.pair_count * (blockIdx.x + 1) / gridDim.x);
    const uint32_t step_chunks = ES_LINEAR_GROUP_WARPS * LOAD_COUNT;
    uint32_t step_count = (job.chunk_count + step_chunks - 1) / step_chunks;

    es_linear_stream<LOAD_COUNT, IS_RAGGED, Map> stream;
    stream.pair = pair_first + group * ES_LINEAR_UNIT_PAIRS;
    stream.aim(map, pair_end, member, lane);
    uint4 loaded[LOAD_COUNT];
#pragma unroll
    for (uint32_t i = 0; i < LOAD_COUNT; i++) {
        loaded[i] = make_uint4(0, 0, 0, 0);
        stream.load(i, job.chunk_count, loaded[i]);
    }
    if (job.norm != nullptr) {
        es_linear_stage_factors(job, shared);
        __syncthreads();
    }
    es_grid_wait();
    map.begin();
    es_linear_stage_x(job, shared);
    __syncthreads();

    bool has_x = lane / 4 < job.row_count;
    float scale = 1.0f;
    if (job.norm != nullptr && has_x) {
        scale = es_linear_scale(job, shared, lane / 4);
    }
    const uint4 *x_lane = shared.x + member * LOAD_COUNT * 8 * job.row_count + lane;
    float2 *sums = shared.sums + (group * ES_LINEAR_GROUP_WARPS) * 32 + lane;
    uint32_t turn = 0;
    for (uint32_t pair = pair_first + group * ES_LINEAR_UNIT_PAIRS; pair < pair_end;
         pair += ES_LINEAR_GROUP_COUNT * ES_LINEAR_UNIT_PAIRS, turn++) {
        bool is_finisher =
            member == turn % ES_LINEAR_GROUP_WARPS && has_x && pair + lane % 4 < pair_end;
        typename Map::ahead ahead;
        if (is_finisher) {
            ahead = map.look(lane / 4, pair + lane % 4);
        }
        float product[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        const uint4 *x_step = x_lane;
        for (uint32_t step = 0; step < step_count; step++) {
            uint32_t chunk = stream.chunk;
            stream.advance(map, step_count, pair_end, member, lane);
#pragma unroll
            for (uint32_t i = 0; i < LOAD_COUNT; i++) {
                uint4 high = make_uint4(0, 0, 0, 0);
                uint4 low = make_uint4(0, 0, 0, 0);
                if (has_x && (!IS_RAGGED || chunk + i < job.chunk_count)) {
                    high = x_step[i * 8 * job.row_count];
                    low = x_step[i * 8 * job.row_count + 4 * job.row_count];
                }
                const uint4 w = loaded[i];
                es_bf16_multiply(product, high.x, low.x, high.y, low.y, w.x, w.y);
                es_bf16_multiply(product, high.z, low.z, high.w, low.w, w.z, w.w);
                stream.load(i, job.chunk_count, loaded[i]);
            }
            x_step += step_chunks * 8 * job.row_count;
        }
        float2 *slot = sums + turn % 2 * (ES_LINEAR_SUM_COUNT / 2);
        if (has_x) {
            slot[member * 32] = make_float2(product[0] + product[2], product[1] + product[3]);
        }
        es_linear_meet(group);
        if (is_finisher) {
            float2 sum = slot[0];
#pragma unroll
            for (uint32_t i = 1; i < ES_LINEAR_GROUP_WARPS; i++) {
                sum.x += slot[i * 32].x;
                sum.y += slot[i * 32].y;
            }
            map.finish(lane / 4, pair + lane % 4, sum.x * scale, sum.y * scale, ahead);
        }
    }
    map.end();
}
