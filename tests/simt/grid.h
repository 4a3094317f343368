/* grid.h - a kernel's threads as fibers: blocks, barriers, shared memory, and who runs next.
 *
 *   simt::grid *grid = simt::grid_start(launch);         nothing has run yet
 *   is_done = simt::grid_run(*grid);                     all of it; false: simt::failure() says why
 *
 * One thread runs at a time, until it waits. A warp's lanes run one after the other to where they
 * wait, then the next warp, then the next block: always in the same order, forwards or backwards
 * (options.is_backward). As many blocks are alive at once as `resident` says; a new one begins when
 * one has ended, or when all of them wait or poll. When nobody can run any more, or polling goes on
 * for too long, that is a failure, which says who waits where.
 *
 * Shared memory is all ones (NaN) before a block begins, and guarded under AddressSanitizer. */
#pragma once

#include "tests/simt/fiber.h"
#include "tests/simt/kernel.h"

#include <cuda_runtime_api.h>
#include <vector>

namespace simt {

#define SIMT_WARP_COUNT_MAX 32u
#define SIMT_BARRIER_COUNT 16u
#define SIMT_SHARED_BYTES ((size_t)256 << 10) /* of a block; no GPU has more */
#define SIMT_SHARED_COUNT_MAX 16u             /* variables of a block */
#define SIMT_COPY_COUNT_MAX 64u               /* asynchronous copies of a thread on their way */
#define SIMT_MEETING_COUNT_MAX 4u             /* parts of a warp that meet on their own */

/* Where in a kernel a thread stands; every word that may wait takes it from its caller. */
struct place {
    const char *file;
    int line;
};
#define SIMT_PLACE simt::place place = {__builtin_FILE(), __builtin_LINE()}

struct copy {
    uint32_t to;
    const void *from; /* NULL: zeros */
    uint32_t group;
};

struct thread {
    uint3 index;
    uint32_t lane;
    struct warp *warp;
    struct block *block;
    simt::fiber fiber;
    /* what it waits for: "" while it runs, NULL when it has ended */
    const char *waits_for;
    simt::place place;
    uint32_t barrier; /* that it waits at, plus 1; 0: none */
    uint32_t poll_count;
    copy copies[SIMT_COPY_COUNT_MAX];
    uint32_t copy_count, copy_group;
};

/* Lanes that execute one instruction together. */
struct meeting {
    uint32_t wanted, arrived; /* lanes; arrived 0: free */
    const char *what;
    void (*act)(void *const *operands, uint32_t present);
};

struct warp {
    struct block *block;
    uint32_t number, first_thread;
    uint32_t all, present; /* lanes; those that have not ended */
    uint32_t runnable;     /* lanes that wait for their turn alone */
    uint32_t polling;      /* lanes that may run when nobody else can */
    meeting meetings[SIMT_MEETING_COUNT_MAX];
    void *operands[32]; /* of each lane that waits in one; on its own stack */
};

struct barrier {
    uint32_t arrived, wanted; /* threads; arrived 0: nobody waits */
    uint32_t lanes[SIMT_WARP_COUNT_MAX];
};

struct shared_variable {
    const void *key;
    char *memory;
    size_t bytes;
};

struct block {
    struct grid *grid;
    uint3 index;
    uint32_t thread_count, ended_count;
    uint32_t runnable_warps;
    std::vector<thread *> threads; /* more than thread_count after a larger kernel */
    warp warps[SIMT_WARP_COUNT_MAX];
    barrier barriers[SIMT_BARRIER_COUNT];
    char *shared; /* [SIMT_SHARED_BYTES] */
    size_t shared_used_bytes;
    shared_variable variables[SIMT_SHARED_COUNT_MAX];
    uint32_t variable_count;
};

struct launch {
    simt::kernel *kernel;
    dim3 grid_dim, block_dim;
    size_t dynamic_bytes;
    bool is_dependent; /* begins before the kernel before it has ended */
    void *parameters[SIMT_PARAMETER_COUNT_MAX];
};

struct grid {
    simt::launch launch;
    dim3 grid_dim, block_dim;
    uint32_t block_count, begun_count, ended_count;
    bool has_to_wait; /* for the kernel before it */
    bool has_waited;
};

struct options {
    uint32_t resident; /* blocks of a grid that are alive at once, at most */
    uint32_t ahead;    /* that begin before the kernel before it has ended */
    bool is_backward;
    uint32_t slow_warp;       /* of every block, plus 1; 0: none */
    uint32_t poll_rounds_max; /* without a thread that ended */
};
extern struct options options;

/* The thread that runs; the host sees none. */
extern thread *current;

/* -- the host's side --------------------------------------------------------------------------- */

grid *grid_start(const launch &launch);

/* Runs what of it comes before its threads wait for the kernel before it. */
bool grid_run_ahead(grid &grid);

/* The kernel before it has ended: runs all, and frees it. */
bool grid_run(grid &grid);

/* What went wrong, "" for nothing; nothing runs any more until it is forgotten. */
const char *failure();
void forget_failure();

/* -- the kernel's side: `current` waits -------------------------------------------------------- */

void barrier_sync(uint32_t number, uint32_t thread_count, const char *what, place place);
void wait_dependency(place place);

/* In a loop that waits for somebody else's store: lets all others run. The soft one does so when a
 * thread has come by often. */
void poll(const char *what, place place);
void poll_softly(const char *what, place place);

/* Stops waiting threads' turn: marks them runnable. */
void wake(warp &warp, uint32_t lanes);

/* Gives up the turn, until woken. */
void wait(const char *what, place place);

/* The kernel is wrong: does not return. */
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace simt
