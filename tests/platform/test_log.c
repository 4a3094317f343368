#include "platform/bounds.h"
#include "platform/log.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdbool.h>
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

#define MANY_LINES 20000

/* Lines that came, and those that are said to be lost. */
static unsigned long long lines_in(const char *text) {
    static const char lost[] = "earshot: warning: ";
    unsigned long long count = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        count += strncmp(line, lost, sizeof lost - 1u) == 0
                     ? strtoull(line + sizeof lost - 1u, NULL, 10)
                     : 1u;
    }
    return count;
}

/* Reads its own log late, until all is accounted for; sends on how much that was. */
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
    for (int i = 0; i < MANY_LINES; i++) {
        es_log(ES_LOG_INFO, "line %d", i);
    }
    unsigned long long count = 0;
    while (count < MANY_LINES && used < sizeof came - 1u) {
        ssize_t bytes = read(ends[0], came + used, sizeof came - 1u - used);
        used += bytes > 0 ? (size_t)bytes : 0;
        if (used > 0 && came[used - 1u] == '\n') {
            count = lines_in(came);
        }
    }
    bool has_lost = strstr(came, "lines of this log were lost: nobody read it") != NULL;
    dprintf(out, "%llu, %s\n", count, has_lost ? "some of them lost" : "none lost");
    es_log_stop_writer(1000);
    _exit(0);
}

ES_TEST("lines that found no room are counted, and that is said when somebody reads") {
    ES_EXPECT_TEXT(child_run(log_to_a_late_reader).text, "20000, some of them lost\n");
}
