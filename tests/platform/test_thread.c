#include "platform/thread.h"

#include "platform/clock.h"
#include "tests/support/test.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct seen {
    int policy;
    int priority;
    bool is_blocked; /* SIGTERM */
};

static struct es_thread thread;
static struct es_error error;

static void look(void *context) {
    struct seen *seen = context;
    struct sched_param param;
    (void)pthread_getschedparam(pthread_self(), &seen->policy, &param);
    seen->priority = param.sched_priority;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    seen->is_blocked = sigismember(&blocked, SIGTERM) == 1;
}

static atomic_bool may_end;

static void stay(void *context) {
    (void)context;
    while (!atomic_load(&may_end)) {
        sched_yield();
    }
}

ES_TEST("a thread bears its name, and leaves signals to the main thread") {
    struct seen seen;
    ES_EXPECT_EQ(es_thread_start(&thread, "es-looker", 0, look, &seen, &error), ES_OK);
    ES_EXPECT(!thread.is_realtime);
    ES_EXPECT_TEXT(thread.note.text, "");
    es_thread_join(&thread);
    ES_EXPECT(seen.is_blocked);
    ES_EXPECT_EQ(seen.policy, SCHED_OTHER);

    atomic_store(&may_end, false);
    ES_EXPECT_EQ(es_thread_start(&thread, "es-fifteen-char", 0, stay, NULL, &error), ES_OK);
    char name[16] = "";
    (void)pthread_getname_np(thread.handle, name, sizeof name);
    atomic_store(&may_end, true);
    es_thread_join(&thread);
    ES_EXPECT_TEXT(name, "es-fifteen-char");
}

ES_TEST("a real-time thread is one, or says why not and what to do") {
    struct seen seen;
    ES_EXPECT_EQ(es_thread_start(&thread, "es-fast", 45, look, &seen, &error), ES_OK);
    es_thread_join(&thread);
    if (thread.is_realtime) {
        ES_EXPECT_EQ(seen.policy, SCHED_FIFO);
        ES_EXPECT_EQ(seen.priority, 45);
        ES_EXPECT_TEXT(thread.note.text, "");
    } else {
        ES_EXPECT_EQ(seen.policy, SCHED_OTHER);
        ES_EXPECT_CONTAINS(thread.note.text, "es-fast");
        ES_EXPECT_CONTAINS(thread.note.text, "LimitRTPRIO=45");
    }
    es_test_note("%s", thread.is_realtime ? "SCHED_FIFO" : thread.note.text);
}

/* The kernel asks the limit of those without the privilege alone: the test gives it away. */
ES_TEST("where the system refuses real time, the thread runs as an ordinary one") {
    const struct rlimit none = {0, 0};
    ES_EXPECT_EQ(setrlimit(RLIMIT_RTPRIO, &none), 0);
    if (geteuid() == 0 && seteuid(65534) != 0) {
        es_test_skip("the privilege of real time cannot be given away; run as an ordinary user");
    }
    struct seen seen;
    const enum es_status status = es_thread_start(&thread, "es-slow", 45, look, &seen, &error);
    es_thread_join(&thread);
    if (getuid() == 0) {
        ES_EXPECT_EQ(seteuid(0), 0);
    }
    ES_EXPECT_EQ(status, ES_OK);
    ES_EXPECT(!thread.is_realtime);
    ES_EXPECT_EQ(seen.policy, SCHED_OTHER);
    ES_EXPECT_CONTAINS(thread.note.text, "es-slow");
    ES_EXPECT_CONTAINS(thread.note.text, "LimitRTPRIO=45");
}

ES_TEST("a thread that was never started may be joined") {
    memset(&thread, 0, sizeof thread);
    es_thread_join(&thread);
    ES_EXPECT(!thread.is_started);
}

static void wait_for_it(void *context) {
    atomic_bool *is_free = context;
    while (!atomic_load(is_free)) {
        es_clock_sleep_until(es_clock_ns() + 1000000u);
    }
}

ES_TEST("a join with a deadline leaves a thread that hangs, and takes it once it has ended") {
    atomic_bool is_free = false;
    ES_EXPECT_EQ(es_thread_start(&thread, "es-hang", 0, wait_for_it, &is_free, &error), ES_OK);
    const uint64_t began_ns = es_clock_ns();
    ES_EXPECT(!es_thread_join_until(&thread, began_ns + 30000000u));
    ES_EXPECT(es_clock_ns() - began_ns >= 30000000u);
    ES_EXPECT(thread.is_started);
    atomic_store(&is_free, true);
    ES_EXPECT(es_thread_join_until(&thread, es_clock_ns() + 60000000000u));
    ES_EXPECT(!thread.is_started);
    ES_EXPECT(es_thread_join_until(&thread, 0)); /* nothing to wait for */
}
