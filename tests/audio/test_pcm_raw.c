#include "audio/pcm.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static struct es_error error;
static int ends[2]; /* of a pipe: read, write */

static struct es_pcm *open_pipe(void) {
    struct es_pcm *source = NULL;
    ES_EXPECT_EQ(pipe(ends), 0);
    ES_EXPECT_EQ(es_pcm_open_raw(&source, ends[0], "standard input", &error), ES_OK);
    return source;
}

static void put(const char *bytes, size_t count) {
    ES_EXPECT_EQ(write(ends[1], bytes, count), count);
}

static void close_all(struct es_pcm *source) {
    es_pcm_close(source);
    ES_EXPECT_EQ(fcntl(ends[0], F_GETFD), 0); /* the descriptor is still the caller's */
    close(ends[0]);
}

ES_TEST("words are little-endian and divided by 32768") {
    struct es_pcm *source = open_pipe();
    float samples[8];
    put("\x00\x00\x01\x00\xff\xff\xff\x7f\x00\x80\x00\x40", 12);
    close(ends[1]);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 8, &error), 6);
    ES_EXPECT(samples[0] == 0.0f);
    ES_EXPECT(samples[1] == 1.0f / 32768.0f);
    ES_EXPECT(samples[2] == -1.0f / 32768.0f);
    ES_EXPECT(samples[3] == 32767.0f / 32768.0f);
    ES_EXPECT(samples[4] == -1.0f);
    ES_EXPECT(samples[5] == 0.5f);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 8, &error), 0);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 8, &error), 0);
    close_all(source);
}

ES_TEST("a source of unknown length says so") {
    struct es_pcm *source = open_pipe();
    struct es_pcm_info info;
    es_pcm_info(source, &info);
    ES_EXPECT_EQ(info.sample_rate, 16000);
    ES_EXPECT_EQ(info.channel_count, 1);
    ES_EXPECT(info.frame_count == UINT64_MAX);
    ES_EXPECT_CONTAINS(info.format_name, "16 bit");
    close(ends[1]);
    close_all(source);
}

ES_TEST("a read gives what is there and does not wait for more") {
    struct es_pcm *source = open_pipe();
    float samples[100];
    put("\x01\x00\x02\x00\x03", 5); /* two samples and a half */
    ES_EXPECT_EQ(es_pcm_read(source, samples, 100, &error), 2);
    put("\x01\x04\x00", 3); /* the other half, and one more */
    ES_EXPECT_EQ(es_pcm_read(source, samples, 100, &error), 2);
    ES_EXPECT(samples[0] == 0x0103 / 32768.0f);
    ES_EXPECT(samples[1] == 4 / 32768.0f);
    close(ends[1]);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 100, &error), 0);
    close_all(source);
}

ES_TEST("no more is taken than was asked for") {
    struct es_pcm *source = open_pipe();
    float samples[3] = {0.0f, 0.0f, 9.0f};
    put("\x01\x00\x02\x00\x03\x00", 6);
    close(ends[1]);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 2, &error), 2);
    ES_EXPECT(samples[2] == 9.0f);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 2, &error), 1);
    ES_EXPECT(samples[0] == 3 / 32768.0f);
    close_all(source);
}

ES_TEST("an odd byte at the end is an error, after all whole samples") {
    struct es_pcm *source = open_pipe();
    float samples[8];
    put("\x01\x00\x02\x00\x03", 5);
    close(ends[1]);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 8, &error), 2);
    for (int again = 0; again < 2; again++) {
        ES_EXPECT_EQ(es_pcm_read(source, samples, 8, &error), ES_ERR_INPUT);
        ES_EXPECT_CONTAINS(error.text, "standard input");
        ES_EXPECT_CONTAINS(error.text, "half a sample (5 bytes");
        ES_EXPECT_CONTAINS(error.text, "s16le");
    }
    close_all(source);
}

static void *write_slowly(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < 2 * 300; i++) { /* sample i is i; every byte comes alone */
        const unsigned char byte = (unsigned char)(i % 2 == 0 ? i / 2 : i / 2 >> 8);
        if (write(ends[1], &byte, 1) != 1) {
            return NULL;
        }
        usleep(100);
    }
    close(ends[1]);
    return NULL;
}

ES_TEST("a slow writer's bytes, one at a time, become its samples") {
    struct es_pcm *source = open_pipe();
    pthread_t writer;
    ES_EXPECT_EQ(pthread_create(&writer, NULL, write_slowly, NULL), 0);
    float samples[64];
    size_t count = 0;
    int n = 0;
    while ((n = es_pcm_read(source, samples, 64, &error)) > 0) {
        for (int i = 0; i < n; i++) {
            ES_EXPECT(samples[i] == (float)count / 32768.0f);
            count++;
        }
    }
    pthread_join(writer, NULL);
    ES_EXPECT_EQ(n, 0);
    ES_EXPECT_EQ(count, 300);
    close_all(source);
}

ES_TEST("a descriptor that does not block is waited for") {
    struct es_pcm *source = open_pipe();
    ES_EXPECT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    pthread_t writer;
    ES_EXPECT_EQ(pthread_create(&writer, NULL, write_slowly, NULL), 0);
    float samples[64];
    size_t count = 0;
    int n = 0;
    while ((n = es_pcm_read(source, samples, 64, &error)) > 0) {
        count += (size_t)n;
    }
    pthread_join(writer, NULL);
    ES_EXPECT_EQ(n, 0);
    ES_EXPECT_EQ(count, 300);
    close_all(source);
}

static void on_alarm(int signal_number) {
    (void)signal_number;
}

ES_TEST("a signal interrupts a waiting read, and nothing is lost") {
    struct es_pcm *source = open_pipe();
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval every_10_ms = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    float samples[8];
    put("\x01", 1);
    ES_EXPECT_EQ(sigaction(SIGALRM, &action, NULL), 0);
    ES_EXPECT_EQ(setitimer(ITIMER_REAL, &every_10_ms, NULL), 0);
    const int n = es_pcm_read(source, samples, 8, &error);
    ES_EXPECT_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    ES_EXPECT_EQ(n, ES_ERR_INTERRUPTED);
    put("\x01", 1);
    ES_EXPECT_EQ(es_pcm_read(source, samples, 8, &error), 1);
    ES_EXPECT(samples[0] == 0x0101 / 32768.0f);
    close(ends[1]);
    close_all(source);
}

ES_TEST("a descriptor that cannot be read is an input error") {
    struct es_pcm *source = NULL;
    float sample = 0.0f;
    const int fd = open(es_test_directory(), O_RDONLY | O_DIRECTORY);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(es_pcm_open_raw(&source, fd, "standard input", &error), ES_OK);
    ES_EXPECT_EQ(es_pcm_read(source, &sample, 1, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "standard input: cannot be read");
    ES_EXPECT_CONTAINS(error.text, "Is a directory");
    es_pcm_close(source);
    close(fd);
}
