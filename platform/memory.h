/* memory.h - how much memory the machine can still give this process.
 *
 *   if (es_memory_available_bytes() < needed_bytes) { refuse with both numbers; } */
#pragma once

#include <stddef.h>

/* The kernel's MemAvailable, or what the process's cgroup v2 still allows where that is less; 0
 * when the kernel does not say. Reads /proc and /sys: not for the path after the freeze. */
size_t es_memory_available_bytes(void);

/* The same, with `root` before /proc and /sys ("" for the real ones): for tests. */
size_t es_memory_available_under(const char *root);

/* What of this process lies in RAM (VmRSS), in bytes; 0 when the kernel does not say. Allocates
 * nothing. */
size_t es_memory_resident_bytes(void);
