#include "platform/thread.h"

#include "platform/assert.h"
#include "platform/bounds.h"
#include "platform/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* Touched before the body runs: a page fault in a real-time thread is a missed period. The rest of
 * the stack is for depths that the body does not reach. */
#define TOUCHED_BYTES (64u << 10)

static void touch_stack(void) {
    volatile unsigned char bytes[TOUCHED_BYTES];
    for (size_t i = 0; i < sizeof bytes; i += ES_PAGE_BYTES / 4u) {
        bytes[i] = 0;
    }
}

static void *thread_main(void *argument) {
    struct es_thread *thread = argument;
    touch_stack();
    thread->body(thread->context);
    return NULL;
}

/* Returns what pthread_create returned. */
static int create(struct es_thread *thread, int realtime_priority) {
    pthread_attr_t attributes;
    int result = pthread_attr_init(&attributes);
    ES_ASSERT(result == 0);
    result = pthread_attr_setstacksize(&attributes, ES_THREAD_STACK_BYTES);
    ES_ASSERT(result == 0);
    if (realtime_priority > 0) {
        const struct sched_param param = {.sched_priority = realtime_priority};
        (void)pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        (void)pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        (void)pthread_attr_setschedparam(&attributes, &param);
    }
    result = pthread_create(&thread->handle, &attributes, thread_main, thread);
    (void)pthread_attr_destroy(&attributes);
    return result;
}

enum es_status es_thread_start(struct es_thread *thread, const char *name, int realtime_priority,
                               void (*body)(void *context), void *context, struct es_error *error) {
    ES_ASSERT(strlen(name) < 16);
    ES_ASSERT(realtime_priority >= 0 && realtime_priority <= 99);
    memset(thread, 0, sizeof *thread);
    thread->body = body;
    thread->context = context;
    sigset_t all_signals;
    sigset_t old_signals;
    sigfillset(&all_signals);
    pthread_sigmask(SIG_SETMASK, &all_signals, &old_signals);
    int result = create(thread, realtime_priority);
    thread->is_realtime = result == 0 && realtime_priority > 0;
    if (result == EPERM && realtime_priority > 0) {
        (void)es_fail(
            &thread->note, ES_ERR_HARDWARE,
            "thread %s: real-time scheduling is refused (%s), so that it may come late on "
            "a busy machine; set LimitRTPRIO=%d in the unit, or ulimit -r %d",
            name, strerror(result), realtime_priority, realtime_priority);
        result = create(thread, 0);
    }
    pthread_sigmask(SIG_SETMASK, &old_signals, NULL);
    if (result != 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "thread %s: cannot be started (%s); raise the limit (ulimit -u), or stop "
                       "other programs",
                       name, strerror(result));
    }
    (void)pthread_setname_np(thread->handle, name);
    thread->is_started = true;
    return ES_OK;
}

void es_thread_join(struct es_thread *thread) {
    if (thread->is_started) {
        const int result = pthread_join(thread->handle, NULL);
        ES_ASSERT(result == 0);
        thread->is_started = false;
    }
}

bool es_thread_join_until(struct es_thread *thread, uint64_t deadline_ns) {
    /* Looked at again and again: a wait with a deadline of the monotonic clock is no older than
     * glibc 2.31, and sanitizers do not know it. */
    while (thread->is_started) {
        if (pthread_tryjoin_np(thread->handle, NULL) == 0) {
            thread->is_started = false;
        } else if (es_clock_ns() >= deadline_ns) {
            return false;
        } else {
            es_clock_sleep_until(es_clock_ns() + 1000000u);
        }
    }
    return true;
}
