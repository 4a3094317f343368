/* fuzz_pcm.c - any bytes as a recording: opened and read to the end, through whatever libsndfile
 * takes them for. Samples that come out are finite, and a failure has a text of one line. */
#include "audio/pcm.h"
#include "platform/assert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A few bytes of FLAC stand for a minute of silence: enough is enough. */
#define SAMPLE_COUNT_MAX (1u << 20)

/* libsndfile 1.2.0 forgets its vorbis_info when the second Vorbis header is bad: once, at an open
 * that fails. Not ours to free. Named by its library: a function has no name on a machine without
 * a symbolizer. A source that we forget to close still shows, by what libsndfile itself holds. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void) {
    return "leak:libvorbis.so\n";
}

static void check_failure(int status, const struct es_error *error) {
    ES_ASSERT(status == ES_ERR_INPUT);
    ES_ASSERT(error->text[0] != '\0');
    ES_ASSERT(strchr(error->text, '\n') == NULL);
}

static void read_all(struct es_pcm *source) {
    struct es_error error = {0};
    float samples[1280];
    size_t count = 0;
    int n = 1;
    while (n > 0 && count < SAMPLE_COUNT_MAX) {
        n = es_pcm_read(source, samples, sizeof samples / sizeof samples[0], &error);
        for (int i = 0; i < n; i++) {
            ES_ASSERT(isfinite(samples[i]));
        }
        count += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        check_failure(n, &error);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    struct es_error error = {0};
    struct es_pcm *source = NULL;
    char path[64];
    const int fd = memfd_create("recording", MFD_CLOEXEC);
    ES_ASSERT(fd >= 0);
    ES_ASSERT(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const enum es_status status = es_pcm_open_file(&source, path, &error);
    if (status == ES_OK) {
        read_all(source);
        es_pcm_close(source);
    } else {
        check_failure(status, &error);
    }
    close(fd);
    return 0;
}
