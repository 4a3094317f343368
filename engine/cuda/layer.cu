/* layer.cu - all of a layer but its attention in one kernel: output + residual; gate; down +
 *            residual; and q, k, v of the next layer
 *
 * shape  as project.cu, gate.cu and qkv.cu; one row; widths are multiples of 32
 * bytes  the weights of four matrices, once           limit: DRAM bandwidth
 * map    One block per SM, all of them at once. Some warps bring weights through a ring in shared
 *        memory (weight_ring.cuh), from one matrix into the next without a pause; others multiply.
 *        A block takes a run of units of 4 pairs = 8 weight rows; a warp takes a unit's next 512
 *        columns. The operands lie as in linear_inner.cuh. Between two matrices the blocks wait for
 *        each other, and memory does not wait for them: the ring fills up meanwhile.
 *        Who makes a number makes of it what the next product wants, norm and all, once
 *        (split.cuh); all blocks then only copy. Of a norm's mean square they get the sums over
 *        each unit, and add them up.
 * order  A sum's terms: by 32 columns within a block of 512, even and odd ones apart, then the
 *        blocks. Squares: over a unit, then every 32nd unit, then those. It follows from in_dim
 *        alone. */
#include "engine/cuda/gate_map.cuh"
#include "engine/cuda/qkv_map.cuh"
#include "engine/cuda/split.cuh"
#include "engine/cuda/weight_ring.cuh"

#define PHASE_COUNT_MAX 4u
#define PART_SLOTS 52u          /* sums of blocks whose unit is not complete */
#define PART_LANES 4u           /* of a warp, that hold sums of the one row: t = 0..3 */
#define BLOCKS_PER_UNIT_MAX 20u /* rows of up to 10,240 weights */
#define CONSUMER_WARPS 10u
#define CONSUMER_THREADS (32u * CONSUMER_WARPS)
#define THREAD_COUNT (CONSUMER_THREADS + 32u * ES_RING_PRODUCERS)
#define RING_DEPTH 20u /* a multiple of both kinds of warps (weight_ring.cuh); as deep as fits */
#define CHUNKS_PER_BLOCK (ES_RING_COLUMNS / ES_LINEAR_CHUNK)

static_assert(RING_DEPTH % CONSUMER_WARPS == 0 && RING_DEPTH % ES_RING_PRODUCERS == 0,
              "a slot is always of the same two warps");
static_assert(ES_RING_ROWS == ES_LINEAR_UNIT_ROWS, "a block is of one unit");
static_assert(ES_SPLIT_CHUNK == ES_LINEAR_CHUNK, "operands lie so");
static_assert(PART_SLOTS >= CONSUMER_WARPS + RING_DEPTH + BLOCKS_PER_UNIT_MAX,
              "no slot is written again before its unit is complete");

/* -- what becomes of the sums ------------------------------------------------------------------- */

/* What a block needs of its own columns of the residual stream, in shared memory: memory is slow to
 * answer while weights come. Both matrices that add to the stream have the same columns here. */
struct own_columns {
    float *x;       /* [count] */
    float *factors; /* [2, count]: of the norms behind the one and the other, with ada */
    float *biases;  /* [2, count] */
    uint32_t first, count;
};

/* The residual stream, and of it, through the next norm, what the next product wants. */
struct residual_map {
    static constexpr bool has_squares = true;
    struct ahead {};

    const uint16_t *w;
    uint32_t stride, out_dim;
    const float *bias; /* or NULL */
    const float *norm; /* of who comes next, or NULL: nobody in this kernel */
    const float *ada;  /* or NULL */
    float *y;          /* or NULL: it stays among the own columns */
    uint16_t *normed;
    float *squares;
    uint32_t index;         /* 0 or 1 */
    struct own_columns own; /* in the kernel */

    __device__ __forceinline__ uint32_t row_count() const {
        return out_dim;
    }

    __device__ __forceinline__ const uint16_t *weight_row(uint32_t v) const {
        return w + (size_t)v * stride;
    }

    /* Before the wait: nobody writes them. */
    __device__ __forceinline__ void fetch(uint32_t thread, uint32_t thread_count) const {
        for (uint32_t i = thread; i < own.count; i += thread_count) {
            const uint32_t column = own.first + i;
            const uint32_t at = index * own.count + i;
            own.biases[at] = bias != nullptr ? __ldg(bias + column) : 0.0f;
            own.factors[at] =
                norm != nullptr
                    ? __ldg(norm + column) * (1.0f + (ada != nullptr ? __ldg(ada + column) : 0.0f))
                    : 0.0f;
        }
    }

    __device__ __forceinline__ void begin() {
    }

    __device__ __forceinline__ ahead look(uint32_t, uint32_t) const {
        return {};
    }

    /* The sum of their squares. */
    __device__ __forceinline__ float finish(uint32_t, uint32_t pair, float first, float second,
                                            const ahead &) const {
        const uint32_t i = 2u * pair - own.first;
        const uint32_t at = index * own.count + i;
        float *x = own.x + i;
        first += own.biases[at] + x[0];
        second += own.biases[at + 1u] + x[1];
        x[0] = first;
        x[1] = second;
        if (y != nullptr) {
            *reinterpret_cast<float2 *>(y + 2u * pair) = make_float2(first, second);
        }
        if (norm != nullptr) {
            es_split_store2(normed, 1, 0, 2u * pair, first * own.factors[at],
                            second * own.factors[at + 1u]);
        }
        return first * first + second * second;
    }

    __device__ __forceinline__ void keep_square(uint32_t unit, float square) const {
        if (norm != nullptr) {
            squares[unit] = square;
        }
    }
};

struct hidden_map : gate_map {
    static constexpr bool has_squares = false;

    uint16_t *hidden;

    __device__ __forceinline__ void finish(uint32_t, uint32_t pair, float gate, float up,
                                           const ahead &) const {
        es_split_store1(hidden, 1, 0, pair, gated(gate, up));
    }
};

struct next_map : qkv_map {
    static constexpr bool has_squares = false;
};

struct phase {
    const uint4 *x;       /* split */
    const float *squares; /* of the norm that x went through; NULL: none */
    float norm_eps;
    uint32_t chunk_count; /* x and weight rows are so many chunks long */
    uint32_t pair_count;
};

struct params {
    struct phase phases[PHASE_COUNT_MAX];
    struct residual_map output;
    struct hidden_map gate;
    struct residual_map down;
    struct next_map qkv;
    uint32_t phase_count;
    uint32_t x_words; /* of 16 bytes, of the widest */
    uint32_t own_count_max;
    uint64_t *arrivals; /* device: grows by the number of blocks at each meeting, for ever */
};

/* Dynamic shared memory, in this order, and the ring's blocks first. */
struct layer_shared {
    struct es_ring ring;
    uint4 *x;         /* [chunk_count, 2 parts, 4] bf16 x 8 */
    float2 *parts;    /* [PART_SLOTS, PART_LANES] */
    uint32_t *counts; /* [PART_SLOTS]: blocks of a unit that are done */
    float *scale;     /* 1 / rms */
    struct own_columns own;
};

static size_t shared_bytes(const struct params *p) {
    return RING_DEPTH * (ES_RING_BLOCK_BYTES + 2u * sizeof(uint64_t)) + p->x_words * sizeof(uint4) +
           PART_SLOTS * (PART_LANES * sizeof(float2) + sizeof(uint32_t)) + sizeof(float) +
           sizeof(uint32_t) + 5u * p->own_count_max * sizeof(float);
}

__device__ __forceinline__ struct layer_shared lay(const struct params &p) {
    ES_SHARED_DYNAMIC(uint4, layer_memory);
    struct layer_shared shared;
    shared.ring.depth = RING_DEPTH;
    shared.ring.blocks = layer_memory;
    shared.x = layer_memory + RING_DEPTH * ES_RING_BLOCK_WORDS;
    shared.parts = reinterpret_cast<float2 *>(shared.x + p.x_words);
    shared.ring.filled = reinterpret_cast<uint64_t *>(shared.parts + PART_SLOTS * PART_LANES);
    shared.ring.freed = shared.ring.filled + RING_DEPTH;
    shared.counts = reinterpret_cast<uint32_t *>(shared.ring.freed + RING_DEPTH);
    shared.ring.turn = shared.counts + PART_SLOTS;
    shared.scale = reinterpret_cast<float *>(shared.ring.turn + 1);
    shared.own.x = shared.scale + 1;
    shared.own.factors = shared.own.x + p.own_count_max;
    shared.own.biases = shared.own.factors + 2u * p.own_count_max;
    return shared;
}

/* This block's share of a phase. */
struct share {
    uint32_t unit_first, unit_count, blocks_per_unit;
};

__device__ __forceinline__ struct share share_of(const struct phase &phase) {
    const uint32_t unit_count =
        (phase.pair_count + ES_LINEAR_UNIT_PAIRS - 1u) / ES_LINEAR_UNIT_PAIRS;
    struct share share;
    share.unit_first = (uint32_t)((uint64_t)unit_count * blockIdx.x / gridDim.x);
    share.unit_count =
        (uint32_t)((uint64_t)unit_count * (blockIdx.x + 1u) / gridDim.x) - share.unit_first;
    share.blocks_per_unit = (phase.chunk_count + CHUNKS_PER_BLOCK - 1u) / CHUNKS_PER_BLOCK;
    return share;
}

/* A block of the ring: which piece of which unit it is. */
struct piece {
    uint32_t unit, index;

    __device__ __forceinline__ void advance(uint32_t step, uint32_t blocks_per_unit) {
        index += step;
        while (index >= blocks_per_unit) {
            index -= blocks_per_unit;
            unit++;
        }
    }
};

__device__ __forceinline__ uint32_t chunks_of(const struct phase &phase, uint32_t index) {
    return min(CHUNKS_PER_BLOCK, phase.chunk_count - index * CHUNKS_PER_BLOCK);
}

/* -- the producers ------------------------------------------------------------------------------ */

/* `first`: the phase's first number; returns the first one behind it. */
template <class Map>
__device__ __forceinline__ uint32_t produce(const struct es_ring &ring, struct es_ring_cursor &at,
                                            const struct phase &phase, const Map &map,
                                            uint32_t first) {
    const struct share share = share_of(phase);
    const uint32_t end = first + share.unit_count * share.blocks_per_unit;
    struct piece piece = {share.unit_first, 0};
    piece.advance(at.number - first, share.blocks_per_unit);
    while (at.number < end) {
        const uint32_t row = piece.unit * ES_LINEAR_UNIT_ROWS;
        const uint32_t column = piece.index * ES_RING_COLUMNS;
        es_ring_fill(ring, at, min(map.row_count() - row, ES_LINEAR_UNIT_ROWS),
                     chunks_of(phase, piece.index) * ES_LINEAR_CHUNK * (uint32_t)sizeof(uint16_t),
                     [&](uint32_t r) { return map.weight_row(row + r) + column; });
        es_ring_advance(ring, at, ES_RING_PRODUCERS);
        piece.advance(ES_RING_PRODUCERS, share.blocks_per_unit);
    }
    return end;
}

/* -- the consumers ------------------------------------------------------------------------------ */

__device__ __forceinline__ void meet_consumers() {
    es_ptx_bar_sync<1, (int)CONSUMER_THREADS>();
}

/* Every block has written what it had to write before this, and it is seen after it: the barriers
 * hand on what the one thread releases and acquires. `arrived`: how many have by the meeting
 * before; thread 0 alone knows it. */
__device__ __forceinline__ void meet_blocks(const struct params &p, uint64_t &arrived) {
    meet_consumers();
    if (threadIdx.x == 0) {
        es_ptx_add_release(p.arrivals, 1u);
        arrived += gridDim.x;
        while (es_ptx_load_acquire(p.arrivals) < arrived) {
        }
    }
    meet_consumers();
}

/* x into shared memory, all of it under way at once. Blocks begin at different places, so that not
 * all of them ask for the same lines at the same time. */
__device__ __forceinline__ void stage(const struct phase &phase,
                                      const struct layer_shared &shared) {
    const uint32_t count = phase.chunk_count * 8u;
    const uint32_t shift = blockIdx.x * CONSUMER_THREADS % count;
    for (uint32_t i = threadIdx.x; i < count; i += CONSUMER_THREADS) {
        const uint32_t word = i + shift < count ? i + shift : i + shift - count;
        es_ptx_cp_async(es_ptx_shared(shared.x + word), phase.x + word, true);
    }
    es_ptx_cp_async_commit();
    if (phase.squares != nullptr && threadIdx.x < 32u) {
        const uint32_t dim = phase.chunk_count * ES_LINEAR_CHUNK;
        float sum = 0.0f;
#pragma unroll 4
        for (uint32_t i = threadIdx.x; i < dim / ES_LINEAR_UNIT_ROWS; i += 32u) {
            sum += __ldcg(phase.squares + i);
        }
#pragma unroll
        for (uint32_t offset = 16; offset > 0; offset /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        }
        if (threadIdx.x == 0) {
            *shared.scale = 1.0f / sqrtf(sum / (float)dim + phase.norm_eps);
        }
    }
    es_ptx_cp_async_wait<0>();
    meet_consumers();
}

/* Sums of one block of weights, of the lanes t = 0..3: a pair of weight rows each. The product's
 * other rows of x are the same one again: what they give has no part in the first. */
__device__ __forceinline__ float2 multiply(const uint4 *block, const uint4 *x, uint32_t chunk_count,
                                           uint32_t lane) {
    float even[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    float odd[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const uint4 *w_lane = block + es_ring_row(lane / 4u) + lane % 4u;
    const uint4 *x_lane = x + lane % 4u;
#pragma unroll 4
    for (uint32_t i = 0; i < chunk_count; i++) {
        const uint4 high = x_lane[i * 8u];
        const uint4 low = x_lane[i * 8u + 4u];
        const uint4 w = w_lane[i * ES_LINEAR_CHUNK_WORDS];
        es_bf16_multiply(even, high.x, low.x, high.y, low.y, w.x, w.y);
        es_bf16_multiply(odd, high.z, low.z, high.w, low.w, w.z, w.w);
    }
    return make_float2((even[0] + odd[0]) + (even[2] + odd[2]),
                       (even[1] + odd[1]) + (even[3] + odd[3]));
}

/* A unit's last piece waits for those before it: they came before in the ring, their warps are at
 * it. `first` is the number of the unit's first piece. */
__device__ __forceinline__ float2 gather(const struct layer_shared &shared, uint32_t first,
                                         uint32_t index, float2 sum, uint32_t lane) {
    uint32_t *count = shared.counts + first % PART_SLOTS;
    while (es_ptx_shared_peek(count) != index) {
    }
    __threadfence_block();
    __syncwarp();
    if (index > 0 && lane < PART_LANES) {
        float2 whole = shared.parts[first % PART_SLOTS * PART_LANES + lane];
        for (uint32_t i = 1; i < index; i++) {
            const float2 part = shared.parts[(first + i) % PART_SLOTS * PART_LANES + lane];
            whole.x += part.x;
            whole.y += part.y;
        }
        sum = make_float2(whole.x + sum.x, whole.y + sum.y);
    }
    __syncwarp();
    if (lane == 0) {
        *count = 0;
    }
    return sum;
}

/* What a warp that multiplies carries from phase to phase. */
struct consumer {
    struct es_ring_cursor at;
    uint64_t arrived;
};

/* `first`: the phase's first number; returns the first one behind it. Whichever warp's turn it is
 * goes on from phase to phase: all are as busy. */
template <class Map>
__device__ __forceinline__ uint32_t consume(const struct phase &phase,
                                            const struct layer_shared &shared,
                                            struct es_ring_cursor &at, const Map &map,
                                            uint32_t first) {
    const uint32_t lane = threadIdx.x % 32u;
    const struct share share = share_of(phase);
    const float scale = phase.squares != nullptr ? *shared.scale : 1.0f;
    const uint32_t end = first + share.unit_count * share.blocks_per_unit;
    struct piece piece = {share.unit_first, 0};
    piece.advance(at.number - first, share.blocks_per_unit);
    for (; at.number < end; es_ring_advance(shared.ring, at, CONSUMER_WARPS),
                            piece.advance(CONSUMER_WARPS, share.blocks_per_unit)) {
        const uint32_t index = piece.index;
        const uint32_t pair = piece.unit * ES_LINEAR_UNIT_PAIRS + lane % 4u;
        const bool is_last = index + 1u == share.blocks_per_unit;
        const bool is_finisher = is_last && lane < PART_LANES && pair < phase.pair_count;
        typename Map::ahead ahead;
        if (is_finisher) {
            ahead = map.look(0, pair);
        }
        const uint4 *block = es_ring_await(shared.ring, at);
        float2 sum = multiply(block, shared.x + index * CHUNKS_PER_BLOCK * 8u,
                              chunks_of(phase, index), lane);
        es_ring_free(shared.ring, at);
        if (!is_last) {
            if (lane < PART_LANES) {
                shared.parts[at.number % PART_SLOTS * PART_LANES + lane] = sum;
            }
            __threadfence_block();
            __syncwarp();
            if (lane == 0) {
                atomicAdd(shared.counts + (at.number - index) % PART_SLOTS, 1u);
            }
            continue;
        }
        sum = gather(shared, at.number - index, index, sum, lane);
        if constexpr (Map::has_squares) {
            float square = 0.0f;
            if (is_finisher) {
                square = map.finish(0, pair, sum.x * scale, sum.y * scale, ahead);
            }
            square += __shfl_xor_sync(0xffffffffu, square, 1);
            square += __shfl_xor_sync(0xffffffffu, square, 2);
            if (is_finisher && lane == 0) {
                map.keep_square(piece.unit, square);
            }
        } else if (is_finisher) {
            map.finish(0, pair, sum.x * scale, sum.y * scale, ahead);
        }
    }
    return end;
}

__device__ __forceinline__ void fetch_own(const struct params &p, const struct own_columns &own) {
    for (uint32_t i = threadIdx.x; i < own.count; i += CONSUMER_THREADS) {
        own.x[i] = __ldcg(p.down.y + own.first + i);
    }
}

/* A phase behind the first one begins when all blocks have ended the one before. */
template <class Map>
__device__ __forceinline__ uint32_t run_phase(const struct params &p,
                                              const struct layer_shared &shared, uint32_t number,
                                              struct consumer &self, Map &map, uint32_t first) {
    const struct phase &phase = p.phases[number];
    if (number == 0) {
        es_grid_wait();
        self.arrived = __ldcg((const unsigned long long *)p.arrivals);
        fetch_own(p, shared.own);
    } else {
        meet_blocks(p, self.arrived);
    }
    map.begin();
    stage(phase, shared);
    if (number == 0) {
        /* This block has not been at the first meeting, so that one is not over. */
        self.arrived = self.arrived / gridDim.x * gridDim.x;
    }
    return consume(phase, shared, self.at, map, first);
}

__global__ static void __launch_bounds__(THREAD_COUNT, 1)
    layer_row(const __grid_constant__ struct params p) {
    ES_SHARED(struct qkv_slots, rows);
    struct layer_shared shared = lay(p);
    const uint32_t warp = threadIdx.x / 32u;
    if (threadIdx.x == 0) {
        es_ring_open(shared.ring);
    }
    if (threadIdx.x < PART_SLOTS) {
        shared.counts[threadIdx.x] = 0;
    }
    __syncthreads();
    es_grid_release();
    if (warp >= CONSUMER_WARPS) {
        struct es_ring_cursor at = {warp - CONSUMER_WARPS, warp - CONSUMER_WARPS, 0};
        uint32_t first = produce(shared.ring, at, p.phases[0], p.output, 0);
        first = produce(shared.ring, at, p.phases[1], p.gate, first);
        first = produce(shared.ring, at, p.phases[2], p.down, first);
        if (p.phase_count > 3u) {
            (void)produce(shared.ring, at, p.phases[3], p.qkv, first);
        }
        return;
    }
    struct consumer self = {{warp, warp, 0}, 0};
    const struct share share = share_of(p.phases[0]);
    shared.own.first = share.unit_first * ES_LINEAR_UNIT_ROWS;
    shared.own.count = share.unit_count * ES_LINEAR_UNIT_ROWS;
    struct residual_map output = p.output;
    struct hidden_map gate = p.gate;
    struct residual_map down = p.down;
    output.own = down.own = shared.own;
    output.fetch(threadIdx.x, CONSUMER_THREADS);
    down.fetch(threadIdx.x, CONSUMER_THREADS);
    uint32_t first = run_phase(p, shared, 0, self, output, 0);
    first = run_phase(p, shared, 1, self, gate, first);
    first = run_phase(p, shared, 2, self, down, first);
    if (p.phase_count > 3u) {
        struct next_map qkv = p.qkv;
        qkv.rows = &rows;
        (void)run_phase(p, shared, 3, self, qkv, first);
    }
}

/* -- the launcher ------------------------------------------------------------------------------- */

static void bind_phase(struct params *p, const uint16_t *x, const struct es_matrix *w,
                       uint32_t pair_count) {
    struct phase *phase = &p->phases[p->phase_count++];
    phase->x = (const uint4 *)x;
    phase->chunk_count = w->in_dim / ES_LINEAR_CHUNK;
    phase->pair_count = pair_count;
    const uint32_t x_words = phase->chunk_count * 8u;
    p->x_words = p->x_words < x_words ? x_words : p->x_words;
}

static void bind_norm(struct params *p, const float *squares, float norm_eps) {
    p->phases[p->phase_count - 1u].squares = squares;
    p->phases[p->phase_count - 1u].norm_eps = norm_eps;
}

static struct residual_map residual_of(const struct es_cuda_layer *op, uint32_t index) {
    const struct es_matrix *w = index == 0 ? op->wo : op->w2;
    struct residual_map map = {};
    map.w = (const uint16_t *)w->data;
    map.stride = w->stride;
    map.out_dim = w->out_dim;
    map.bias = index == 0 ? op->wo_bias : op->w2_bias;
    map.y = index == 0 ? NULL : op->x;
    map.norm = index == 0 ? op->norm : op->next != NULL ? op->next->norm : NULL;
    map.ada = index == 0 ? op->ada : NULL;
    map.index = index;
    map.normed = op->normed;
    map.squares = op->squares;
    return map;
}

static size_t room_of(const struct es_cuda_ops *ops) {
    return ops->cuda->shared_block_bytes_max - ES_LINEAR_STATIC_BYTES;
}

static struct params params_of(const struct es_cuda_ops *ops, const struct es_cuda_layer *op) {
    struct params p = {};
    p.arrivals = ops->arrivals;
    bind_phase(&p, op->attended, op->wo, op->wo->out_dim / 2u);
    p.output = residual_of(op, 0);
    bind_phase(&p, op->normed, op->w1, op->w1->out_dim);
    bind_norm(&p, op->squares, op->norm_eps);
    p.gate.w1 = (const uint16_t *)op->w1->data;
    p.gate.w3 = (const uint16_t *)op->w3->data;
    p.gate.stride = op->w1->stride;
    p.gate.hidden_dim = op->w1->out_dim;
    p.gate.hidden = op->hidden;
    bind_phase(&p, op->hidden, op->w2, op->w2->out_dim / 2u);
    p.down = residual_of(op, 1);
    const uint32_t unit_count = op->wo->out_dim / ES_LINEAR_UNIT_ROWS;
    const uint32_t block_count = ops->cuda->sm_count;
    p.own_count_max = (unit_count + block_count - 1u) / block_count * ES_LINEAR_UNIT_ROWS;
    if (op->next != NULL) {
        struct es_linear_job job;
        es_qkv_bind(&job, &p.qkv, ops, op->next);
        p.qkv.job_row_count = 1;
        bind_phase(&p, op->normed, op->next->wq, job.pair_count);
        bind_norm(&p, op->squares, op->next->norm_eps);
    }
    return p;
}

bool es_cuda_layer_fits(const struct es_cuda_ops *ops, const struct es_cuda_layer *op) {
    const struct es_matrix *matrices[] = {op->wo, op->w1, op->w2};
    for (uint32_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
        if (matrices[i]->in_dim % ES_LINEAR_CHUNK != 0 ||
            matrices[i]->in_dim > BLOCKS_PER_UNIT_MAX * ES_RING_COLUMNS) {
            return false;
        }
    }
    const struct params p = params_of(ops, op);
    return shared_bytes(&p) <= room_of(ops);
}

static uint64_t weight_bytes(const struct params *p) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->phase_count; i++) {
        bytes += 2u * (uint64_t)p->phases[i].pair_count * p->phases[i].chunk_count *
                 ES_LINEAR_CHUNK * sizeof(uint16_t);
    }
    return bytes;
}

enum es_status es_cuda_layer(const struct es_cuda_ops *ops, const struct es_cuda_layer *op,
                             struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("layer", layer_row);
    ES_ASSERT(es_cuda_layer_fits(ops, op));
    ES_ASSERT(op->next == NULL || op->next->row_count == 1);
    struct params p = params_of(ops, op);
    enum es_status status = es_cuda_kernel_allow(ops->cuda, &kernel, room_of(ops), error);
    if (status != ES_OK) {
        return status;
    }
    struct es_cuda_grid grid = {};
    grid.block_count = ops->cuda->sm_count;
    grid.thread_count = THREAD_COUNT;
    grid.shared_bytes = shared_bytes(&p);
    grid.is_dependent = true;
    grid.moved_bytes = weight_bytes(&p);
    void *args[] = {&p};
    return es_cuda_launch(ops->cuda, &kernel, &grid, args, error);
}
