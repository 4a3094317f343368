/* gpu.h - the GPU that a test runs on: the machine's, or a simulated one (tests/simt).
 *
 *   status = gpu_open(&cuda, 0, &error);                 all SMs; or as few as one asks for
 *   if (gpu_is_simulated()) { ... fewer sizes ... }
 *   gpu_expect_real();                                   skips what only hardware can answer
 *
 * A test program is built once for each (es_gpu_test): gpu_real.c or gpu_simulated.c. */
#pragma once

#include "platform/jetson/cuda.h"

/* Anything that keeps it from being opened is a status, as es_cuda_open gives it. */
ES_MUST_CHECK enum es_status gpu_open(struct es_cuda *cuda, uint32_t sm_count,
                                      struct es_error *error);
bool gpu_is_simulated(void);

/* The next one runs its lanes, warps and blocks from the last to the first. Of hardware that cannot
 * be asked: nothing. */
void gpu_reverse(void);

/* From now on this warp of every block is slow, so that the others run as far ahead of it as they
 * may; UINT32_MAX: none is. Of hardware that cannot be asked: nothing. */
void gpu_delay(uint32_t warp);
void gpu_expect_real(void);
