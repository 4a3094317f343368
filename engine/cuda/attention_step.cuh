/* attention_step.cuh - what one warp of few-row attention does with 16 keys (attention.cu).
 *
 *   load_keys<128>(data, ring, keys, key, g, t);       a lane is 4 g + t
 *   load_query<128>(q, from, head_dim, scale, is_there, t);
 *   score_step<128>(scores, q, data);                  of item g
 *   weigh_step<128>(run, scores, data); */
#pragma once

#include "engine/cuda/f16.cuh"

#define STEP_KEYS 16u

/* What one lane holds of 16 keys and values. A lane is 4 g + t. */
template <int HEAD_STRIDE> struct step_data {
    static constexpr int K_LOADS = HEAD_STRIDE / 32;             /* per 8 keys: 8 dims each */
    static constexpr int V_HALVES = HEAD_STRIDE >= 64 ? 8 : 4;   /* of one load */
    static constexpr int V_LOADS = HEAD_STRIDE / (8 * V_HALVES); /* per key */
    uint4 k[2][K_LOADS];                  /* key 8 n + g, dims 32 b + 8 t .. + 7 */
    uint32_t v[4][V_LOADS][V_HALVES / 2]; /* keys 2t, 2t+1, 2t+8, 2t+9; dims from V_HALVES g */
};

/* Keys are addressed as positions behind span.first; what lies outside of the span is zero. */
struct ring_view {
    uint32_t base_slot, slot_count, count;
    __device__ __forceinline__ bool find(int key, uint32_t *slot) const {
        const uint32_t wanted = base_slot + (uint32_t)key;
        *slot = wanted >= slot_count ? wanted - slot_count : wanted;
        return (uint32_t)key < count;
    }
};

template <int HEAD_STRIDE>
__device__ __forceinline__ void load_keys(struct step_data<HEAD_STRIDE> &data,
                                          const struct ring_view &ring, const uint16_t *keys,
                                          int key, uint32_t g, uint32_t t) {
#pragma unroll
    for (int n = 0; n < 2; n++) {
        uint32_t slot;
        const bool is_there = ring.find(key + 8 * n + (int)g, &slot);
        const uint16_t *row = keys + (size_t)slot * HEAD_STRIDE + 8u * t;
#pragma unroll
        for (int b = 0; b < step_data<HEAD_STRIDE>::K_LOADS; b++) {
            data.k[n][b] =
                is_there ? __ldcg((const uint4 *)(row + 32 * b)) : make_uint4(0, 0, 0, 0);
        }
    }
}

template <int HEAD_STRIDE>
__device__ __forceinline__ void load_values(struct step_data<HEAD_STRIDE> &data,
                                            const struct ring_view &ring, const uint16_t *values,
                                            int key, uint32_t g, uint32_t t) {
    typedef struct step_data<HEAD_STRIDE> data_type;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t slot;
        const bool is_there = ring.find(key + (int)(2u * t) + (i & 1) + 8 * (i >> 1), &slot);
        const uint16_t *row = values + (size_t)slot * HEAD_STRIDE + data_type::V_HALVES * g;
#pragma unroll
        for (int b = 0; b < data_type::V_LOADS; b++) {
            if constexpr (data_type::V_HALVES == 8) {
                const uint4 v =
                    is_there ? __ldcg((const uint4 *)(row + 64 * b)) : make_uint4(0, 0, 0, 0);
                data.v[i][b][0] = v.x;
                data.v[i][b][1] = v.y;
                data.v[i][b][2] = v.z;
                data.v[i][b][3] = v.w;
            } else {
                const uint2 v = is_there ? __ldcg((const uint2 *)(row + 32 * b)) : make_uint2(0, 0);
                data.v[i][b][0] = v.x;
                data.v[i][b][1] = v.y;
            }
        }
    }
}

/* One lane's share of an item's query: for each block of 32 dimensions those that its keys have. */
template <int HEAD_STRIDE> struct query_data {
    uint32_t high[HEAD_STRIDE / 32][4], low[HEAD_STRIDE / 32][4];
};

template <int HEAD_STRIDE>
__device__ __forceinline__ void load_query(struct query_data<HEAD_STRIDE> &data, const float *q,
                                           uint32_t head_dim, float scale, bool is_there,
                                           uint32_t t) {
#pragma unroll
    for (int b = 0; b < HEAD_STRIDE / 32; b++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t dim = 32u * (uint32_t)b + 8u * t + 2u * (uint32_t)i;
            float2 pair = make_float2(0.0f, 0.0f);
            if (is_there && dim < head_dim) {
                pair = __ldcg((const float2 *)(q + dim));
            }
            es_f16_split(es_f16_bound(pair.x * scale), es_f16_bound(pair.y * scale),
                         &data.high[b][i], &data.low[b][i]);
        }
    }
}

/* Scores of item g for the keys 2t, 2t + 1 of both halves of the step, times log2(e). */
template <int HEAD_STRIDE>
__device__ __forceinline__ void score_step(float (&scores)[4],
                                           const struct query_data<HEAD_STRIDE> &q,
                                           const struct step_data<HEAD_STRIDE> &data) {
#pragma unroll
    for (int n = 0; n < 2; n++) {
        float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int b = 0; b < HEAD_STRIDE / 32; b++) {
            es_f16_multiply(sums, q.high[b][0], q.low[b][0], q.high[b][1], q.low[b][1],
                            data.k[n][b].x, data.k[n][b].y);
            es_f16_multiply(sums, q.high[b][2], q.low[b][2], q.high[b][3], q.low[b][3],
                            data.k[n][b].z, data.k[n][b].w);
        }
        scores[2 * n] = sums[0] + sums[2];
        scores[2 * n + 1] = sums[1] + sums[3];
    }
}

/* What one warp, and then one block, knows of an item: lane 4 g + t of item g. */
template <int HEAD_STRIDE> struct running {
    float largest, sum; /* the sum of this lane's keys alone */
    float out[HEAD_STRIDE / 8][4];
};

template <int HEAD_STRIDE>
__device__ __forceinline__ void weigh_step(struct running<HEAD_STRIDE> &run, float (&scores)[4],
                                           const struct step_data<HEAD_STRIDE> &data) {
    typedef struct step_data<HEAD_STRIDE> data_type;
    float largest = fmaxf(fmaxf(scores[0], scores[1]), fmaxf(scores[2], scores[3]));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    largest = fmaxf(largest, run.largest);
    const float from = largest == -INFINITY ? 0.0f : largest;
    const float shrink = es_ptx_ex2(run.largest - from);
    run.largest = largest;
    float weights[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        weights[i] = es_ptx_ex2(scores[i] - from);
    }
    run.sum = run.sum * shrink + ((weights[0] + weights[1]) + (weights[2] + weights[3]));
    uint32_t high[2], low[2];
    es_f16_split(weights[0], weights[1], &high[0], &low[0]);
    es_f16_split(weights[2], weights[3], &high[1], &low[1]);
#pragma unroll
    for (int b = 0; b < data_type::V_LOADS; b++) {
#pragma unroll
        for (int j = 0; j < data_type::V_HALVES; j++) {
            const uint32_t take = (j & 1) == 0 ? 0x5410u : 0x7632u;
            const uint32_t b0 = __byte_perm(data.v[0][b][j / 2], data.v[1][b][j / 2], take);
            const uint32_t b1 = __byte_perm(data.v[2][b][j / 2], data.v[3][b][j / 2], take);
            float(&out)[4] = run.out[b * data_type::V_HALVES + j];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                out[i] *= shrink;
            }
            es_f16_multiply(out, high[0], low[0], high[1], low[1], b0, b1);
        }
    }
}

/* Dimension of run.out[b * V_HALVES + j][c]: values were dealt to columns V_HALVES at a time. */
template <int HEAD_STRIDE>
__device__ __forceinline__ void store_warp(const struct running<HEAD_STRIDE> &run, float *out,
                                           uint32_t t) {
    typedef struct step_data<HEAD_STRIDE> data_type;
#pragma unroll
    for (int b = 0; b < data_type::V_LOADS; b++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
#pragma unroll
            for (int j = 0; j < data_type::V_HALVES; j += 4) {
                const int n = b * data_type::V_HALVES + j;
                *(float4 *)(out + 8 * data_type::V_HALVES * b + data_type::V_HALVES * (2 * t + c) +
                            j) = make_float4(run.out[n][c] + run.out[n][c + 2],
                                             run.out[n + 1][c] + run.out[n + 1][c + 2],
                                             run.out[n + 2][c] + run.out[n + 2][c + 2],
                                             run.out[n + 3][c] + run.out[n + 3][c + 2]);
            }
        }
    }
}
