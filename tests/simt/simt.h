/* simt.h - a simulated GPU: the kernels themselves, compiled for the CPU, behind CUDA's calls.
 *
 *   const struct es_cuda_calls *calls = simt_start(NULL);          2 SMs, blocks in rising order
 *   status = es_cuda_open(&cuda, calls, &error);                   and all else as on a GPU
 *   simt_start(&(struct simt_setup){.sm_count = 7, .is_backward = true});
 *
 * A test of a new kernel is written as for a GPU (tests/engine_cuda/device_rig.h), and registered
 * with es_gpu_test: it is then built twice, for both. What the kernel file must do for it:
 *
 *   - shared memory by ES_SHARED, kernels by ES_KERNEL (engine/cuda/kernel.cuh);
 *   - an instruction that C++ has no word for is a function of engine/cuda/ptx.cuh, with a twin in
 *     tests/simt/include/engine/cuda/ptx.cuh;
 *   - a loop that waits for another block polls with such a function (a twin that reads a flag
 *     calls simt::poll first), with __ldcv, __nanosleep or an atomic: each lets all others run.
 *
 * Blocks: sm_count of them, times resident_per_sm, are alive at once and take turns where they wait
 * or poll; a cooperative launch of more is refused. The stream is that of fake_cuda.h: late, in
 * order, and graphs replay. A kernel that is launched as dependent begins before the one before it
 * has begun, and stops in es_grid_wait until that one has ended.
 *
 * A kernel that goes wrong (threads that wait for each other, lanes that meet in different
 * instructions, an instruction with a bad address) fails the next synchronization, with kernel,
 * block, threads and places in CUDA's words; the device is lost then, as a GPU would be. Tests
 * alone, one thread. */
#pragma once

#include "platform/jetson/cuda_calls.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct simt_setup {
    uint32_t sm_count;           /* 0: 2 */
    uint32_t resident_per_sm;    /* 0: 2 */
    bool is_backward;            /* lanes, warps and blocks from the last to the first */
    uint32_t compute_capability; /* 0: 90; below it nothing begins early */
};

/* Forgets everything and is this device from now on (NULL: all zeros). Static storage. */
const struct es_cuda_calls *simt_start(const struct simt_setup *setup);

/* From now on warp number `warp` of every block is slow: what it waits for by polling it finds
 * after all others have gone as far as they can without it. UINT32_MAX: none is. */
void simt_delay(uint32_t warp);

#ifdef __cplusplus
}
#endif
