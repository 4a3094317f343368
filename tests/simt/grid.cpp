#include "tests/simt/grid.h"

#include "tests/simt/shared.h"
#include "tests/simt/warp.h"

#include <algorithm>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace simt {

struct options options = {8, 2, false, 0, 100000};
thread *current;

/* What runs now. Blocks are alive from their first thread's begin to their last one's end. */
struct machine {
    simt::fiber host;
    std::vector<block *> blocks;
    std::vector<block *> spare; /* with their threads' stacks */
    std::vector<grid *> grids;
    uint32_t poll_rounds; /* since a thread ended */
    char failure[1024];
};
static machine &machine = *new struct machine(); /* kept until the end, for the leak checker */

static const char dependency[] = "griddepcontrol.wait";

const char *failure() {
    return machine.failure;
}

void forget_failure() {
    machine.failure[0] = '\0';
}

/* -- whose turn it is -------------------------------------------------------------------------- */

static uint32_t first_bit(uint32_t bits) {
    return (uint32_t)(options.is_backward ? 31 - __builtin_clz(bits) : __builtin_ctz(bits));
}

void wake(warp &warp, uint32_t lanes) {
    warp.runnable |= lanes;
    if (warp.runnable != 0) {
        warp.block->runnable_warps |= 1u << warp.number;
    }
}

/* The next of a block, of this warp if it can; NULL: all wait. */
static thread *take_next(block &block, warp *wanted) {
    if (block.runnable_warps == 0) {
        return nullptr;
    }
    warp &warp = wanted != nullptr && wanted->runnable != 0
                     ? *wanted
                     : block.warps[first_bit(block.runnable_warps)];
    const uint32_t lane = first_bit(warp.runnable);
    warp.runnable &= ~(1u << lane);
    if (warp.runnable == 0) {
        block.runnable_warps &= ~(1u << warp.number);
    }
    thread *next = block.threads[warp.first_thread + lane];
    next->waits_for = "";
    return next;
}

/* To the next of this block, or to the host, who looks for another block. */
static void hand_over() {
    thread &from = *current;
    current = machine.failure[0] == '\0' ? take_next(*from.block, from.warp) : nullptr;
    fiber_switch(from.fiber, current != nullptr ? current->fiber : machine.host);
}

void wait(const char *what, place place) {
    current->waits_for = what;
    current->place = place;
    hand_over();
}

void poll(const char *what, place place) {
    current->warp->polling |= 1u << current->lane;
    wait(what, place);
}

void poll_softly(const char *what, place place) {
    if (++current->poll_count % 64u == 0) {
        poll(what, place);
    }
}

#define SLOW_ROUNDS 64u

/* The slow warp looks again when all others have looked often, and so have gone as far as they can. */
static bool wake_polling() {
    bool is_any = false;
    for (block *block : machine.blocks) {
        for (warp &warp : block->warps) {
            is_any |= warp.polling != 0;
            if (warp.number + 1u == options.slow_warp &&
                machine.poll_rounds % SLOW_ROUNDS != SLOW_ROUNDS - 1u) {
                continue;
            }
            wake(warp, warp.polling);
            warp.polling = 0;
        }
    }
    machine.poll_rounds += is_any ? 1u : 0u;
    return is_any;
}

/* -- what is wrong ----------------------------------------------------------------------------- */

static const char *file_name(const char *path) {
    const char *slash = path != nullptr ? strrchr(path, '/') : nullptr;
    return slash != nullptr ? slash + 1 : path != nullptr ? path : "?";
}

void fail(const char *format, ...) {
    const block &block = *current->block;
    int used = snprintf(machine.failure, sizeof machine.failure,
                        "kernel %s, block (%u, %u), thread %u: ", block.grid->launch.kernel->name,
                        block.index.x, block.index.y, current->index.x);
    va_list args;
    va_start(args, format);
    vsnprintf(machine.failure + used, sizeof machine.failure - (size_t)used, format, args);
    va_end(args);
    hand_over();
    abort();
}

/* Threads that wait at one place are one part of the sentence. */
static void describe(const block &block, const char *problem) {
    size_t used =
        (size_t)snprintf(machine.failure, sizeof machine.failure,
                         "kernel %s, block (%u, %u): %s:", block.grid->launch.kernel->name,
                         block.index.x, block.index.y, problem);
    std::vector<bool> is_told(block.thread_count);
    for (uint32_t i = 0; i < block.thread_count && used < sizeof machine.failure; i++) {
        const thread &first = *block.threads[i];
        uint32_t count = 0;
        for (uint32_t k = i; k < block.thread_count && !is_told[i]; k++) {
            const thread &other = *block.threads[k];
            if (other.waits_for == first.waits_for && other.place.line == first.place.line &&
                other.barrier == first.barrier) {
                count++;
                is_told[k] = k > i;
            }
        }
        if (count == 0) {
            continue;
        }
        char what[128];
        if (first.waits_for == nullptr) {
            snprintf(what, sizeof what, "%u ended", count);
        } else if (first.barrier != 0) {
            const barrier &at = block.barriers[first.barrier - 1u];
            snprintf(what, sizeof what, "%u wait at %s %u (%s:%d), where %u of %u are", count,
                     first.waits_for, first.barrier - 1u, file_name(first.place.file),
                     first.place.line, at.arrived, at.wanted);
        } else {
            snprintf(what, sizeof what, "%u wait in %s (%s:%d)", count, first.waits_for,
                     file_name(first.place.file), first.place.line);
        }
        used += (size_t)snprintf(machine.failure + used, sizeof machine.failure - used,
                                 " threads from %u on: %s;", first.index.x, what);
    }
}

static void describe_stuck(const char *problem) {
    for (const block *block : machine.blocks) {
        if (!block->grid->has_to_wait) {
            describe(*block, problem);
            return;
        }
    }
    snprintf(machine.failure, sizeof machine.failure, "no block can begin");
}

/* -- a thread's life --------------------------------------------------------------------------- */

static void run_thread() {
    const launch &launch = current->block->grid->launch;
    launch.kernel->call(launch.kernel->function, launch.parameters);
    if (current->copy_count > 0) {
        fail("ends while %u of its asynchronous copies are on their way", current->copy_count);
    }
    current->waits_for = nullptr;
    current->block->ended_count++;
    current->warp->present &= ~(1u << current->lane);
    machine.poll_rounds = 0;
    lane_ended(*current->warp);
    hand_over();
    abort();
}

void barrier_sync(uint32_t number, uint32_t thread_count, const char *what, place place) {
    block &block = *current->block;
    barrier &barrier = block.barriers[number % SIMT_BARRIER_COUNT];
    if (number >= SIMT_BARRIER_COUNT || thread_count > block.thread_count ||
        (thread_count % 32u != 0 && thread_count != block.thread_count)) {
        fail("%s %u, %u: there are 16 barriers, for whole warps of this block's %u threads", what,
             number, thread_count, block.thread_count);
    }
    if (barrier.arrived > 0 && barrier.wanted != thread_count) {
        fail("%s %u for %u threads (%s:%d), where others wait for %u", what, number, thread_count,
             file_name(place.file), place.line, barrier.wanted);
    }
    barrier.wanted = thread_count;
    barrier.arrived++;
    barrier.lanes[current->warp->number] |= 1u << current->lane;
    if (barrier.arrived < thread_count) {
        current->barrier = number + 1u;
        wait(what, place);
        current->barrier = 0;
        return;
    }
    barrier.arrived = 0;
    for (uint32_t i = 0; i < SIMT_WARP_COUNT_MAX; i++) {
        const uint32_t lanes = barrier.lanes[i];
        warp &warp = block.warps[i];
        barrier.lanes[i] = 0;
        if (lanes != 0 && lanes != warp.all) {
            fail("%s %u (%s:%d) is full, and lanes %08x of warp %u have not come", what, number,
                 file_name(place.file), place.line, warp.all & ~lanes, i);
        }
        wake(warp, &warp == current->warp ? lanes & ~(1u << current->lane) : lanes);
    }
}

void wait_dependency(place place) {
    current->block->grid->has_waited = true;
    if (current->block->grid->has_to_wait) {
        wait(dependency, place);
    }
}

/* -- blocks and grids -------------------------------------------------------------------------- */

static block *new_block(uint32_t thread_count) {
    block *found;
    if (machine.spare.empty()) {
        found = new block();
        shared_open(*found);
    } else {
        found = machine.spare.back();
        machine.spare.pop_back();
    }
    while (found->threads.size() < thread_count) {
        found->threads.push_back(new thread());
    }
    return found;
}

static void begin_threads(block &block) {
    const uint32_t width = block.grid->block_dim.x;
    for (uint32_t i = 0; i < SIMT_WARP_COUNT_MAX; i++) {
        const uint32_t first = 32u * i;
        const uint32_t count =
            first < block.thread_count ? std::min(block.thread_count - first, 32u) : 0u;
        warp &warp = block.warps[i];
        warp = simt::warp();
        warp.block = &block;
        warp.number = i;
        warp.first_thread = first;
        warp.all = warp.present = count == 32u ? 0xffffffffu : (1u << count) - 1u;
        wake(warp, warp.present);
    }
    for (uint32_t i = 0; i < block.thread_count; i++) {
        thread &thread = *block.threads[i];
        thread.index = {i % width, i / width, 0};
        thread.lane = i % 32u;
        thread.warp = &block.warps[i / 32u];
        thread.block = &block;
        thread.waits_for = "its begin";
        thread.place = {nullptr, 0};
        thread.barrier = thread.poll_count = thread.copy_count = thread.copy_group = 0;
        fiber_prepare(thread.fiber, run_thread);
    }
}

static bool begin_block(grid &grid) {
    const uint32_t alive_count = grid.begun_count - grid.ended_count;
    const uint32_t alive_max = grid.has_to_wait ? options.ahead : options.resident;
    if (grid.begun_count == grid.block_count || alive_count >= alive_max) {
        return false;
    }
    const uint32_t turn = grid.begun_count++;
    const uint32_t number = options.is_backward ? grid.block_count - 1u - turn : turn;
    block &block = *new_block(grid.block_dim.x * grid.block_dim.y);
    block.grid = &grid;
    block.index = {number % grid.grid_dim.x, number / grid.grid_dim.x, 0};
    block.thread_count = grid.block_dim.x * grid.block_dim.y;
    block.ended_count = 0;
    block.runnable_warps = 0;
    std::fill(std::begin(block.barriers), std::end(block.barriers), barrier());
    shared_begin(block, grid.launch.dynamic_bytes);
    begin_threads(block);
    machine.blocks.push_back(&block);
    return true;
}

static void end_blocks() {
    for (size_t i = 0; i < machine.blocks.size();) {
        block *block = machine.blocks[i];
        if (block->ended_count < block->thread_count) {
            i++;
            continue;
        }
        block->grid->ended_count++;
        machine.spare.push_back(block);
        machine.blocks.erase(machine.blocks.begin() + (std::ptrdiff_t)i);
    }
}

/* Threads that stand still where they are. */
static void abandon_all() {
    for (block *block : machine.blocks) {
        machine.spare.push_back(block);
    }
    machine.blocks.clear();
    for (grid *grid : machine.grids) {
        delete grid;
    }
    machine.grids.clear();
    current = nullptr;
}

/* Until the grid has ended, or, ahead of the one before it, until nobody can go on. */
static bool run(grid &grid, bool is_ahead) {
    while (machine.failure[0] == '\0' && grid.ended_count < grid.block_count) {
        block *next = nullptr;
        for (size_t i = 0; i < machine.blocks.size() && next == nullptr; i++) {
            next = machine.blocks[i]->runnable_warps != 0 ? machine.blocks[i] : nullptr;
        }
        if (next != nullptr) {
            current = take_next(*next, nullptr);
            fiber_switch(machine.host, current->fiber);
            end_blocks();
        } else if (begin_block(grid)) {
            continue;
        } else if (is_ahead) {
            return true;
        } else if (!wake_polling()) {
            describe_stuck("nobody can go on");
        } else if (machine.poll_rounds > options.poll_rounds_max) {
            describe_stuck("polls for ever");
        }
    }
    return machine.failure[0] == '\0';
}

grid *grid_start(const launch &launch) {
    grid *started = new grid();
    started->launch = launch;
    started->grid_dim = launch.grid_dim;
    started->block_dim = launch.block_dim;
    started->block_count = launch.grid_dim.x * launch.grid_dim.y;
    machine.grids.push_back(started);
    machine.poll_rounds = 0;
    return started;
}

bool grid_run_ahead(grid &grid) {
    grid.has_to_wait = true;
    const bool is_well = run(grid, true);
    if (!is_well) {
        abandon_all();
    }
    return is_well;
}

bool grid_run(grid &grid) {
    grid.has_to_wait = false;
    for (block *block : machine.blocks) {
        for (uint32_t i = 0; block->grid == &grid && i < block->thread_count; i++) {
            thread &thread = *block->threads[i];
            if (thread.waits_for == dependency) {
                wake(*thread.warp, 1u << thread.lane);
            }
        }
    }
    bool is_well = run(grid, false);
    if (is_well && grid.launch.is_dependent && !grid.has_waited) {
        snprintf(machine.failure, sizeof machine.failure,
                 "kernel %s: is launched as dependent, and nobody in it waits for the kernel "
                 "before it (es_grid_wait)",
                 grid.launch.kernel->name);
        is_well = false;
    }
    if (!is_well) {
        abandon_all();
        return false;
    }
    machine.grids.erase(std::find(machine.grids.begin(), machine.grids.end(), &grid));
    delete &grid;
    return true;
}

} // namespace simt
