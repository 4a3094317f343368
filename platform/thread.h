/* thread.h - a named thread, real-time where the system allows it.
 *
 *   status = es_thread_start(&thread, "es-capture", ES_CAPTURE_PRIORITY, body, context, &error);
 *   if (!thread.is_realtime) { warn once: thread.note.text says why, and the remedy }
 *   es_thread_join(&thread);
 *
 * Starting allocates (the stack): before the freeze. Signals are the main thread's: a thread made
 * here has all of them blocked. */
#pragma once

#include "platform/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct es_thread {
    pthread_t handle;
    bool is_started;
    bool is_realtime;     /* runs under SCHED_FIFO */
    struct es_error note; /* why it does not, and the remedy; empty when it does or need not */
    void (*body)(void *context);
    void *context;
};

/* `name` has up to 15 characters (the kernel's limit). `realtime_priority` 0 means an ordinary
 * thread, 1..99 asks for SCHED_FIFO; where that is refused the thread runs as an ordinary one and
 * `note` says so: no failure. `thread` must outlive it. ES_ERR_HARDWARE when no thread can be
 * made. */
ES_MUST_CHECK enum es_status es_thread_start(struct es_thread *thread, const char *name,
                                             int realtime_priority, void (*body)(void *context),
                                             void *context, struct es_error *error);
/* Waits for the body to return. A thread that was never started is allowed. */
void es_thread_join(struct es_thread *thread);
/* The same until es_clock_ns() reaches `deadline_ns`. false: it has not returned, hangs somewhere,
 * and goes on using what it was given; all that is left is to end the process. */
bool es_thread_join_until(struct es_thread *thread, uint64_t deadline_ns);
