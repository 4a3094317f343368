/* fiber.h - threads of control that hand over to one another, over Boost.Context.
 *
 *   simt::fiber mine, other;
 *   simt::fiber_prepare(other, run);           other begins in run() when it is switched to
 *   simt::fiber_switch(mine, other);           returns when somebody switches back to `mine`
 *
 * One operating system thread. Stacks are kept from one use to the next, with a page below each
 * that faults. AddressSanitizer is told of each switch. */
#pragma once

#include <stddef.h>

namespace simt {

struct fiber {
    void *context = nullptr;
    void *stack = nullptr; /* lowest address; NULL: the program's own stack, or none yet */
    size_t stack_bytes = 0;
    void *sanitizer = nullptr;
};

/* Takes a stack where there is none. What ran on it before is forgotten where it stood. `run` must
 * not return. */
void fiber_prepare(fiber &fiber, void (*run)());
void fiber_switch(fiber &from, fiber &to);

} // namespace simt
