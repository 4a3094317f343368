#include "platform/pool.h"

#include "platform/assert.h"
#include "platform/bounds.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct es_pool *pool;
    uint32_t worker_index;
    pthread_t thread;
};

/* A run publishes its task and then `unclaimed_count`; whoever takes one off that counter owns a
 * task of the run, which cannot end before the task has. So the plain fields are only read by
 * owners and only written between runs, and a worker that wakes late finds the counter at zero,
 * or a task of the next run. */
struct es_pool {
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint32_t unclaimed_count;
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint32_t unfinished_count;
    _Alignas(ES_CACHE_LINE_BYTES) es_pool_task *task;
    void *context;
    uint32_t task_count;
    uint32_t thread_count; /* the caller included */
    atomic_bool is_stopping;
    atomic_bool is_running;
    _Atomic uint32_t sleeper_count;
    atomic_bool caller_sleeps;
    pthread_mutex_t mutex;
    pthread_cond_t work_came;
    pthread_cond_t work_done;
    struct worker workers[ES_THREAD_COUNT_MAX];
};

static void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` is a no-operation on these cores: no pause at all */
#endif
}

/* Takes tasks until there are none, and returns how many it has done. */
static uint32_t work(struct es_pool *pool, uint32_t worker_index) {
    uint32_t done_count = 0;
    uint32_t left_count = atomic_load_explicit(&pool->unclaimed_count, memory_order_relaxed);
    while (left_count > 0) {
        if (atomic_compare_exchange_weak_explicit(&pool->unclaimed_count, &left_count,
                                                  left_count - 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
            pool->task(pool->context, pool->task_count - left_count, worker_index);
            done_count++;
            left_count = atomic_load_explicit(&pool->unclaimed_count, memory_order_relaxed);
        }
    }
    return done_count;
}

static bool has_work(struct es_pool *pool) {
    return atomic_load(&pool->unclaimed_count) > 0 || atomic_load(&pool->is_stopping);
}

/* Sequentially consistent on both sides: either the worker sees the new work before it sleeps, or
 * the caller sees the sleeper and wakes it. */
static void wait_for_work(struct es_pool *pool) {
    for (uint32_t i = 0; i < ES_POOL_SPIN_COUNT; i++) {
        if (has_work(pool)) {
            return;
        }
        cpu_relax();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleeper_count, 1);
    while (!has_work(pool)) {
        pthread_cond_wait(&pool->work_came, &pool->mutex);
    }
    atomic_fetch_sub(&pool->sleeper_count, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_end(struct es_pool *pool) {
    for (uint32_t i = 0; i < ES_POOL_SPIN_COUNT; i++) {
        if (atomic_load(&pool->unfinished_count) == 0) {
            return;
        }
        cpu_relax();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->unfinished_count) > 0) {
        pthread_cond_wait(&pool->work_done, &pool->mutex);
    }
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct es_pool *pool = worker->pool;
    while (!atomic_load(&pool->is_stopping)) {
        uint32_t done_count = work(pool, worker->worker_index);
        if (done_count > 0 && atomic_fetch_sub(&pool->unfinished_count, done_count) == done_count &&
            atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->work_done);
            pthread_mutex_unlock(&pool->mutex);
        }
        wait_for_work(pool);
    }
    return NULL;
}

void es_pool_run(struct es_pool *pool, es_pool_task *task, void *context, uint32_t task_count) {
    ES_ASSERT(!atomic_exchange(&pool->is_running, true));
    if (pool->thread_count == 1 || task_count <= 1) {
        for (uint32_t i = 0; i < task_count; i++) {
            task(context, i, 0);
        }
    } else {
        pool->task = task;
        pool->context = context;
        pool->task_count = task_count;
        atomic_store_explicit(&pool->unfinished_count, task_count, memory_order_relaxed);
        atomic_store(&pool->unclaimed_count, task_count);
        if (atomic_load(&pool->sleeper_count) > 0) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_broadcast(&pool->work_came);
            pthread_mutex_unlock(&pool->mutex);
        }
        uint32_t done_count = work(pool, 0);
        if (atomic_fetch_sub(&pool->unfinished_count, done_count) > done_count) {
            wait_for_end(pool);
        }
    }
    atomic_store(&pool->is_running, false);
}

static uint32_t usable_cpu_count(void) {
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&cpus);
    return count < 1 ? 1u : (uint32_t)count;
}

uint32_t es_pool_thread_count(const struct es_pool *pool) {
    return pool->thread_count;
}

enum es_status es_pool_start(struct es_pool **pool, uint32_t thread_count, struct es_error *error) {
    *pool = NULL;
    if (thread_count > ES_THREAD_COUNT_MAX) {
        return es_fail(error, ES_ERR_USAGE, "threads: %u is more than %u; give fewer, or 0 for all",
                       thread_count, ES_THREAD_COUNT_MAX);
    }
    if (thread_count == 0) {
        uint32_t cpu_count = usable_cpu_count();
        thread_count = cpu_count < ES_THREAD_COUNT_MAX ? cpu_count : ES_THREAD_COUNT_MAX;
    }
    struct es_pool *made = aligned_alloc(_Alignof(struct es_pool), sizeof *made);
    if (made == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "threads: no memory for %u of them; stop other "
                       "programs",
                       thread_count);
    }
    memset(made, 0, sizeof *made);
    (void)pthread_mutex_init(&made->mutex, NULL);
    (void)pthread_cond_init(&made->work_came, NULL);
    (void)pthread_cond_init(&made->work_done, NULL);
    made->thread_count = 1;

    /* Signals are the main thread's: no kernel is to be interrupted by one. */
    sigset_t all_signals;
    sigset_t old_signals;
    sigfillset(&all_signals);
    pthread_sigmask(SIG_SETMASK, &all_signals, &old_signals);
    int result = 0;
    while (result == 0 && made->thread_count < thread_count) {
        struct worker *worker = &made->workers[made->thread_count];
        worker->pool = made;
        worker->worker_index = made->thread_count;
        result = pthread_create(&worker->thread, NULL, worker_main, worker);
        made->thread_count += result == 0 ? 1 : 0;
    }
    pthread_sigmask(SIG_SETMASK, &old_signals, NULL);
    if (result != 0) {
        uint32_t started_count = made->thread_count;
        es_pool_stop(made);
        return es_fail(error, ES_ERR_HARDWARE,
                       "threads: only %u of %u started (%s); give fewer, or raise the limit "
                       "(ulimit -u)",
                       started_count, thread_count, strerror(result));
    }
    *pool = made;
    return ES_OK;
}

void es_pool_stop(struct es_pool *pool) {
    if (pool == NULL) {
        return;
    }
    ES_ASSERT(!atomic_load(&pool->is_running));
    atomic_store(&pool->is_stopping, true);
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->work_came);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 1; i < pool->thread_count; i++) {
        (void)pthread_join(pool->workers[i].thread, NULL);
    }
    (void)pthread_cond_destroy(&pool->work_came);
    (void)pthread_cond_destroy(&pool->work_done);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
