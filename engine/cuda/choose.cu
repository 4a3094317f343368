/* choose.cu - logits[v] = sum_k E[v, k] x[k] norm[k] / rms(x), then the best of them
 *
 * shape  x [dim] f32, E [vocab_size, stride] bf16 in blocks of rows -> logits [vocab_size] f32, the
 *        step's output, the state moved on
 * bytes  vocab_size * stride * 2                   limit: DRAM bandwidth
 * map    linear_inner.cuh: columns are rows of E. Each lane keeps the best of its own, warps and the
 *        block merge them, and the block that is done last merges the blocks'. Best and second best
 *        with ties to the lowest id do not depend on the order of merging.
 */
#include "engine/cuda/linear_launch.cuh"

#include <math_constants.h>

#define ID_STREAMING_PAD 32u
#define WARP_COUNT (ES_LINEAR_THREADS / 32u)

struct candidate {
    float best;
    float second;
    int32_t id; /* of the best */
    int32_t reserved;
};
static_assert(sizeof(struct candidate) ==
                  ES_CUDA_CHOOSE_SCRATCH_BYTES / ES_CUDA_CHOOSE_BLOCK_COUNT_MAX,
              "the partials hold one per block");

__device__ static __forceinline__ struct candidate nobody() {
    return {-CUDART_INF_F, -CUDART_INF_F, INT32_MAX, 0};
}

__device__ static __forceinline__ struct candidate merge(const struct candidate &a,
                                                         const struct candidate &b) {
    bool is_a = a.best > b.best || (a.best == b.best && a.id < b.id);
    const struct candidate &winner = is_a ? a : b;
    const struct candidate &loser = is_a ? b : a;
    return {winner.best, fmaxf(winner.second, loser.best), winner.id, 0};
}

__device__ static __forceinline__ struct candidate merge_warp(struct candidate mine) {
#pragma unroll
    for (uint32_t offset = 16; offset > 0; offset /= 2) {
        struct candidate other;
        other.best = __shfl_xor_sync(0xffffffffu, mine.best, offset);
        other.second = __shfl_xor_sync(0xffffffffu, mine.second, offset);
        other.id = __shfl_xor_sync(0xffffffffu, mine.id, offset);
        mine = merge(mine, other);
    }
    return mine;
}

struct choose_op {
    struct es_cuda_embedding embedding;
    const struct es_cuda_step_input *input;
    struct es_cuda_step_output *output;
    float *logits;
    struct es_cuda_stream_state *state;
    struct candidate *candidates; /* device [grid] */
    uint32_t *ticket;
    uint32_t advance_count;
};

struct choose_map {
    struct ahead {
        float bias; /* on the first of the pair */
    };

    const struct choose_op &op;
    struct candidate mine; /* of this thread */

    __device__ __forceinline__ uint32_t row_count() const {
        return op.embedding.vocab_size;
    }

    __device__ __forceinline__ const uint16_t *weight_row(uint32_t v) const {
        uint32_t block = v / op.embedding.rows_per_block;
        return op.embedding.blocks[block] +
               (size_t)(v - block * op.embedding.rows_per_block) * op.embedding.stride;
    }

    __device__ __forceinline__ void begin() {
        mine = nobody();
    }

    __device__ __forceinline__ ahead look(uint32_t, uint32_t pair) const {
        static_assert(ID_STREAMING_PAD % 2 == 0, "it is the first of its pair");
        ahead found = {0.0f};
        if (2 * pair == ID_STREAMING_PAD) {
            found.bias = __ldcv(&op.input->streaming_pad_bias);
        }
        return found;
    }

    __device__ __forceinline__ void consider(uint32_t v, float logit, float bias) {
        op.logits[v] = logit;
        if (!isfinite(logit)) {
            atomicOr(&op.state->flags, (uint32_t)ES_CUDA_FLAG_LOGIT_NOT_FINITE);
            logit = -CUDART_INF_F;
        }
        mine = merge(mine, {logit + bias, -CUDART_INF_F, (int32_t)v, 0});
    }

    __device__ __forceinline__ void finish(uint32_t, uint32_t pair, float first, float second,
                                           const ahead &found) {
        consider(2 * pair, first, found.bias);
        if (2 * pair + 1 < op.embedding.vocab_size) {
            consider(2 * pair + 1, second, 0.0f);
        }
    }

    __device__ __forceinline__ void answer(const struct candidate &choice) const {
        int32_t id = choice.id < INT32_MAX ? choice.id : 0;
        op.output->id = id;
        op.output->margin = choice.best - choice.second;
        op.output->flags = __ldcg(&op.state->flags);
        op.output->reserved = 0;
        uint64_t position = __ldcg(&op.state->decoder_position);
        op.state->last_id = id;
        op.state->decoder_position = position + op.advance_count;
        /* The host may look at the position alone: it comes when all else is there. */
        __threadfence_system();
        __stcg(&op.output->position, position + op.advance_count - 1);
    }

    __device__ __forceinline__ void end() {
        ES_SHARED(struct candidate[WARP_COUNT], of_warps);
        ES_SHARED(bool, is_last);
        uint32_t lane = threadIdx.x % 32;
        uint32_t warp = threadIdx.x / 32;
        struct candidate best = merge_warp(mine);
        if (lane == 0) {
            of_warps[warp] = best;
        }
        __syncthreads();
        if (warp > 0) {
            return;
        }
        best = merge_warp(lane < WARP_COUNT ? of_warps[lane] : nobody());
        if (lane == 0) {
            op.candidates[blockIdx.x] = best;
            __threadfence();
            is_last = atomicAdd(op.ticket, 1u) == gridDim.x - 1;
            __threadfence();
        }
        __syncwarp();
        if (!is_last) {
            return;
        }
        best = nobody();
        for (uint32_t block = lane; block < gridDim.x; block += 32) {
            const float4 found = __ldcg(reinterpret_cast<const float4 *>(op.candidates + block));
            best = merge(best, {found.x, found.y, __float_as_int(found.z), 0});
        }
        best = merge_warp(best);
        if (lane == 0) {
            *op.ticket = 0;
            answer(best);
        }
    }
};

struct choose_params {
    struct es_linear_job job;
    struct choose_op op;
};

template <uint32_t LOAD_COUNT, bool IS_RAGGED>
__global__ static void __launch_bounds__(ES_LINEAR_THREADS, 2)
    choose_row(const __grid_constant__ struct choose_params params) {
    struct choose_map map = {params.op, nobody()};
    es_linear_run<LOAD_COUNT, IS_RAGGED>(params.job, map);
}

enum es_status es_cuda_choose(const struct es_cuda_ops *ops, const struct es_cuda_choose *op,
                              struct es_error *error) {
    static const struct es_linear_kernels kernels = ES_LINEAR_KERNELS(choose_row, "choose");
    const struct es_cuda_embedding *embedding = op->embedding;
    ES_ASSERT(op->advance_count > 0);
    ES_ASSERT(embedding->stride % ES_LINEAR_CHUNK == 0);
    ES_ASSERT(embedding->stride >= embedding->dim);
    ES_ASSERT(embedding->rows_per_block > 0);
    ES_ASSERT((embedding->vocab_size - 1) / embedding->rows_per_block <
              ES_CUDA_EMBEDDING_BLOCK_COUNT_MAX);
    struct choose_params params = {};
    params.job.x = op->x;
    params.job.norm = op->norm;
    params.job.norm_eps = op->norm_eps;
    params.job.x_row_floats = embedding->dim;
    params.job.in_dim = embedding->dim;
    params.job.chunk_count = embedding->stride / ES_LINEAR_CHUNK;
    params.job.pair_count = (embedding->vocab_size + 1) / 2;
    params.op.embedding = *embedding;
    params.op.input = op->input;
    params.op.output = op->output;
    params.op.logits = op->logits;
    params.op.state = ops->state;
    params.op.candidates = (struct candidate *)ops->partials;
    params.op.ticket = ops->tickets;
    params.op.advance_count = op->advance_count;
    if (es_linear_take_rows(ops, &params.job, 1) == 0) {
        return es_linear_too_wide(ops, "choose", embedding->dim, error);
    }
    uint32_t block_count_max = params.job.pair_count < ES_CUDA_CHOOSE_BLOCK_COUNT_MAX
                                   ? params.job.pair_count
                                   : ES_CUDA_CHOOSE_BLOCK_COUNT_MAX;
    return es_linear_launch(ops, &kernels, &params.job, block_count_max, &params,
                            (uint64_t)embedding->vocab_size * embedding->stride * sizeof(uint16_t),
                            error);
}
