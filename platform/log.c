#include "platform/log.h"

#include "platform/bounds.h"
#include "platform/clock.h"
#include "platform/text.h"
#include "platform/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum es_log_level limit = ES_LOG_INFO;

/* Between callers and the writer's thread. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t has_news;
    char bytes[ES_LOG_LANE_BYTES];
    uint32_t head, tail; /* bytes ever put and taken, modulo 2^32 */
    uint64_t lost_count, said_lost_count;
    bool is_running;  /* callers hand their lines over */
    bool is_stopping; /* the thread ends when all is written */
    bool is_hanging;  /* it did not end: nobody writes any more */
    struct es_thread thread;
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .has_news = PTHREAD_COND_INITIALIZER};

_Static_assert((ES_LOG_LANE_BYTES & (ES_LOG_LANE_BYTES - 1u)) == 0, "counters wrap");

void es_log_limit(enum es_log_level level) {
    limit = level;
}

/* Waits until all is taken, or stderr is gone: there is nowhere left to say that. */
static void write_out(const char *bytes, size_t byte_count) {
    while (byte_count > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, byte_count);
        if (written > 0) {
            bytes += written;
            byte_count -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) { /* somebody else made it non-blocking */
            struct pollfd line = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&line, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            return;
        }
    }
}

static void write_line(char *line, size_t prefix_bytes) {
    es_text_make_printable(line + prefix_bytes);
    size_t byte_count = strlen(line);
    line[byte_count++] = '\n';
    (void)pthread_mutex_lock(&writer.mutex);
    bool is_callers = !writer.is_running && !writer.is_hanging;
    if (writer.is_running) {
        if (byte_count > ES_LOG_LANE_BYTES - (writer.head - writer.tail)) {
            writer.lost_count++;
        } else {
            for (size_t i = 0; i < byte_count; i++) {
                writer.bytes[writer.head++ % ES_LOG_LANE_BYTES] = line[i];
            }
        }
        (void)pthread_cond_signal(&writer.has_news);
    }
    (void)pthread_mutex_unlock(&writer.mutex);
    if (is_callers) {
        write_out(line, byte_count);
    }
}

void es_log(enum es_log_level level, const char *format, ...) {
    static const char *const prefixes[] = {"earshot: error: ", "earshot: warning: ", "earshot: "};
    char line[ES_LOG_LINE_BYTES];
    if (level > limit) {
        return;
    }
    size_t used = strlen(prefixes[level]);
    memcpy(line, prefixes[level], used);

    va_list args;
    va_start(args, format);
    (void)vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    write_line(line, used);
}

/* -- the writer's thread ----------------------------------------------------------------------- */

/* Takes what waits, or words about what was lost; 0 when it shall end. */
static size_t take(char *bytes, size_t byte_count_max) {
    size_t byte_count = 0;
    (void)pthread_mutex_lock(&writer.mutex);
    while (writer.head == writer.tail && writer.lost_count == writer.said_lost_count &&
           !writer.is_stopping) {
        (void)pthread_cond_wait(&writer.has_news, &writer.mutex);
    }
    if (writer.head != writer.tail) {
        while (writer.head != writer.tail && byte_count < byte_count_max) {
            bytes[byte_count++] = writer.bytes[writer.tail++ % ES_LOG_LANE_BYTES];
        }
    } else if (writer.lost_count != writer.said_lost_count) {
        byte_count =
            (size_t)snprintf(bytes, byte_count_max,
                             "earshot: warning: %llu lines of this log were lost: nobody read it\n",
                             (unsigned long long)(writer.lost_count - writer.said_lost_count));
        writer.said_lost_count = writer.lost_count;
    }
    (void)pthread_mutex_unlock(&writer.mutex);
    return byte_count;
}

static void run(void *context) {
    char bytes[ES_LOG_LINE_BYTES];
    size_t byte_count;
    (void)context;
    while ((byte_count = take(bytes, sizeof bytes)) > 0) {
        write_out(bytes, byte_count);
    }
}

enum es_status es_log_start_writer(struct es_error *error) {
    writer.is_stopping = false;
    enum es_status status = es_thread_start(&writer.thread, "es-log", 0, run, NULL, error);
    (void)pthread_mutex_lock(&writer.mutex);
    writer.is_running = status == ES_OK;
    (void)pthread_mutex_unlock(&writer.mutex);
    return status;
}

void es_log_stop_writer(uint32_t wait_ms) {
    if (!writer.thread.is_started) {
        return;
    }
    (void)pthread_mutex_lock(&writer.mutex);
    writer.is_stopping = true;
    (void)pthread_cond_signal(&writer.has_news);
    (void)pthread_mutex_unlock(&writer.mutex);
    bool has_ended = es_thread_join_until(&writer.thread, es_clock_ns() + wait_ms * 1000000ull);
    (void)pthread_mutex_lock(&writer.mutex);
    writer.is_running = false;
    writer.is_hanging = !has_ended;
    (void)pthread_mutex_unlock(&writer.mutex);
}
