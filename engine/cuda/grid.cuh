/* grid.cuh - a kernel that starts before its predecessor has ended.
 *
 *   es_grid_release();          first thing: the next kernel may start as soon as there is room
 *   ... load weights, which nobody writes ...
 *   es_grid_wait();             before the first read of what an earlier kernel wrote, and before
 *                               the first write
 *
 * Programmatic dependent launch, from compute capability 9.0 on; on older chips, and when a kernel is
 * launched without es_cuda_grid.is_dependent, both are nothing and the stream's order holds. Every
 * kernel that is launched so must wait, even if it reads nothing: its successor relies on that.
 *
 * As each kernel releases before it waits, what stands before a wait may run beside any earlier
 * kernel back to the last one that was launched in full order. The first kernel of an encoder run
 * (mel.cu) and of a decoder run (embed.cu) is. So what no kernel of a run writes but its last, the
 * stream's counters, and what only earlier runs wrote, older keys and values, may be read before
 * the wait. */
#pragma once

#include "engine/cuda/ptx.cuh"

__device__ __forceinline__ void es_grid_release() {
    es_ptx_launch_dependents();
}

__device__ __forceinline__ void es_grid_wait() {
    es_ptx_wait_dependency();
}
