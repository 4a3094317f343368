#include "tests/simt/fiber.h"

#include <boost/context/detail/fcontext.hpp>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES ((size_t)256 << 10)
#else
#define STACK_BYTES ((size_t)64 << 10)
#endif
#define GUARD_BYTES ((size_t)4096)
#define STACK_COUNT 256u /* that are mapped together */

namespace simt {

/* Before and behind each switch; a fiber that has just begun has nothing to restore. */
static void leave(fiber &from, const fiber &to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.sanitizer, to.stack, to.stack_bytes);
#else
    (void)from;
    (void)to;
#endif
}

static void enter(void *sanitizer, fiber &from) {
#if defined(__SANITIZE_ADDRESS__)
    const void *stack = nullptr;
    size_t stack_bytes = 0;
    __sanitizer_finish_switch_fiber(sanitizer, &stack, &stack_bytes);
    if (from.stack == nullptr) { /* the program's own: known from now on */
        from.stack = const_cast<void *>(stack);
        from.stack_bytes = stack_bytes;
    }
#else
    (void)sanitizer;
    (void)from;
#endif
}

static void (*next_run)(); /* of the fiber that begins */

static void begin(boost::context::detail::transfer_t transfer) {
    fiber &from = *static_cast<fiber *>(transfer.data);
    from.context = transfer.fctx;
    enter(nullptr, from);
    next_run();
    abort();
}

/* Many at a time, each above a page that faults. */
static void *new_stack() {
    static char *next;
    static uint32_t left_count;
    if (left_count == 0) {
        void *memory =
            mmap(nullptr, STACK_COUNT * (GUARD_BYTES + STACK_BYTES), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        next = memory != MAP_FAILED ? static_cast<char *>(memory) : nullptr;
        left_count = STACK_COUNT;
    }
    if (next == nullptr || mprotect(next, GUARD_BYTES, PROT_NONE) != 0) {
        fprintf(stderr, "simulated GPU: no memory for a thread's stack\n");
        abort();
    }
    char *stack = next + GUARD_BYTES;
    next = stack + STACK_BYTES;
    left_count--;
    return stack;
}

void fiber_prepare(fiber &fiber, void (*run)()) {
    if (fiber.stack == nullptr) {
        fiber.stack = new_stack();
        /* Tops that lie at one place of their pages would share a few lines of the cache. */
        static uint32_t count;
        fiber.stack_bytes = STACK_BYTES - 64u * (count++ % 61u);
    }
    next_run = run; /* all fibers of the simulation run the same */
    fiber.context = boost::context::detail::make_fcontext(
        static_cast<char *>(fiber.stack) + fiber.stack_bytes, fiber.stack_bytes, begin);
}

void fiber_switch(fiber &from, fiber &to) {
    leave(from, to);
    const boost::context::detail::transfer_t transfer =
        boost::context::detail::jump_fcontext(to.context, &from);
    fiber &before = *static_cast<fiber *>(transfer.data);
    before.context = transfer.fctx;
    enter(from.sanitizer, before);
}

} // namespace simt
