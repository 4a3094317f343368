/* kernel.h - a __global__ function that can be called without knowing its parameters.
 *
 *   const void *function = simt::kernel_of("norm", norm_rows);     what a launch is given
 *   simt::kernel *kernel = simt::kernel_find(function);            NULL: it is none */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <type_traits>
#include <utility>

namespace simt {

#define SIMT_PARAMETER_COUNT_MAX 8u

struct kernel {
    void (*function)();
    const char *name;
    void (*call)(void (*function)(), void *const *parameters);
    size_t parameter_count;
    size_t parameter_bytes[SIMT_PARAMETER_COUNT_MAX];
    size_t dynamic_bytes_max; /* of shared memory; what cudaFuncSetAttribute allows */
};

/* The same for the same function, for ever. */
const void *kernel_register(const kernel &described);
kernel *kernel_find(const void *function);

/* Static, because parameters of one name are not one type: each .cu file has its own. */
template <class... Parameters, size_t... Index>
static inline void kernel_call(void (*function)(Parameters...), void *const *parameters,
                               std::index_sequence<Index...>) {
    (void)parameters;
    function(*static_cast<std::remove_cv_t<Parameters> *>(parameters[Index])...);
}

template <class... Parameters>
static inline const void *kernel_of(const char *name, void (*function)(Parameters...)) {
    static_assert(sizeof...(Parameters) <= SIMT_PARAMETER_COUNT_MAX, "more parameters than kept");
    kernel described = {reinterpret_cast<void (*)()>(function),
                        name,
                        [](void (*erased)(), void *const *parameters) {
                            kernel_call(reinterpret_cast<void (*)(Parameters...)>(erased),
                                        parameters, std::index_sequence_for<Parameters...>());
                        },
                        sizeof...(Parameters),
                        {sizeof(Parameters)...},
                        (size_t)48 << 10};
    return kernel_register(described);
}

template <class Type> using same = Type;

} // namespace simt
