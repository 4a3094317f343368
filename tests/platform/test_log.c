#include "platform/bounds.h"
#include "platform/log.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void log_three_lines(void) {
    es_log(ES_LOG_ERROR, "%s: is gone", "card");
    es_log(ES_LOG_WARNING, "memory is not locked: %d", 7);
    es_log(ES_LOG_INFO, "ready");
}

static void log_control_characters(void) {
    es_log(ES_LOG_INFO, "%s", "a\nearshot: error: b\x1b[0m");
}

static void log_a_long_line(void) {
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    es_log(ES_LOG_WARNING, "%s", text);
}

ES_TEST("an event is one line with its level") {
    ES_EXPECT_TEXT(child_run(log_three_lines).text, "earshot: error: card: is gone\n"
                                                    "earshot: warning: memory is not locked: 7\n"
                                                    "earshot: ready\n");
}

ES_TEST("an argument cannot start a line of its own") {
    ES_EXPECT_TEXT(child_run(log_control_characters).text, "earshot: a?earshot: error: b?[0m\n");
}

ES_TEST("a line is cut at its bound and still ends") {
    struct child_result result = child_run(log_a_long_line);
    size_t length = strlen(result.text);
    ES_EXPECT(length <= ES_LOG_LINE_BYTES && length > ES_LOG_LINE_BYTES - 4);
    ES_EXPECT(result.text[length - 1] == '\n');
}

/* -- with a writer ----------------------------------------------------------------------------- */

static void log_through_a_writer(void) {
    struct es_error error;
    if (es_log_start_writer(&error) == ES_OK) {
        es_log(ES_LOG_INFO, "handed over");
        es_log_stop_writer(5000);
    }
    es_log(ES_LOG_INFO, "written by its caller again");
}

ES_TEST("with a writer every line comes, in order, and after it callers write again") {
    ES_EXPECT_TEXT(child_run(log_through_a_writer).text,
                   "earshot: handed over\nearshot: written by its caller again\n");
}

/* stderr is a full pipe that nobody reads. Exits with what went wrong. */
static void log_to_nobody(void) {
    struct es_error error;
    int ends[2];
    char filling[4096] = {0};
    if (pipe(ends) != 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) {
        _exit(1);
    }
    while (write(ends[1], filling, sizeof filling) > 0) {
    }
    if (fcntl(ends[1], F_SETFL, 0) != 0 || dup2(ends[1], STDERR_FILENO) < 0 ||
        es_log_start_writer(&error) != ES_OK) {
        _exit(2);
    }
    for (int i = 0; i < 10000; i++) { /* more than the lane takes: none of them waits */
        es_log(ES_LOG_WARNING, "line %d of a log that nobody reads", i);
    }
    es_log_stop_writer(50);
    es_log(ES_LOG_ERROR, "dropped: the writer hangs");
    _exit(0);
}

ES_TEST("a log that nobody reads holds nobody up, and the end comes all the same") {
    ES_EXPECT_EQ(child_run(log_to_nobody).wait_status, 0);
}

/* Reads its own log late; sends on what came. */
static void log_to_a_late_reader(void) {
    struct es_error error;
    static char came[1u << 20];
    size_t used = 0;
    int ends[2];
    int out = dup(STDERR_FILENO);
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0 ||
        es_log_start_writer(&error) != ES_OK) {
        _exit(2);
    }
    for (int i = 0; i < 20000; i++) {
        es_log(ES_LOG_INFO, "line %d", i);
    }
    while (used < sizeof came - 1u && strstr(came, "nobody read it") == NULL) {
        ssize_t count = read(ends[0], came + used, sizeof came - 1u - used);
        used += count > 0 ? (size_t)count : 0;
    }
    const char *said = strstr(came, "earshot: warning: ");
    int line_count = 0;
    for (size_t i = 0; i < used; i++) {
        line_count += came[i] == '\n';
    }
    unsigned long long lost_count = 0;
    (void)sscanf(said, "earshot: warning: %llu lines", &lost_count);
    dprintf(out, "%llu of 20000\n", lost_count + (unsigned long long)line_count - 1u);
    es_log_stop_writer(1000);
    _exit(0);
}

ES_TEST("lines that found no room are counted, and that is said when somebody reads") {
    ES_EXPECT_TEXT(child_run(log_to_a_late_reader).text, "20000 of 20000\n");
}
