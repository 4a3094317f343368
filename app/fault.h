/* fault.h - when this process dies by a fault, its LEDs go dark first: they never lie.
 *
 *   es_fault_install();          asserts and deadly signals: dark, then as they would have been
 *
 * A released line may stay lit on some boards: a crash would then show "listening" until somebody
 * looks. Main thread, once. */
#pragma once

void es_fault_install(void);
