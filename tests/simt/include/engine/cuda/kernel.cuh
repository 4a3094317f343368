/* kernel.cuh - the product's header of this name, for the simulated GPU: a kernel is called, and
 * its block's memory is taken from the block that runs. */
#pragma once

#include "platform/jetson/cuda.h"
#include "tests/simt/kernel.h"
#include "tests/simt/shared.h"

#define ES_KERNEL(name, ...)                                                                       \
    { simt::kernel_of(name, __VA_ARGS__), name }
#define ES_SHARED(type, name) ES_SHARED_ALIGNED(alignof(simt::same<type>), type, name)
#define ES_SHARED_ALIGNED(bytes, type, name)                                                       \
    static char name##_key;                                                                        \
    auto &name = *static_cast<simt::same<type> *>(                                                 \
        simt::shared_memory(&name##_key, sizeof(simt::same<type>), bytes))
#define ES_SHARED_DYNAMIC(type, name) type *const name = static_cast<type *>(simt::shared_dynamic())
