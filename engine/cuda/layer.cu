/* layer.cu - all of a layer but its attention in one kernel: output + residual; gate; down +
 *            residual; and q, k, v of the next layer
 *
 * shape  as project.cu, gate.cu and qkv.cu; 1 to 8 rows
 * bytes  the weights of four matrices, once           limit: DRAM bandwidth
 * map    One block per SM, all of them at once. Some warps bring weights through a ring in shared
 *        memory (weight_ring.cuh), from one matrix into the next without a pause; 8 multiply. A block
 *        takes a run of units of 4 pairs = 8 weight rows; a warp takes a unit's next 512 columns. The
 *        operands lie as in linear_inner.cuh. Between two matrices the blocks wait for each other,
 *        and memory does not wait for them: the ring fills up meanwhile.
 * order  A sum's terms: by 32 columns within a block of 512, even and odd ones apart, then the
 *        blocks. It follows from in_dim alone. */
#include "engine/cuda/gate_map.cuh"
#include "engine/cuda/project_map.cuh"
#include "engine/cuda/qkv_map.cuh"
#include "engine/cuda/weight_ring.cuh"

#define CONSUMER_WARPS 8u
#define CONSUMER_THREADS (32u * CONSUMER_WARPS)
#define THREAD_COUNT (CONSUMER_THREADS + 32u * ES_RING_PRODUCERS)
#define PHASE_COUNT_MAX 4u
#define PART_SLOTS 48u         /* sums of blocks whose unit is not complete */
#define BLOCKS_PER_UNIT_MAX 20u /* rows of up to 10,240 weights */
#define RING_DEPTH_STEP CONSUMER_WARPS /* weight_ring.cuh says why */
#define RING_DEPTH_MAX (2u * RING_DEPTH_STEP)
#define CHUNKS_PER_BLOCK (ES_RING_COLUMNS / ES_LINEAR_CHUNK)

static_assert(ES_CUDA_LAYER_ROWS_MAX == ES_LINEAR_ROW_COUNT_MAX, "one pass");
static_assert(RING_DEPTH_STEP % ES_RING_PRODUCERS == 0 && RING_DEPTH_STEP >= ES_RING_FLIGHT,
              "a slot is always of the same two warps");
static_assert(ES_RING_ROWS == ES_LINEAR_UNIT_ROWS, "a block is of one unit");
static_assert(PART_SLOTS >= CONSUMER_WARPS + RING_DEPTH_MAX + BLOCKS_PER_UNIT_MAX,
              "no slot is written again before its unit is complete");

struct params {
    struct es_linear_job jobs[PHASE_COUNT_MAX];
    struct project_map output;
    struct gate_map gate;
    struct project_map down;
    struct qkv_map qkv;
    uint32_t phase_count;
    uint32_t ring_depth;
    uint32_t x_bytes;      /* of the largest job */
    uint32_t factor_count; /* columns of the wider norm */
    uint32_t square_count;
    uint64_t *arrivals; /* device: grows by the number of blocks at each meeting, for ever */
};

/* Dynamic shared memory, in this order, and the ring's blocks first. */
struct layer_shared {
    struct es_ring ring;
    struct es_linear_shared x;
    float2 *parts;    /* [PART_SLOTS, 32] */
    uint32_t *counts; /* [PART_SLOTS]: blocks of a unit that are done */
    float *factors;   /* [2, factor_count]: gate's and qkv's */
};

static size_t shared_bytes(const struct params *p) {
    return (size_t)p->ring_depth * (ES_RING_BLOCK_BYTES + 2u * sizeof(uint64_t)) + p->x_bytes +
           PART_SLOTS * (32u * sizeof(float2) + sizeof(uint32_t)) +
           2u * (size_t)p->factor_count * sizeof(float) + (size_t)p->square_count * sizeof(float);
}

__device__ __forceinline__ struct layer_shared lay(const struct params &p) {
    ES_SHARED_DYNAMIC(uint4, layer_memory);
    struct layer_shared shared;
    shared.ring.depth = p.ring_depth;
    shared.ring.blocks = layer_memory;
    shared.x.x = layer_memory + (size_t)p.ring_depth * (ES_RING_BLOCK_BYTES / sizeof(uint4));
    shared.parts = reinterpret_cast<float2 *>(shared.x.x + p.x_bytes / sizeof(uint4));
    shared.ring.filled = reinterpret_cast<uint64_t *>(shared.parts + PART_SLOTS * 32u);
    shared.ring.freed = shared.ring.filled + p.ring_depth;
    shared.counts = reinterpret_cast<uint32_t *>(shared.ring.freed + p.ring_depth);
    shared.factors = reinterpret_cast<float *>(shared.counts + PART_SLOTS);
    shared.x.squares = shared.factors + 2u * p.factor_count;
    shared.x.factors = nullptr;
    shared.x.sums = nullptr;
    shared.x.run_count = 0;
    return shared;
}

/* This block's share of a phase. */
struct share {
    uint32_t unit_first, unit_count, blocks_per_unit;
    __device__ __forceinline__ uint32_t block_count() const {
        return unit_count * blocks_per_unit;
    }
};

__device__ __forceinline__ struct share share_of(const struct es_linear_job &job) {
    const uint32_t unit_count = (job.pair_count + ES_LINEAR_UNIT_PAIRS - 1u) / ES_LINEAR_UNIT_PAIRS;
    struct share share;
    share.unit_first = (uint32_t)((uint64_t)unit_count * blockIdx.x / gridDim.x);
    share.unit_count =
        (uint32_t)((uint64_t)unit_count * (blockIdx.x + 1u) / gridDim.x) - share.unit_first;
    share.blocks_per_unit = (job.chunk_count + CHUNKS_PER_BLOCK - 1u) / CHUNKS_PER_BLOCK;
    return share;
}

/* -- the producers ------------------------------------------------------------------------------ */

template <class Map>
__device__ __forceinline__ uint32_t produce(const struct es_ring &ring,
                                            const struct es_linear_job &job, const Map &map,
                                            uint32_t number) {
    const uint32_t lane = threadIdx.x % 32u;
    const uint32_t producer = threadIdx.x / 32u - CONSUMER_WARPS;
    const struct share share = share_of(job);
    for (uint32_t unit = share.unit_first; unit < share.unit_first + share.unit_count; unit++) {
        const uint32_t row = unit * ES_LINEAR_UNIT_ROWS;
        const uint32_t left = map.row_count() - row;
        const uint32_t row_count = left < ES_LINEAR_UNIT_ROWS ? left : ES_LINEAR_UNIT_ROWS;
        for (uint32_t chunk = 0; chunk < job.chunk_count; chunk += CHUNKS_PER_BLOCK, number++) {
            if (number % ES_RING_PRODUCERS != producer) {
                continue;
            }
            const uint32_t chunks_left = job.chunk_count - chunk;
            const uint32_t chunk_count =
                chunks_left < CHUNKS_PER_BLOCK ? chunks_left : CHUNKS_PER_BLOCK;
            es_ring_fill(ring, number, lane, row_count, chunk_count * ES_LINEAR_CHUNK * 2u,
                         [&](uint32_t r) {
                             return map.weight_row(row + r) + (size_t)chunk * ES_LINEAR_CHUNK;
                         });
        }
    }
    return number;
}

/* -- the consumers ------------------------------------------------------------------------------ */

__device__ __forceinline__ void meet_consumers() {
    es_ptx_bar_sync<1, (int)CONSUMER_THREADS>();
}

/* Every block has written what it had to write before this, and it is seen after it: the barriers
 * hand on what the one thread releases and acquires. */
__device__ __forceinline__ void meet_blocks(const struct params &p) {
    meet_consumers();
    if (threadIdx.x == 0) {
        const uint64_t before = es_ptx_add_acq_rel(p.arrivals, 1u);
        const uint64_t wanted = (before / gridDim.x + 1u) * gridDim.x;
        while (es_ptx_load_acquire(p.arrivals) < wanted) {
        }
    }
    meet_consumers();
}

/* Four columns of x on their way to shared memory, zeros beyond in_dim. From L2: another kernel that
 * runs on this SM may have brought an older state of the line into L1. */
__device__ __forceinline__ void fetch4(const float *x, uint32_t column, uint32_t in_dim,
                                                 uint4 *target) {
    if ((reinterpret_cast<uintptr_t>(x) & 15u) == 0 && (column + 4 <= in_dim || column >= in_dim)) {
        const bool is_there = column < in_dim;
        es_ptx_cp_async(es_ptx_shared(target), x + (is_there ? column : 0), is_there);
    } else {
        float values[4];
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            values[i] = column + i < in_dim ? __ldcg(x + column + i) : 0.0f;
        }
        *target = make_uint4(__float_as_uint(values[0]), __float_as_uint(values[1]),
                             __float_as_uint(values[2]), __float_as_uint(values[3]));
    }
}

/* x into shared memory: all of it under way at once, each lane's part to where its two halves will
 * lie, because registers for it would be too many. */
__device__ __forceinline__ void stage_x(const struct es_linear_job &job,
                                        const struct es_linear_shared &shared) {
    const uint32_t task_count = shared.run_count * job.row_count;
    /* Not all blocks ask for the same lines at the same time. */
    const uint32_t shift = blockIdx.x % task_count;
    for (uint32_t i = threadIdx.x / 32u; i < task_count; i += CONSUMER_WARPS) {
        const uint32_t task = (i + shift) % task_count;
        const struct es_linear_place place = es_linear_place_of(job, shared, task);
        const float *x = job.x + (size_t)place.row * job.x_row_floats;
        if (place.is_there) {
            fetch4(x, place.column, job.in_dim, place.high);
            fetch4(x, place.column + 4u, job.in_dim, place.low);
        }
    }
    es_ptx_cp_async_commit();
    es_ptx_cp_async_wait<0>();
    for (uint32_t i = threadIdx.x / 32u; i < task_count; i += CONSUMER_WARPS) {
        const uint32_t task = (i + shift) % task_count;
        const struct es_linear_place place = es_linear_place_of(job, shared, task);
        uint4 first = make_uint4(0, 0, 0, 0);
        uint4 second = make_uint4(0, 0, 0, 0);
        if (place.is_there) {
            first = *place.high;
            second = *place.low;
        }
        float values[8] = {__uint_as_float(first.x),  __uint_as_float(first.y),
                           __uint_as_float(first.z),  __uint_as_float(first.w),
                           __uint_as_float(second.x), __uint_as_float(second.y),
                           __uint_as_float(second.z), __uint_as_float(second.w)};
        es_linear_split_x(job, shared, place, values);
    }
}

/* Sums of one block of weights: this lane's row of x and pair of weight rows. A lane whose row of x
 * is not there reads another's: a row of the product has no part in the others. */
__device__ __forceinline__ float2 multiply(const uint4 *block, const uint4 *x_lane,
                                           uint32_t row_count, uint32_t chunk_count,
                                           uint32_t lane) {
    float even[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    float odd[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const uint4 *w_lane = block + es_ring_row(lane / 4u) + lane % 4u;
#pragma unroll 4
    for (uint32_t i = 0; i < chunk_count; i++) {
        const uint4 high = x_lane[i * 8u * row_count];
        const uint4 low = x_lane[i * 8u * row_count + 4u * row_count];
        const uint4 w = w_lane[i * ES_LINEAR_CHUNK_WORDS];
        es_bf16_multiply(even, high.x, low.x, high.y, low.y, w.x, w.y);
        es_bf16_multiply(odd, high.z, low.z, high.w, low.w, w.z, w.w);
    }
    return make_float2((even[0] + odd[0]) + (even[2] + odd[2]),
                       (even[1] + odd[1]) + (even[3] + odd[3]));
}

template <class Map>
__device__ __forceinline__ uint32_t consume(const struct layer_shared &shared,
                                            const struct es_linear_job &job, Map &map,
                                            uint32_t number) {
    const uint32_t lane = threadIdx.x % 32u;
    const uint32_t warp = threadIdx.x / 32u;
    const struct share share = share_of(job);
    const bool has_x = lane / 4u < job.row_count;
    float scale = 1.0f;
    if (job.norm != nullptr && has_x) {
        scale = es_linear_scale(job, shared.x, lane / 4u);
    }
    const uint32_t end = number + share.block_count();
    /* Whichever warp's turn it is goes on from phase to phase: all are as busy. */
    for (uint32_t n = number + (warp + CONSUMER_WARPS - number % CONSUMER_WARPS) % CONSUMER_WARPS;
         n < end; n += CONSUMER_WARPS) {
        const uint32_t index = (n - number) % share.blocks_per_unit;
        const uint32_t unit = share.unit_first + (n - number) / share.blocks_per_unit;
        const uint32_t pair = unit * ES_LINEAR_UNIT_PAIRS + lane % 4u;
        const uint32_t first = n - index; /* number of the unit's first block */
        const bool is_last = index + 1u == share.blocks_per_unit;
        const bool is_finisher = is_last && has_x && pair < job.pair_count;
        typename Map::ahead ahead;
        if (is_finisher) {
            ahead = map.look(lane / 4u, pair);
        }
        const uint32_t chunk = index * CHUNKS_PER_BLOCK;
        const uint32_t chunks_left = job.chunk_count - chunk;
        const uint32_t chunk_count = chunks_left < CHUNKS_PER_BLOCK ? chunks_left : CHUNKS_PER_BLOCK;
        const uint4 *x_lane =
            shared.x.x + (size_t)chunk * 8u * job.row_count + (has_x ? lane : lane % 4u);
        const uint4 *block = es_ring_await(shared.ring, n);
        float2 sum = multiply(block, x_lane, job.row_count, chunk_count, lane);
        es_ring_free(shared.ring, n, lane);
        uint32_t *count = shared.counts + first % PART_SLOTS;
        if (!is_last) {
            shared.parts[n % PART_SLOTS * 32u + lane] = sum;
            __threadfence_block();
            __syncwarp();
            if (lane == 0) {
                atomicAdd(count, 1u);
            }
            continue;
        }
        /* The other blocks of the unit came before in the ring: their warps are at it. */
        while (es_ptx_shared_peek(count) != index) {
        }
        __threadfence_block();
        __syncwarp();
        if (index > 0) {
            float2 whole = shared.parts[first % PART_SLOTS * 32u + lane];
            for (uint32_t i = 1; i < index; i++) {
                const float2 part = shared.parts[(first + i) % PART_SLOTS * 32u + lane];
                whole.x += part.x;
                whole.y += part.y;
            }
            sum = make_float2(whole.x + sum.x, whole.y + sum.y);
        }
        if (is_finisher) {
            map.finish(lane / 4u, pair, sum.x * scale, sum.y * scale, ahead);
        }
        __syncwarp();
        if (lane == 0) {
            *count = 0;
        }
    }
    return end;
}

/* A phase behind the first one begins when all blocks have ended the one before. */
template <class Map>
__device__ __forceinline__ uint32_t run_phase(const struct params &p, struct layer_shared &shared,
                                              uint32_t phase, Map &map, uint32_t number) {
    const struct es_linear_job &job = p.jobs[phase];
    shared.x.run_count = es_linear_run_count(job.in_dim);
    shared.x.factors = phase == 1 ? shared.factors : shared.factors + p.factor_count;
    if (phase == 0) {
        es_grid_wait();
    } else {
        meet_blocks(p);
    }
    map.begin();
    stage_x(job, shared.x);
    meet_consumers();
    number = consume(shared, job, map, number);
    map.end();
    return number;
}

/* More threads than there are: 64 registers at most, so that attention's blocks, which run before
 * and after, find room beside this one. */
__global__ static void __launch_bounds__(1024, 1)
    layer_rows(const __grid_constant__ struct params p) {
    ES_SHARED(struct qkv_slots, rows);
    struct layer_shared shared = lay(p);
    if (threadIdx.x == 0) {
        es_ring_open(shared.ring);
    }
    if (threadIdx.x < PART_SLOTS) {
        shared.counts[threadIdx.x] = 0;
    }
    __syncthreads();
    es_grid_release();
    if (threadIdx.x >= CONSUMER_THREADS) {
        uint32_t number = produce(shared.ring, p.jobs[0], p.output, 0);
        number = produce(shared.ring, p.jobs[1], p.gate, number);
        number = produce(shared.ring, p.jobs[2], p.down, number);
        if (p.phase_count > 3u) {
            (void)produce(shared.ring, p.jobs[3], p.qkv, number);
        }
        return;
    }
    es_linear_stage_factors<CONSUMER_THREADS>(p.jobs[1], shared.factors);
    if (p.phase_count > 3u) {
        es_linear_stage_factors<CONSUMER_THREADS>(p.jobs[3], shared.factors + p.factor_count);
    }
    struct project_map output = p.output;
    struct gate_map gate = p.gate;
    struct project_map down = p.down;
    uint32_t number = run_phase(p, shared, 0, output, 0);
    number = run_phase(p, shared, 1, gate, number);
    number = run_phase(p, shared, 2, down, number);
    if (p.phase_count > 3u) {
        struct qkv_map qkv = p.qkv;
        qkv.rows = &rows;
        (void)run_phase(p, shared, 3, qkv, number);
    }
}

/* -- the launcher ------------------------------------------------------------------------------- */

static void bind_job(struct params *p, uint32_t phase, uint32_t row_count) {
    struct es_linear_job *job = &p->jobs[phase];
    const uint32_t columns = job->chunk_count * ES_LINEAR_CHUNK;
    const uint32_t squares = es_linear_run_count(job->in_dim) * row_count;
    const uint32_t x_bytes = columns * row_count * (uint32_t)sizeof(float);
    ES_ASSERT((job->chunk_count + CHUNKS_PER_BLOCK - 1u) / CHUNKS_PER_BLOCK <= BLOCKS_PER_UNIT_MAX);
    job->row_count = row_count;
    p->x_bytes = p->x_bytes < x_bytes ? x_bytes : p->x_bytes;
    if (job->norm != NULL) {
        p->factor_count = p->factor_count < columns ? columns : p->factor_count;
        p->square_count = p->square_count < squares ? squares : p->square_count;
    }
}

static uint64_t weight_bytes(const struct params *p) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->phase_count; i++) {
        bytes += 2u * (uint64_t)p->jobs[i].pair_count * p->jobs[i].chunk_count * ES_LINEAR_CHUNK *
                 sizeof(uint16_t);
    }
    return bytes;
}

static size_t room_of(const struct es_cuda_ops *ops) {
    return ops->cuda->shared_block_bytes_max - ES_LINEAR_STATIC_BYTES;
}

/* ring_depth is 0 where the rows leave no room for a ring. */
static struct params params_of(const struct es_cuda_ops *ops, const struct es_cuda_layer *op) {
    const uint32_t row_count = op->output.row_count;
    ES_ASSERT(row_count >= 1 && row_count <= ES_CUDA_LAYER_ROWS_MAX);
    ES_ASSERT(op->gate.row_count == row_count && op->down.row_count == row_count);
    ES_ASSERT(op->next == NULL || op->next->row_count == row_count);
    struct params p = {};
    es_project_bind(&p.jobs[0], &p.output, ops, &op->output);
    es_gate_bind(&p.jobs[1], &p.gate, &op->gate);
    es_project_bind(&p.jobs[2], &p.down, ops, &op->down);
    p.phase_count = 3;
    if (op->next != NULL) {
        es_qkv_bind(&p.jobs[3], &p.qkv, ops, op->next);
        p.qkv.job_row_count = row_count;
        p.phase_count = 4;
    }
    for (uint32_t i = 0; i < p.phase_count; i++) {
        bind_job(&p, i, row_count);
    }
    p.arrivals = ops->arrivals;
    for (uint32_t depth = RING_DEPTH_MAX; depth > 0; depth -= RING_DEPTH_STEP) {
        p.ring_depth = depth;
        if (shared_bytes(&p) <= room_of(ops)) {
            return p;
        }
    }
    p.ring_depth = 0;
    return p;
}

bool es_cuda_layer_fits(const struct es_cuda_ops *ops, const struct es_cuda_layer *op) {
    return op->output.row_count <= ES_CUDA_LAYER_ROWS_MAX && params_of(ops, op).ring_depth > 0;
}

enum es_status es_cuda_layer(const struct es_cuda_ops *ops, const struct es_cuda_layer *op,
                             struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("layer", layer_rows);
    struct params p = params_of(ops, op);
    if (p.ring_depth == 0) {
        return es_linear_too_wide(ops, "layer", p.jobs[2].in_dim, error);
    }
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
