/* cuda_green.h - a context that owns a few of the GPU's multiprocessors.
 *
 *   status = es_cuda_green_open(cuda, 8, error);      cuda->stream, sm_count and green_context
 *   es_cuda_green_close(cuda);                        after the stream
 *
 * Green contexts are the driver's, from 12.5 on; the functions are asked for by name, so that the
 * program needs no driver to start. Internal to platform/jetson. */
#pragma once

#include "platform/jetson/cuda.h"

ES_MUST_CHECK enum es_status es_cuda_green_open(struct es_cuda *cuda, uint32_t sm_count,
                                                struct es_error *error);
void es_cuda_green_close(struct es_cuda *cuda);
