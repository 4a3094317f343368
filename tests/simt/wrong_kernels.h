/* wrong_kernels.h - kernels with one mistake each, that the simulated GPU finds.
 *
 *   es_cuda_launch(cuda, wrong_kernel(WRONG_BARRIER), &grid, args, &error);
 *
 * All take one parameter: numbers [64] of the device. 64 threads. */
#pragma once

#include "platform/jetson/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

enum wrong_kernel_id {
    WRONG_BARRIER,     /* half of the block waits at one barrier, half at another */
    WRONG_RETURN,      /* a thread has ended where the others wait for it */
    WRONG_SHUFFLE,     /* lanes of one warp in different instructions */
    WRONG_ADDRESS,     /* ldmatrix beyond its variable */
    WRONG_COPY,        /* asynchronous copies that nobody waits for */
    WRONG_POLL,        /* waits for a store that nobody makes */
    WRONG_NEIGHBOUR,   /* numbers[i] = shared[i ^ 32] without a barrier */
    WRONG_UNSET,       /* numbers[i] = shared memory that nobody wrote */
    WRONG_UNWAITED,    /* numbers[i] = what a copy on its way will bring, read too early */
    FIRST_OF_TWO,      /* numbers[i] += 1, right */
    WRONG_EARLY,       /* launched as dependent: reads numbers[i] first, waits then, doubles it */
    WRONG_INDEPENDENT, /* launched as dependent, and never waits */
    WRONG_KERNEL_COUNT
};

const struct es_cuda_kernel *wrong_kernel(enum wrong_kernel_id id);

#ifdef __cplusplus
}
#endif
