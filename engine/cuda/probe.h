/* probe.h - what the GPU's memory gives when all that a kernel does is read.
 *
 *   struct es_cuda_probe probe = {.block_count = 2, .blocks = {a, b}, .block_bytes = {...}};
 *   status = es_cuda_probe_read(&cuda, &probe, sink, &error);     enqueued; time it with events
 *
 * The ceiling that the benchmark holds every kernel against, read from the weights themselves: the
 * same memory, the same chunks. Several times the L2 cache, or it measures that. */
#pragma once

#include "platform/jetson/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_CUDA_PROBE_BLOCK_COUNT_MAX 64u
#define ES_CUDA_PROBE_TILE_BYTES 65536u /* what one thread block reads at a time */

struct es_cuda_probe {
    uint32_t block_count;
    const void *blocks[ES_CUDA_PROBE_BLOCK_COUNT_MAX];   /* device, 16-byte aligned; borrowed */
    uint64_t block_bytes[ES_CUDA_PROBE_BLOCK_COUNT_MAX]; /* whole tiles are read, the rest is not */
};

/* What a call reads, in bytes. */
uint64_t es_cuda_probe_bytes(const struct es_cuda_probe *probe);

/* `sink` is one device word that is practically never written: it keeps the reads. */
ES_MUST_CHECK enum es_status es_cuda_probe_read(struct es_cuda *cuda,
                                                const struct es_cuda_probe *probe, uint32_t *sink,
                                                struct es_error *error);

#ifdef __cplusplus
}
#endif
