/* fake_cuda.h - CUDA over host memory: for tests on machines without a GPU.
 *
 *   const struct es_cuda_calls *calls = fake_cuda_start(NULL);      a discrete GPU, all is well
 *   fake_cuda_fail(3, cudaErrorIllegalAddress);                     the third call from here fails
 *   status = es_cuda_open(&cuda, calls, &error);
 *   ES_EXPECT_EQ(fake_cuda_open_count(), 0);                        nothing leaks
 *
 * Memory is the host's, tracked, and poisoned when taken. Copies and fills are real but late: they
 * run at the latest moment that CUDA allows (a synchronization, a wait for an event, a free), so
 * that a source that is overwritten too early shows. Kernels do nothing unless a hook does. What is
 * captured is recorded, and run by each launch of its graph. One device, one thread. */
#pragma once

#include "platform/jetson/cuda_calls.h"
#include "platform/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fake_cuda_device {
    const char *name;
    int compute_capability; /* 90 */
    int sm_count;
    bool is_integrated;
    bool has_managed_memory;
    bool has_concurrent_access;
    bool has_green_contexts;
    size_t memory_bytes;
    size_t single_bytes_max; /* a larger block is refused, as one Jetson driver does; 0: none is */
    int device_count;
    int driver_version; /* 0: no driver */
    int runtime_version;
};

/* An H200 in small, and an Orin. */
extern const struct fake_cuda_device fake_cuda_discrete;
extern const struct fake_cuda_device fake_cuda_integrated;

/* Forgets everything and is this device from now on (NULL: the discrete one). */
const struct es_cuda_calls *fake_cuda_start(const struct fake_cuda_device *device);

/* Call number `index` from now on (from 1; 0 for none) answers `result` and does nothing. */
void fake_cuda_fail(uint32_t index, cudaError_t result);

/* Allocation number `index` from now on (from 1; 0 for none) finds no memory. */
void fake_cuda_fail_allocation(uint32_t index);

/* Called for every kernel, at its launch (not while capturing) and at its graph's. NULL for none.
 * */
void fake_cuda_set_kernel(void (*run)(const void *function, void **args));

/* Work of the test's own on the stream, in its place among copies and fills, and recorded while
 * capturing: `run` gets a copy of `work`, and that of the work right behind it if its `run` is the
 * same, else NULL. */
void fake_cuda_enqueue(void (*run)(void *work, void *next), const void *work, size_t bytes);

uint32_t fake_cuda_call_count(void);       /* since the start, or the last fake_cuda_fail */
const char *fake_cuda_failed_call(void);   /* the field of es_cuda_calls that failed; "" if none */
uint32_t fake_cuda_calls_when_lost(void);  /* made after a sticky error was answered */
uint32_t fake_cuda_open_count(void);       /* allocations, streams, events, graphs, contexts */
uint32_t fake_cuda_allocation_count(void); /* that were ever made */
size_t fake_cuda_asked_bytes(enum es_mem_kind kind); /* of live allocations */
uint32_t fake_cuda_launch_count(void);               /* kernels, in graphs too */
unsigned int fake_cuda_device_flags(void);           /* as given to init_device */

/* The live allocation that holds the address has this kind; ES_MEM_HOST for none. */
enum es_mem_kind fake_cuda_kind_of(const void *memory);
bool fake_cuda_is_attached(const void *memory); /* managed, and attached to the stream */

#ifdef __cplusplus
}
#endif
