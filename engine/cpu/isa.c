#include "engine/cpu/kernel_set.h"
#include "platform/assert.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const struct es_kernel_set *set_of(enum es_isa isa) {
    switch (isa) {
    case ES_ISA_PORTABLE:
        return &es_kernels_portable;
#if defined(__x86_64__)
    case ES_ISA_AVX2:
        return &es_kernels_avx2;
    case ES_ISA_AVX512:
        return &es_kernels_avx512;
#endif
#if defined(__aarch64__)
    case ES_ISA_NEON:
        return &es_kernels_neon;
#endif
    default:
        return NULL;
    }
}

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks the operating system whether it keeps the registers, but not
 * every compiler's knows "f16c": CPUID leaf 1, ECX bit 29. */
static bool has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

bool es_isa_available(enum es_isa isa) {
    if (set_of(isa) == NULL) {
        return false;
    }
#if defined(__x86_64__)
    if (isa == ES_ISA_AVX2) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    }
    if (isa == ES_ISA_AVX512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    }
#endif
    return true;
}

/* -1 until the first use. Every thread that races here stores the same value. */
static _Atomic int current = -1;

enum es_isa es_isa_current(void) {
    int isa = atomic_load_explicit(&current, memory_order_relaxed);
    if (isa < 0) {
        static const enum es_isa best_first[] = {ES_ISA_AVX512, ES_ISA_AVX2, ES_ISA_NEON,
                                                 ES_ISA_PORTABLE};
        for (uint32_t i = 0; isa < 0; i++) {
            if (es_isa_available(best_first[i])) {
                isa = (int)best_first[i];
            }
        }
        atomic_store_explicit(&current, isa, memory_order_relaxed);
    }
    return (enum es_isa)isa;
}

void es_isa_force(enum es_isa isa) {
    ES_ASSERT(es_isa_available(isa));
    atomic_store_explicit(&current, (int)isa, memory_order_relaxed);
}

const char *es_isa_name(enum es_isa isa) {
    static const char *const names[] = {"portable", "avx2", "avx512", "neon"};
    return names[isa];
}

const struct es_kernel_set *es_kernel_set_current(void) {
    return set_of(es_isa_current());
}
