#include "platform/ring.h"

#include "platform/assert.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define NOBODY UINT64_MAX
#define NS_PER_S 1000000000u

void es_ring_layout(const char *name, uint32_t capacity_samples, struct es_plan *plan,
                    struct es_ring_layout *layout) {
    ES_ASSERT(capacity_samples > 0);
    ES_ASSERT((capacity_samples & (capacity_samples - 1u)) == 0u);
    layout->capacity_samples = capacity_samples;
    layout->region = es_plan_add(plan, ES_MEM_HOST, name, (size_t)capacity_samples * sizeof(float));
}

void es_ring_init(struct es_ring *ring, const struct es_ring_layout *layout,
                  const struct es_arena *arena) {
    ring->samples = es_arena_region(arena, layout->region);
    ES_ASSERT(ring->samples != NULL);
    ring->capacity = layout->capacity_samples;
    int result = sem_init(&ring->came, 0, 0);
    ES_ASSERT(result == 0);
    es_ring_reset(ring);
}

void es_ring_reset(struct es_ring *ring) {
    atomic_store(&ring->pushed_count, 0);
    atomic_store(&ring->refused_count, 0);
    atomic_store(&ring->popped_count, 0);
    atomic_store(&ring->wanted_position, NOBODY);
    atomic_store(&ring->is_woken, false);
}

/* The consumer's store of wanted_position and its look at pushed_count, the producer's store of
 * pushed_count and its look at wanted_position: all four sequentially consistent, so that either
 * the consumer sees the samples before it sleeps, or the producer sees the sleeper. */
static void tell_consumer(struct es_ring *ring, uint64_t pushed) {
    if (pushed >= atomic_load(&ring->wanted_position) &&
        atomic_exchange(&ring->wanted_position, NOBODY) != NOBODY) {
        (void)sem_post(&ring->came);
    }
}

size_t es_ring_push(struct es_ring *ring, const float *samples, size_t count) {
    const uint64_t pushed = atomic_load_explicit(&ring->pushed_count, memory_order_relaxed);
    /* Acquire: the consumer has read out the slots before it said that they are free. */
    const uint64_t popped = atomic_load_explicit(&ring->popped_count, memory_order_acquire);
    const size_t space = ring->capacity - (size_t)(pushed - popped);
    const size_t taken = count < space ? count : space;
    const size_t start = (size_t)(pushed & (ring->capacity - 1u));
    const size_t first = taken < ring->capacity - start ? taken : ring->capacity - start;
    memcpy(ring->samples + start, samples, first * sizeof *samples);
    memcpy(ring->samples, samples + first, (taken - first) * sizeof *samples);
    if (taken < count) {
        atomic_fetch_add_explicit(&ring->refused_count, count - taken, memory_order_relaxed);
    }
    if (taken > 0) {
        /* Release, and more (above): the samples are there before their count is. */
        atomic_store(&ring->pushed_count, pushed + taken);
        tell_consumer(ring, pushed + taken);
    }
    return taken;
}

/* How many of `count` there are; *popped is where they begin. */
static size_t ready(const struct es_ring *ring, size_t count, uint64_t *popped) {
    *popped = atomic_load_explicit(&ring->popped_count, memory_order_relaxed);
    const uint64_t pushed = atomic_load_explicit(&ring->pushed_count, memory_order_acquire);
    const size_t there = (size_t)(pushed - *popped);
    return count < there ? count : there;
}

size_t es_ring_pop(struct es_ring *ring, float *samples, size_t count) {
    uint64_t popped;
    const size_t given = ready(ring, count, &popped);
    const size_t start = (size_t)(popped & (ring->capacity - 1u));
    const size_t first = given < ring->capacity - start ? given : ring->capacity - start;
    memcpy(samples, ring->samples + start, first * sizeof *samples);
    memcpy(samples + first, ring->samples, (given - first) * sizeof *samples);
    /* Release: the slots were read before they are free. */
    atomic_store_explicit(&ring->popped_count, popped + given, memory_order_release);
    return given;
}

size_t es_ring_skip(struct es_ring *ring, size_t count) {
    uint64_t popped;
    const size_t given = ready(ring, count, &popped);
    atomic_store_explicit(&ring->popped_count, popped + given, memory_order_release);
    return given;
}

bool es_ring_wait(struct es_ring *ring, size_t count, uint64_t deadline_ns) {
    ES_ASSERT(count > 0);
    ES_ASSERT(count <= ring->capacity);
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                      .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    const uint64_t wanted = atomic_load_explicit(&ring->popped_count, memory_order_relaxed) + count;
    while (sem_trywait(&ring->came) == 0) {
        /* posted for a wait that had ended by itself */
    }
    bool is_over = false;
    while (!is_over) {
        atomic_store(&ring->wanted_position, wanted);
        if (atomic_load(&ring->pushed_count) >= wanted || atomic_exchange(&ring->is_woken, false)) {
            break;
        }
        /* A signal (EINTR) looks again; the deadline, or a clock that fails, is the end. */
        is_over = sem_clockwait(&ring->came, CLOCK_MONOTONIC, &deadline) != 0 && errno != EINTR;
    }
    atomic_store(&ring->wanted_position, NOBODY);
    return atomic_load(&ring->pushed_count) >= wanted;
}

void es_ring_wake(struct es_ring *ring) {
    if (!atomic_exchange(&ring->is_woken, true)) {
        (void)sem_post(&ring->came);
    }
}

uint64_t es_ring_pushed_count(const struct es_ring *ring) {
    return atomic_load_explicit(&ring->pushed_count, memory_order_acquire);
}

uint64_t es_ring_popped_count(const struct es_ring *ring) {
    return atomic_load_explicit(&ring->popped_count, memory_order_acquire);
}

uint64_t es_ring_refused_count(const struct es_ring *ring) {
    return atomic_load_explicit(&ring->refused_count, memory_order_relaxed);
}
