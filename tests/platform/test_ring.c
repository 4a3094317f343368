#include "platform/clock.h"
#include "platform/ring.h"
#include "platform/thread.h"
#include "tests/support/test.h"

#include <sched.h>

#define CAPACITY 1024u

static struct es_ring ring;
static struct es_plan plan;
static struct es_arena arena;
static struct es_error error;

/* Sample number n of every stream here: exact in f32, and different at neighbouring places. */
static float sample_at(uint64_t n) {
    return (float)(n % 1000003u);
}

static void make(uint32_t capacity) {
    struct es_ring_layout layout;
    es_plan_init(&plan);
    es_ring_layout("ring", capacity, &plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_ring_init(&ring, &layout, &arena);
}

static size_t push_from(uint64_t first, size_t count) {
    static float samples[4 * CAPACITY];
    for (size_t i = 0; i < count; i++) {
        samples[i] = sample_at(first + i);
    }
    return es_ring_push(&ring, samples, count);
}

static void expect_pop(uint64_t first, size_t count, size_t expected) {
    static float samples[4 * CAPACITY];
    ES_EXPECT_EQ(es_ring_pop(&ring, samples, count), expected);
    for (size_t i = 0; i < expected; i++) {
        ES_EXPECT(samples[i] == sample_at(first + i));
    }
}

ES_TEST("samples come out as they went in, over the end of the memory too") {
    make(CAPACITY);
    uint64_t position = 0;
    static const size_t counts[] = {1, 2, 3, 511, 512, 513, 1023, 1024, 7, 1000};
    for (uint32_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            ES_EXPECT_EQ(push_from(position, counts[i]), counts[i]);
            expect_pop(position, counts[i], counts[i]);
            position += counts[i];
        }
    }
    ES_EXPECT_EQ(es_ring_pushed_count(&ring), position);
    ES_EXPECT_EQ(es_ring_popped_count(&ring), position);
    ES_EXPECT_EQ(es_ring_refused_count(&ring), 0);
    es_arena_release(&arena);
}

ES_TEST("a full ring refuses what is new, counts it to the sample, and keeps what is old") {
    make(CAPACITY);
    ES_EXPECT_EQ(push_from(0, 1000), 1000);
    ES_EXPECT_EQ(push_from(1000, 100), 24);
    ES_EXPECT_EQ(es_ring_refused_count(&ring), 76);
    ES_EXPECT_EQ(push_from(0, 5), 0);
    ES_EXPECT_EQ(es_ring_refused_count(&ring), 81);
    expect_pop(0, 2000, CAPACITY);
    expect_pop(0, 1, 0);
    ES_EXPECT_EQ(push_from(7, 3), 3);
    expect_pop(7, 3, 3);
    es_arena_release(&arena);
}

ES_TEST("what is skipped is gone, and only that") {
    make(CAPACITY);
    (void)push_from(0, 100);
    ES_EXPECT_EQ(es_ring_skip(&ring, 30), 30);
    expect_pop(30, 20, 20);
    ES_EXPECT_EQ(es_ring_skip(&ring, 1000), 50);
    ES_EXPECT_EQ(es_ring_popped_count(&ring), 100);
    es_arena_release(&arena);
}

ES_TEST("a reset ring is empty and counts from zero") {
    make(CAPACITY);
    (void)push_from(0, 2000);
    es_ring_reset(&ring);
    ES_EXPECT_EQ(es_ring_pushed_count(&ring), 0);
    ES_EXPECT_EQ(es_ring_refused_count(&ring), 0);
    expect_pop(0, 1, 0);
    ES_EXPECT_EQ(push_from(0, 2000), CAPACITY);
    es_arena_release(&arena);
}

ES_TEST("a wait ends at once when the samples are there, when it was woken, and at its deadline") {
    make(CAPACITY);
    (void)push_from(0, 10);
    ES_EXPECT(es_ring_wait(&ring, 10, UINT64_MAX));
    ES_EXPECT(!es_ring_wait(&ring, 11, es_clock_ns()));
    es_ring_wake(&ring);
    es_ring_wake(&ring);
    ES_EXPECT(!es_ring_wait(&ring, 11, UINT64_MAX)); /* one wait, however often it was woken */
    ES_EXPECT(!es_ring_wait(&ring, 11, es_clock_ns()));
    (void)push_from(10, 1);
    ES_EXPECT(es_ring_wait(&ring, 11, UINT64_MAX));
    es_arena_release(&arena);
}

/* -- two threads ------------------------------------------------------------------------------ */

#define STREAM_SAMPLES 1000000u

static uint64_t refused_total;

/* Pushes the stream in pieces of odd sizes; what a full ring refuses is pushed again, so that every
 * sample must arrive. */
static void produce(void *context) {
    (void)context;
    uint64_t position = 0;
    uint32_t size = 1;
    while (position < STREAM_SAMPLES) {
        size = size * 1103515245u + 12345u;
        size_t count = 1 + (size >> 16) % 700u;
        count = count < STREAM_SAMPLES - position ? count : (size_t)(STREAM_SAMPLES - position);
        const size_t taken = push_from(position, count);
        refused_total += count - taken;
        position += taken;
        if (taken == 0) {
            sched_yield();
        }
    }
}

ES_TEST("a million samples cross between two threads, each one once and in order") {
    make(CAPACITY);
    refused_total = 0;
    struct es_thread thread;
    ES_EXPECT_EQ(es_thread_start(&thread, "producer", 0, produce, NULL, &error), ES_OK);
    static float samples[CAPACITY];
    uint64_t position = 0;
    while (position < STREAM_SAMPLES) {
        const uint64_t left = STREAM_SAMPLES - position;
        ES_EXPECT(es_ring_wait(&ring, left < 160 ? (size_t)left : 160, UINT64_MAX));
        const size_t count = es_ring_pop(&ring, samples, 480);
        for (size_t i = 0; i < count; i++) {
            ES_EXPECT(samples[i] == sample_at(position + i));
        }
        position += count;
    }
    es_thread_join(&thread);
    ES_EXPECT_EQ(es_ring_pushed_count(&ring), STREAM_SAMPLES);
    ES_EXPECT_EQ(es_ring_refused_count(&ring), refused_total);
    es_arena_release(&arena);
}

static void wake_often(void *context) {
    (void)context;
    for (uint32_t i = 0; i < 20000; i++) {
        es_ring_wake(&ring);
        (void)push_from(i, 1);
    }
}

ES_TEST("no sample is slept over while a third thread's wakes come in between") {
    make(1u << 15);
    struct es_thread thread;
    ES_EXPECT_EQ(es_thread_start(&thread, "waker", 0, wake_often, NULL, &error), ES_OK);
    uint64_t position = 0;
    while (position < 20000) {
        if (es_ring_wait(&ring, 1, UINT64_MAX)) {
            expect_pop(position, 1, 1);
            position++;
        }
    }
    es_thread_join(&thread);
    es_arena_release(&arena);
}
