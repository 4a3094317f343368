/* ptx_kernels.h - small kernels with known answers: what the instructions of ptx.cuh do.
 *
 *   void *args[] = {&a, &b, &out};
 *   es_cuda_launch(cuda, ptx_kernel(PTX_PRODUCT_BF16), &grid, args, &error);
 *
 * They run on hardware and on the simulated GPU, so that the second does what the first does. */
#pragma once

#include "platform/jetson/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ptx_kernel_id {
    PTX_PRODUCT_BF16, /* (a [16, 16], b [16, 8], out [16, 8] f32), 32 threads */
    PTX_PRODUCT_F16,
    PTX_LANES,    /* (out [PTX_LANES_COUNT, 32] uint32), 32 threads */
    PTX_BARRIERS, /* (out [128] uint32), 128 threads */
    PTX_EX2,      /* (in [32], out [32]), 32 threads */
    PTX_MEETING,  /* (counter: 0, values [blocks], out [blocks]), 64 threads, all blocks alive */
    PTX_KERNEL_COUNT
};
#define PTX_LANES_COUNT 6u

const struct es_cuda_kernel *ptx_kernel(enum ptx_kernel_id id);

#ifdef __cplusplus
}
#endif
