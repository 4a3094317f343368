/* cuda_check.h - the one wrapper that every CUDA call of this folder goes through.
 *
 *   return ES_CUDA_TRY(cuda, error, event_record(event->event, cuda->stream), "event: recording");
 *
 * What follows the call says what was tried, with its sizes. A call is not made at all after a
 * sticky error. Internal to platform/jetson. */
#pragma once

#include "platform/jetson/cuda.h"
#include "platform/jetson/cuda_calls.h"

/* `call` is written as on the table, without the arrow before it. */
#define ES_CUDA_TRY(cuda, error, call, ...)                                                        \
    ((cuda)->is_lost ? es_cuda_refuse(error, __VA_ARGS__)                                          \
                     : es_cuda_check(cuda, error, (cuda)->calls->call, __VA_ARGS__))

/* For what is given back: nobody could do anything about a failure, but a lost device is noted. */
#define ES_CUDA_DROP(cuda, call)                                                                   \
    ((cuda)->is_lost ? (void)0 : es_cuda_note(cuda, (cuda)->calls->call))

/* ES_OK, or ES_ERR_HARDWARE with the operation, CUDA's own words and what to do. */
ES_MUST_CHECK enum es_status es_cuda_check(struct es_cuda *cuda, struct es_error *error,
                                           cudaError_t result, const char *format, ...)
    ES_PRINTF(4, 5);

/* ES_ERR_HARDWARE: not tried, because the device is lost. */
ES_MUST_CHECK enum es_status es_cuda_refuse(struct es_error *error, const char *format, ...)
    ES_PRINTF(2, 3);

/* Notes whether a result is sticky, and makes the runtime forget it where it is not. */
void es_cuda_note(struct es_cuda *cuda, cudaError_t result);
