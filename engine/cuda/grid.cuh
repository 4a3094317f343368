/* grid.cuh - a kernel that starts before its predecessor has ended.
 *
 *   es_grid_release();          first thing: the next kernel may start as soon as there is room
 *   ... load weights, which nobody writes ...
 *   es_grid_wait();             before the first read of what an earlier kernel wrote, and before
 *                               the first write
 *
 * Programmatic dependent launch, from compute capability 9.0 on; on older chips, and when a kernel is
 * launched without es_cuda_grid.is_dependent, both are nothing and the stream's order holds. Every
 * kernel that is launched so must wait, even if it reads nothing: its successor relies on that. */
#pragma once

__device__ __forceinline__ void es_grid_release() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ void es_grid_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
