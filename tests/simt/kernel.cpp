#include "tests/simt/kernel.h"

#include <deque>

namespace simt {

static std::deque<kernel> kernels; /* whose addresses stay */

const void *kernel_register(const kernel &described) {
    for (kernel &kernel : kernels) {
        if (kernel.function == described.function) {
            return &kernel;
        }
    }
    kernels.push_back(described);
    return &kernels.back();
}

kernel *kernel_find(const void *function) {
    for (kernel &kernel : kernels) {
        if (&kernel == function) {
            return &kernel;
        }
    }
    return nullptr;
}

} // namespace simt
