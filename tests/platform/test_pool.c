#include "platform/bounds.h"
#include "platform/clock.h"
#include "platform/pool.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define TASK_COUNT_MAX 1000u

struct job {
    uint64_t results[TASK_COUNT_MAX]; /* plain: the barrier at the end must publish them */
    uint32_t run_counts[TASK_COUNT_MAX];
    uint64_t per_worker[ES_THREAD_COUNT_MAX];
    uint32_t round;
    atomic_bool saw_bad_worker;
    uint32_t thread_count;
};

static struct job job;
static struct es_pool *pool;
static struct es_error error;

static void square(void *context, uint32_t task_index, uint32_t worker_index) {
    struct job *shared = context;
    shared->results[task_index] = (uint64_t)task_index * task_index + shared->round;
    shared->run_counts[task_index]++;
    if (worker_index >= shared->thread_count) {
        atomic_store(&shared->saw_bad_worker, true);
    } else {
        shared->per_worker[worker_index]++;
    }
}

static void start(uint32_t thread_count) {
    ES_EXPECT_EQ(es_pool_start(&pool, thread_count, &error), ES_OK);
    memset(&job, 0, sizeof job);
    job.thread_count = es_pool_thread_count(pool);
}

ES_TEST("every task runs once and the results are the same for 1 to 8 threads") {
    for (uint32_t thread_count = 1; thread_count <= 8; thread_count++) {
        start(thread_count);
        ES_EXPECT_EQ(es_pool_thread_count(pool), thread_count);
        es_pool_run(pool, square, &job, TASK_COUNT_MAX);
        uint64_t worker_sum = 0;
        for (uint32_t i = 0; i < TASK_COUNT_MAX; i++) {
            ES_EXPECT_EQ(job.run_counts[i], 1);
            ES_EXPECT_EQ(job.results[i], (uint64_t)i * i);
        }
        for (uint32_t i = 0; i < thread_count; i++) {
            worker_sum += job.per_worker[i];
        }
        ES_EXPECT_EQ(worker_sum, TASK_COUNT_MAX);
        ES_EXPECT(!atomic_load(&job.saw_bad_worker));
        es_pool_stop(pool);
    }
}

ES_TEST("thousands of tiny runs each see their own round") {
    for (uint32_t thread_count = 1; thread_count <= 8; thread_count++) {
        start(thread_count);
        uint32_t total_count = 0;
        for (uint32_t round = 0; round < 3000; round++) {
            uint32_t task_count = round % 7;
            job.round = round;
            es_pool_run(pool, square, &job, task_count);
            for (uint32_t i = 0; i < task_count; i++) {
                ES_EXPECT_EQ(job.results[i], (uint64_t)i * i + round);
            }
            total_count += task_count;
        }
        uint32_t run_count = 0;
        for (uint32_t i = 0; i < 7; i++) {
            run_count += job.run_counts[i];
        }
        ES_EXPECT_EQ(run_count, total_count);
        es_pool_stop(pool);
    }
}

ES_TEST("workers that went to sleep are woken") {
    start(3);
    for (uint32_t round = 0; round < 40; round++) {
        es_clock_sleep_until(es_clock_ns() + 1000000); /* longer than a worker spins */
        job.round = round;
        es_pool_run(pool, square, &job, 50);
        for (uint32_t i = 0; i < 50; i++) {
            ES_EXPECT_EQ(job.results[i], (uint64_t)i * i + round);
        }
    }
    es_pool_stop(pool);
}

/* Each task waits for the other: they end only when two threads work at the same time. */
static void meet(void *context, uint32_t task_index, uint32_t worker_index) {
    _Atomic uint32_t *arrived_count = context;
    (void)task_index;
    (void)worker_index;
    atomic_fetch_add(arrived_count, 1);
    while (atomic_load(arrived_count) < 2) {
        es_clock_sleep_until(es_clock_ns() + 100000);
    }
}

ES_TEST("two threads really work at the same time, and the caller is one of them") {
    start(2);
    for (int round = 0; round < 20; round++) {
        _Atomic uint32_t arrived_count = 0;
        es_pool_run(pool, meet, &arrived_count, 2);
        ES_EXPECT_EQ(atomic_load(&arrived_count), 2);
    }
    es_pool_stop(pool);
}

struct slow_job {
    pthread_t caller;
    atomic_bool other_thread_ran;
    uint32_t done_count[2]; /* plain */
};

/* The caller's task waits until the worker has taken the other one, which then takes longer than
 * the caller spins. */
static void slow_elsewhere(void *context, uint32_t task_index, uint32_t worker_index) {
    struct slow_job *slow = context;
    (void)worker_index;
    if (pthread_equal(pthread_self(), slow->caller)) {
        while (!atomic_load(&slow->other_thread_ran)) {
            es_clock_sleep_until(es_clock_ns() + 100000);
        }
    } else {
        atomic_store(&slow->other_thread_ran, true);
        es_clock_sleep_until(es_clock_ns() + 3000000);
    }
    slow->done_count[task_index]++;
}

ES_TEST("a caller that slept through the last task is woken when it is done") {
    start(2);
    struct slow_job slow = {.caller = pthread_self()};
    for (uint32_t round = 1; round <= 20; round++) {
        atomic_store(&slow.other_thread_ran, false);
        es_pool_run(pool, slow_elsewhere, &slow, 2);
        ES_EXPECT_EQ(slow.done_count[0], round);
        ES_EXPECT_EQ(slow.done_count[1], round);
    }
    es_pool_stop(pool);
}

static void note_thread(void *context, uint32_t task_index, uint32_t worker_index) {
    pthread_t *threads = context;
    (void)worker_index;
    threads[task_index] = pthread_self();
}

ES_TEST("a pool of one thread works in the caller's thread, in order") {
    start(1);
    pthread_t threads[10];
    es_pool_run(pool, note_thread, threads, 10);
    for (int i = 0; i < 10; i++) {
        ES_EXPECT(pthread_equal(threads[i], pthread_self()));
    }
    es_pool_stop(pool);
}

ES_TEST("a pool starts and stops many times, used or not") {
    for (uint32_t round = 0; round < 200; round++) {
        start(1 + round % 5);
        if (round % 2 == 0) {
            es_pool_run(pool, square, &job, 10);
            ES_EXPECT_EQ(job.results[9], 81);
        }
        es_pool_stop(pool);
    }
    es_pool_stop(NULL);
}

static _Atomic uint32_t open_signal_count;

static void count_open_signals(void *context, uint32_t task_index, uint32_t worker_index) {
    meet(context, task_index, worker_index);
    if (worker_index != 0) {
        sigset_t blocked;
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        uint32_t open_count = 0;
        static const int signals[] = {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGUSR1, SIGALRM};
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
            open_count += sigismember(&blocked, signals[i]) ? 0 : 1;
        }
        atomic_store(&open_signal_count, open_count + 1);
    }
}

ES_TEST("workers take no signals, and the caller keeps its own mask") {
    start(2);
    _Atomic uint32_t arrived_count = 0;
    atomic_store(&open_signal_count, 0);
    es_pool_run(pool, count_open_signals, &arrived_count, 2);
    ES_EXPECT_EQ(atomic_load(&open_signal_count), 1); /* a worker looked, and none was open */
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    ES_EXPECT(!sigismember(&blocked, SIGINT));
    es_pool_stop(pool);
}

ES_TEST("0 threads means as many as the process may use, and too many is a usage error") {
    start(0);
    es_test_note("%u threads", es_pool_thread_count(pool));
    ES_EXPECT(es_pool_thread_count(pool) >= 1);
    ES_EXPECT(es_pool_thread_count(pool) <= ES_THREAD_COUNT_MAX);
    es_pool_stop(pool);
    ES_EXPECT_EQ(es_pool_start(&pool, ES_THREAD_COUNT_MAX + 1, &error), ES_ERR_USAGE);
    ES_EXPECT(pool == NULL);
    ES_EXPECT_TEXT(error.text, "threads: 65 is more than 64; give fewer, or 0 for all");
}

static void run_again(void *context, uint32_t task_index, uint32_t worker_index) {
    (void)task_index;
    (void)worker_index;
    es_pool_run(pool, square, context, 1);
}

static void run_inside_a_run(void) {
    start(1);
    es_pool_run(pool, run_again, &job, 1);
}

ES_TEST("a run inside a run is a fault") {
    struct child_result result = child_run(run_inside_a_run);
    ES_EXPECT(WIFSIGNALED(result.wait_status));
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    ES_EXPECT_CONTAINS(result.text, "is_running");
}
