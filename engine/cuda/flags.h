/* flags.h - what a kernel's flag means to a person.
 *
 *   if (output->flags != 0) { return es_cuda_flags_fail(output->flags, position, error); } */
#pragma once

#include "platform/status.h"

#include <stdint.h>

/* ES_ERR_INPUT with the first flag's meaning (enum es_cuda_flag of ops.h) and the decoder position
 * at which it came back. `flags` must not be 0. */
enum es_status es_cuda_flags_fail(uint32_t flags, uint64_t position, struct es_error *error);
