/* interrupt.h - SIGINT and SIGTERM: the first asks for the end, the second is the end.
 *
 *   es_interrupt_install();          at start: the first signal ends the program with 130
 *   es_interrupt_make_graceful();    from here on the first one only raises the flag
 *   while (!es_interrupt_came()) { ... }
 *
 * A blocking read returns EINTR when the signal comes; one that was about to block is woken by an
 * alarm a second later. SIGPIPE is ignored: a closed pipe is a failed write (output.h). */
#pragma once

#include <stdbool.h>

void es_interrupt_install(void);
void es_interrupt_make_graceful(void);
bool es_interrupt_came(void);
/* The one that came was SIGTERM: a service manager's, not a person's. */
bool es_interrupt_was_polite(void);

/* For a program that goes on for ever: what a signal that ends everything (the first one before
 * es_interrupt_make_graceful, the second one after) does first. Async-signal-safe; also makes
 * SIGHUP a flag instead of the end, and a SIGTERM that comes first exit with 0. */
void es_interrupt_set_last_act(void (*act)(void));
/* True once after each SIGHUP. */
bool es_interrupt_take_hangup(void);
