/* cuda.h - the CUDA device: found once, every call checked.
 *
 *   struct es_cuda cuda;
 *   status = es_cuda_open(&cuda, es_cuda_runtime(), &error);    no driver, too old, no BF16: says
 *   es_cuda_provider(&cuda, &provider);                         for es_arena_reserve_with
 *   status = es_cuda_memory_take(&cuda, ES_MEM_DEVICE, bytes, &pointer, &error);
 *   status = es_cuda_launch(&cuda, &kernel, &grid, args, &error);
 *   es_cuda_close(&cuda);
 *
 * Nothing outside this folder calls the CUDA runtime by name: all calls go through a table
 * (cuda_calls.h), so that tests can fail each one in turn, on a machine without a GPU too. A call
 * that fails becomes a status that names the operation, its sizes and CUDA's own words. After an
 * error that CUDA calls sticky (a fault in a kernel, a lost device) every further call fails at
 * once with ES_ERR_HARDWARE: the process must end. One thread at a time (main until the freeze,
 * then the engine thread). */
#pragma once

#include "platform/arena.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct es_cuda_calls; /* the runtime's functions that are used, or a test's */

struct es_cuda {
    const struct es_cuda_calls *calls; /* borrowed */
    int device;
    char name[256];
    uint32_t compute_capability;     /* 87: Orin, 90: Hopper, 110: Thor */
    uint32_t sm_count;               /* of the context that the stream belongs to */
    uint32_t shared_block_bytes_max; /* shared memory that one block may ask for */
    size_t l2_bytes;
    size_t memory_bytes; /* of the device; of the whole board on an integrated GPU */
    bool is_integrated;
    bool has_unified_memory;    /* cudaMallocManaged works at all */
    bool has_concurrent_access; /* false on Orin: managed memory is attached to the stream, and the
                                 * CPU must not touch any while the GPU runs */
    bool has_dependent_launch;  /* programmatic dependent launch, from 90 on; tests switch it off */
    void *stream;               /* cudaStream_t: everything is enqueued here */
    void *green_context;        /* tests with fewer SMs; NULL in the product */
    void *green_destroy;        /* the driver's function that ends it */
    bool is_recording;          /* between es_cuda_graph_begin and its end */
    bool is_lost;               /* a sticky error was seen: every call fails from now on */
    struct es_cuda_watch *watch; /* borrowed: a benchmark's; NULL in the product */
    int driver_version;          /* 13000: CUDA 13.0 is the newest that the driver knows */
    int runtime_version;
    size_t context_bytes; /* what opening it took; on a GPU of its own other programs' share, too */
};

/* The table that calls the CUDA runtime itself. */
const struct es_cuda_calls *es_cuda_runtime(void);

/* Picks device 0, checks driver and compute capability (BF16 needs 80) and makes the stream
 * (blocking synchronization: the default may spin a core). Kernels are loaded one by one, with
 * es_cuda_kernel_load, not by CUDA_MODULE_LOADING=EAGER: that would load every kernel of cuBLAS,
 * too, hundreds of MB of which a handful are used, and would have to be set in the environment.
 * After a failure nothing is left open; es_cuda_close is allowed, and does nothing. */
ES_MUST_CHECK enum es_status es_cuda_open(struct es_cuda *cuda, const struct es_cuda_calls *calls,
                                          struct es_error *error);

/* The same on at least `sm_count` SMs of the device (a green context), for tests: what a small
 * board would compute. ES_ERR_HARDWARE where driver or device cannot. cuda->sm_count says what it
 * is. */
ES_MUST_CHECK enum es_status es_cuda_open_partly(struct es_cuda *cuda,
                                                 const struct es_cuda_calls *calls,
                                                 uint32_t sm_count, struct es_error *error);
void es_cuda_close(struct es_cuda *cuda);

/* -- memory (boot only) ------------------------------------------------------------------------ */

/* One block of a kind: device, shared (pinned and mapped; the same address on both sides), unified
 * (managed; attached to the stream where the GPU is integrated). Not zeroed. */
ES_MUST_CHECK enum es_status es_cuda_memory_take(struct es_cuda *cuda, enum es_mem_kind kind,
                                                 size_t bytes, void **memory,
                                                 struct es_error *error);
void es_cuda_memory_give_back(struct es_cuda *cuda, enum es_mem_kind kind, void *memory);

/* What is left: of the device; of the board (MemAvailable) where the GPU is integrated. */
ES_MUST_CHECK enum es_status es_cuda_memory_available(struct es_cuda *cuda, size_t *bytes,
                                                      struct es_error *error);

/* What CUDA holds beside the plan: its context, kernels, graphs, cuBLAS. */
struct es_cuda_overhead {
    int64_t context_bytes; /* as opening found it; where the GPU has memory of its own, everything
                            * that was in use then, by other programs, too */
    int64_t later_bytes;   /* since then, beside what `arena` took; negative: others gave back */
};

/* Measured: call it after warm-up, and again to see that it stays. On an integrated GPU the page
 * cache and other programs move the figure by some MB. */
ES_MUST_CHECK enum es_status es_cuda_measure_overhead(struct es_cuda *cuda,
                                                      const struct es_arena *arena,
                                                      struct es_cuda_overhead *overhead,
                                                      struct es_error *error);

/* What es_arena_reserve_with wants: takes from this device and zeroes, on the GPU's side what is
 * the GPU's. The provider borrows `cuda`, which must outlive the arena. */
void es_cuda_provider(struct es_cuda *cuda, struct es_memory_provider *provider);

/* -- work on the stream, in order; all of it can be captured ----------------------------------- */

enum es_cuda_direction { ES_CUDA_TO_DEVICE, ES_CUDA_TO_HOST, ES_CUDA_WITHIN_DEVICE };

ES_MUST_CHECK enum es_status es_cuda_copy(struct es_cuda *cuda, void *target, const void *source,
                                          size_t bytes, enum es_cuda_direction direction,
                                          struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_fill(struct es_cuda *cuda, void *target, int byte,
                                          size_t bytes, struct es_error *error);

struct es_cuda_kernel {
    const void *function; /* the __global__ function's address */
    const char *name;     /* in errors and in the benchmark */
};

struct es_cuda_grid {
    uint32_t block_count;   /* x */
    uint32_t block_count_y; /* 0 means 1 */
    uint32_t thread_count;  /* of a block */
    size_t shared_bytes;    /* dynamic; es_cuda_kernel_allow first where above 48 KiB */
    bool is_dependent;      /* may start before its predecessor ended: it waits itself, with
                             * es_grid_wait (engine/cuda/grid.cuh), before it reads others' results
                             * */
    uint64_t moved_bytes;   /* what it must read and write at least, of weights and caches: the
                             * benchmark divides by it. 0 where it is next to nothing */
};

ES_MUST_CHECK enum es_status es_cuda_launch(struct es_cuda *cuda,
                                            const struct es_cuda_kernel *kernel,
                                            const struct es_cuda_grid *grid, void **args,
                                            struct es_error *error);

#define ES_CUDA_WATCH_COUNT_MAX 48u

/* Lists what is launched, by kernel and bytes, or lets one entry of the list through alone: a
 * benchmark times every operation by itself without knowing the order of the stages. */
struct es_cuda_watch {
    struct es_cuda_watched {
        const char *name; /* the kernel's */
        uint64_t moved_bytes;
        uint32_t launch_count; /* while listing */
    } kernels[ES_CUDA_WATCH_COUNT_MAX];
    uint32_t kernel_count;
    bool is_choosing; /* launches of kernels[chosen] alone are done */
    uint32_t chosen;
};

/* Loads a kernel's code now instead of at its first launch, so that memory for it is taken before
 * the freeze and code that lacks for this GPU is found at boot. Not while a graph is recorded. */
ES_MUST_CHECK enum es_status es_cuda_kernel_load(struct es_cuda *cuda,
                                                 const struct es_cuda_kernel *kernel,
                                                 struct es_error *error);

/* Lets a kernel ask for this much dynamic shared memory; loads it, too. Boot only. */
ES_MUST_CHECK enum es_status es_cuda_kernel_allow(struct es_cuda *cuda,
                                                  const struct es_cuda_kernel *kernel,
                                                  size_t shared_bytes, struct es_error *error);

/* Waits until everything enqueued has run; errors of kernels surface here. */
ES_MUST_CHECK enum es_status es_cuda_wait(struct es_cuda *cuda, struct es_error *error);

/* -- graphs (captured at boot, launched after) ------------------------------------------------- */

struct es_cuda_graph {
    void *executable; /* cudaGraphExec_t; NULL before es_cuda_graph_end */
    uint32_t node_count;
};

/* Between the two, what is enqueued is recorded instead of run. A failure in between: call
 * es_cuda_graph_abandon. es_cuda_graph_end instantiates and uploads; `name` for errors. */
ES_MUST_CHECK enum es_status es_cuda_graph_begin(struct es_cuda *cuda, struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_graph_end(struct es_cuda *cuda, struct es_cuda_graph *graph,
                                               const char *name, struct es_error *error);
void es_cuda_graph_abandon(struct es_cuda *cuda);
ES_MUST_CHECK enum es_status es_cuda_graph_launch(struct es_cuda *cuda,
                                                  const struct es_cuda_graph *graph,
                                                  struct es_error *error);
void es_cuda_graph_close(struct es_cuda *cuda, struct es_cuda_graph *graph);

/* -- events: order and time -------------------------------------------------------------------- */

struct es_cuda_event {
    void *event; /* cudaEvent_t */
};

ES_MUST_CHECK enum es_status es_cuda_event_open(struct es_cuda *cuda, struct es_cuda_event *event,
                                                bool has_time, struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_event_record(struct es_cuda *cuda,
                                                  const struct es_cuda_event *event,
                                                  struct es_error *error);
/* Blocks the calling thread until what was enqueued before the record has run. */
ES_MUST_CHECK enum es_status
es_cuda_event_wait(struct es_cuda *cuda, const struct es_cuda_event *event, struct es_error *error);
ES_MUST_CHECK enum es_status es_cuda_event_elapsed_ms(struct es_cuda *cuda,
                                                      const struct es_cuda_event *first,
                                                      const struct es_cuda_event *last,
                                                      float *elapsed_ms, struct es_error *error);
void es_cuda_event_close(struct es_cuda *cuda, struct es_cuda_event *event);

#ifdef __cplusplus
}
#endif
