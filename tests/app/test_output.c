#include "app/output.h"

#include "tests/support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a piece of JSON looks like in the pipe. */
static const char *as_json(const char *bytes, size_t byte_count) {
    static char got[512];
    int ends[2];
    ES_EXPECT(pipe(ends) == 0);
    struct es_output output;
    es_output_init(&output, ends[1], "the pipe");
    es_output_json_string(&output, bytes, byte_count);
    ES_EXPECT_EQ(es_output_flush(&output, NULL), ES_OK);
    ssize_t count = read(ends[0], got, sizeof got - 1);
    ES_EXPECT(count >= 0);
    got[count] = '\0';
    close(ends[0]);
    close(ends[1]);
    return got;
}

ES_TEST("JSON strings escape what JSON wants escaped and keep UTF-8 as it is") {
    ES_EXPECT_TEXT(as_json("yes", 3), "\"yes\"");
    ES_EXPECT_TEXT(as_json("\"\\/", 3), "\"\\\"\\\\/\"");
    ES_EXPECT_TEXT(as_json("\n\t\x01\x1F", 4), "\"\\u000a\\u0009\\u0001\\u001f\"");
    ES_EXPECT_TEXT(as_json("\0", 1), "\"\\u0000\"");
    ES_EXPECT_TEXT(as_json("\xC3\xA9\xF0\x9F\x99\x82", 6), "\"\xC3\xA9\xF0\x9F\x99\x82\"");
}

ES_TEST("a full device is named, and stays the answer") {
    struct es_output output;
    struct es_error error;
    int fd = open("/dev/full", O_WRONLY);
    ES_EXPECT(fd >= 0);
    es_output_init(&output, fd, "standard output");
    ES_EXPECT_EQ(es_output_flush(&output, &error), ES_OK); /* nothing to write */
    es_output_text(&output, "yes");
    ES_EXPECT_EQ(es_output_flush(&output, &error), ES_ERR_OUTPUT);
    ES_EXPECT_CONTAINS(error.text, "standard output: no space left");
    error.text[0] = '\0';
    ES_EXPECT_EQ(es_output_flush(&output, &error), ES_ERR_OUTPUT);
    ES_EXPECT_CONTAINS(error.text, "no space left");
    close(fd);
}

ES_TEST("a reader that went away is named") {
    struct es_output output;
    struct es_error error;
    int ends[2];
    ES_EXPECT(pipe(ends) == 0);
    close(ends[0]);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    es_output_init(&output, ends[1], "standard output");
    es_output_text(&output, "yes");
    ES_EXPECT_EQ(es_output_flush(&output, &error), ES_ERR_OUTPUT);
    ES_EXPECT_CONTAINS(error.text, "its reader has closed it");
    signal(SIGPIPE, before);
    close(ends[1]);
}

#define MANY_BYTES 300000u
static char many[MANY_BYTES];
static char received[MANY_BYTES];

static void *read_slowly(void *context) {
    const int *fd = context;
    size_t done = 0;
    while (done < MANY_BYTES) {
        size_t want = MANY_BYTES - done < 777u ? MANY_BYTES - done : 777u;
        ssize_t count = read(*fd, received + done, want);
        if (count <= 0) {
            break;
        }
        done += (size_t)count;
    }
    return NULL;
}

ES_TEST("more than the buffer goes through a non-blocking pipe without a loss") {
    struct es_output output;
    struct es_error error;
    int ends[2];
    pthread_t thread;
    ES_EXPECT(pipe(ends) == 0);
    ES_EXPECT(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    ES_EXPECT(pthread_create(&thread, NULL, read_slowly, &ends[0]) == 0);
    for (size_t i = 0; i < MANY_BYTES; i++) {
        many[i] = (char)('a' + i % 23u);
    }
    es_output_init(&output, ends[1], "the pipe");
    for (size_t done = 0; done < MANY_BYTES; done += 5000u) {
        es_output_bytes(&output, many + done, 5000u);
    }
    ES_EXPECT_EQ(es_output_flush(&output, &error), ES_OK);
    ES_EXPECT(pthread_join(thread, NULL) == 0);
    ES_EXPECT(memcmp(many, received, MANY_BYTES) == 0);
    close(ends[0]);
    close(ends[1]);
}

static char taken[16384];
static size_t taken_bytes, take_count;

static void take(void *context, const char *bytes, size_t byte_count) {
    ES_EXPECT(context == taken);
    memcpy(taken + taken_bytes, bytes, byte_count);
    taken_bytes += byte_count;
    take_count++;
}

ES_TEST("a sink gets the bytes at each flush, in order, and more than the buffer in pieces") {
    static char big[2u * ES_OUTPUT_BUFFER_BYTES];
    struct es_output output;
    memset(big, 'x', sizeof big);
    es_output_init_sink(&output, take, taken);
    ES_EXPECT_EQ(es_output_flush(&output, NULL), ES_OK);
    ES_EXPECT_EQ(take_count, 0); /* nothing is no call */
    es_output_text(&output, "yes ");
    es_output_text(&output, "no");
    ES_EXPECT_EQ(es_output_flush(&output, NULL), ES_OK);
    ES_EXPECT_EQ(take_count, 1);
    ES_EXPECT_TEXT(taken, "yes no");
    es_output_bytes(&output, big, sizeof big);
    ES_EXPECT_EQ(es_output_flush(&output, NULL), ES_OK);
    ES_EXPECT_EQ(taken_bytes, 6u + sizeof big);
}
