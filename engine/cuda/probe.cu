/* probe.cu - reads everything once and keeps nothing
 *
 * shape  up to 64 blocks of memory, cut into tiles of 64 KiB
 * bytes  all of them, once        limit: DRAM bandwidth, and nothing else
 * map    a thread block takes every grid-th tile; a thread has 8 loads of 16 bytes in flight
 */
#include "engine/cuda/probe.h"

#include "engine/cuda/kernel.cuh"
#include "platform/assert.h"

#define THREAD_COUNT 512u
#define LOAD_COUNT 8u
#define BLOCKS_PER_SM 4u

static_assert(ES_CUDA_PROBE_TILE_BYTES == THREAD_COUNT * LOAD_COUNT * sizeof(uint4),
              "a tile is one round of loads");

__global__ static void __launch_bounds__(THREAD_COUNT)
    read_tiles(const __grid_constant__ struct es_cuda_probe probe, uint64_t tile_count,
               uint32_t *sink) {
    uint32_t sum = 0;
    uint32_t block = 0;
    uint64_t first_tile = 0; /* of the block */
    for (uint64_t tile = blockIdx.x; tile < tile_count; tile += gridDim.x) {
        uint64_t tiles_here = probe.block_bytes[block] / ES_CUDA_PROBE_TILE_BYTES;
        while (tile - first_tile >= tiles_here) {
            first_tile += tiles_here;
            block++;
            tiles_here = probe.block_bytes[block] / ES_CUDA_PROBE_TILE_BYTES;
        }
        const uint4 *words = (const uint4 *)((const char *)probe.blocks[block] +
                                             (tile - first_tile) * ES_CUDA_PROBE_TILE_BYTES) +
                             threadIdx.x;
        uint4 loaded[LOAD_COUNT];
#pragma unroll
        for (uint32_t i = 0; i < LOAD_COUNT; i++) {
            loaded[i] = __ldcs(words + i * THREAD_COUNT);
        }
#pragma unroll
        for (uint32_t i = 0; i < LOAD_COUNT; i++) {
            sum ^= loaded[i].x ^ loaded[i].y ^ loaded[i].z ^ loaded[i].w;
        }
    }
    /* One value in four thousand million, so the compiler must compute it. */
    if (sum == 0x9e3779b9u) {
        *sink = sum;
    }
}

uint64_t es_cuda_probe_bytes(const struct es_cuda_probe *probe) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < probe->block_count; i++) {
        bytes += probe->block_bytes[i] - probe->block_bytes[i] % ES_CUDA_PROBE_TILE_BYTES;
    }
    return bytes;
}

enum es_status es_cuda_probe_read(struct es_cuda *cuda, const struct es_cuda_probe *probe,
                                  uint32_t *sink, struct es_error *error) {
    static const struct es_cuda_kernel kernel = ES_KERNEL("probe_read", read_tiles);
    ES_ASSERT(probe->block_count <= ES_CUDA_PROBE_BLOCK_COUNT_MAX);
    uint64_t tile_count = es_cuda_probe_bytes(probe) / ES_CUDA_PROBE_TILE_BYTES;
    if (tile_count == 0) {
        return ES_OK;
    }
    const struct es_cuda_grid grid = {.block_count = cuda->sm_count * BLOCKS_PER_SM,
                                      .block_count_y = 0,
                                      .thread_count = THREAD_COUNT,
                                      .shared_bytes = 0,
                                      .is_dependent = false,
                                      .moved_bytes = es_cuda_probe_bytes(probe)};
    void *args[] = {(void *)probe, &tile_count, &sink};
    return es_cuda_launch(cuda, &kernel, &grid, args, error);
}
