/* ring.h - a lock-free queue of float samples from one thread to one other.
 *
 *   es_ring_layout("capture ring", ES_RING_SAMPLES, &plan, &layout);
 *   es_ring_init(&ring, &layout, &arena);
 *   taken = es_ring_push(&ring, samples, count);     producer: taken < count means it was full
 *   if (es_ring_wait(&ring, 1280, deadline_ns)) {    consumer: sleeps, never spins
 *       n = es_ring_pop(&ring, samples, 1280);
 *   }
 *
 * Nothing is ever overwritten: what does not fit is refused and counted, to the sample. Positions
 * are 64-bit counts of samples since the reset and never wrap. One producer, one consumer; the
 * counters may be read by any thread. */
#pragma once

#include "platform/arena.h"
#include "platform/bounds.h"
#include "platform/plan.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct es_ring_layout {
    uint32_t region;
    uint32_t capacity_samples;
};

/* Each side writes a cache line of its own. */
struct es_ring { /* NOLINT(clang-analyzer-optin.performance.Padding): the padding is the purpose */
    /* configuration */
    float *samples;    /* [capacity_samples], arena */
    uint32_t capacity; /* a power of two */
    sem_t came;        /* posted when what the consumer waits for is there */
    /* state, cleared by reset */
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint64_t pushed_count; /* producer */
    _Atomic uint64_t refused_count;                              /* producer */
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint64_t popped_count; /* consumer */
    _Atomic uint64_t wanted_position; /* of pushed_count; UINT64_MAX when nobody waits */
    atomic_bool is_woken;
};

/* `capacity_samples` is a power of two. */
void es_ring_layout(const char *name, uint32_t capacity_samples, struct es_plan *plan,
                    struct es_ring_layout *layout);
/* Binds, never allocates; the ring is empty. Before threads use it. */
void es_ring_init(struct es_ring *ring, const struct es_ring_layout *layout,
                  const struct es_arena *arena);
/* Empty, counters at zero. While neither side is at work. */
void es_ring_reset(struct es_ring *ring);

/* Producer. samples [count]; returns how many were taken, from the first on; the others are counted
 * as refused. Wait-free. */
size_t es_ring_push(struct es_ring *ring, const float *samples, size_t count);

/* Consumer. Up to `count` of the oldest samples; returns how many (0 when empty). Wait-free. */
size_t es_ring_pop(struct es_ring *ring, float *samples, size_t count);
/* Consumer. Throws away up to `count` of the oldest samples; returns how many. */
size_t es_ring_skip(struct es_ring *ring, size_t count);

/* Consumer. Sleeps until `count` (1..capacity) samples can be popped, es_ring_wake was called, or
 * es_clock_ns() reaches `deadline_ns`. True when the samples are there. */
bool es_ring_wait(struct es_ring *ring, size_t count, uint64_t deadline_ns);
/* Any thread: ends a wait, or the next one if none is under way. */
void es_ring_wake(struct es_ring *ring);

/* Any thread. Samples since the reset; pushed - popped wait in the ring. */
uint64_t es_ring_pushed_count(const struct es_ring *ring);
uint64_t es_ring_popped_count(const struct es_ring *ring);
uint64_t es_ring_refused_count(const struct es_ring *ring);
