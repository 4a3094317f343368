/* shared.h - a block's shared memory: poisoned, guarded, and addressed as instructions do.
 *
 *   float *sums = static_cast<float *>(simt::shared_memory(&key, bytes, 4));     the block's own
 *   uint32_t address = simt::shared_offset(sums);                                of 32 bits
 *
 * All ones before the block begins. A key names a variable: the same for all threads of a block.
 * AddressSanitizer sees what lies between variables as out of bounds. */
#pragma once

#include "tests/simt/grid.h"

namespace simt {

/* -- the kernel's side */

void *shared_memory(const void *key, size_t bytes, size_t align_bytes);
void *shared_dynamic();
size_t shared_offset(const void *memory);

/* The bytes at an offset, which must lie within one variable and be aligned to their number. */
void *shared_at(uint32_t offset, size_t bytes, const char *what);

/* -- the host's side */

void shared_open(block &block);
void shared_begin(block &block, size_t dynamic_bytes);

} // namespace simt
