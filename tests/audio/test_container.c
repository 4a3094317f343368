#include "audio/container.h"
#include "tests/support/test.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct es_container_extent extent;

/* The verdict on a file that begins with these bytes and is `file_bytes` long. */
static bool look(const char *bytes, size_t count, uint64_t file_bytes) {
    const int fd = memfd_create("container", MFD_CLOEXEC);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(write(fd, bytes, count), count);
    ES_EXPECT_EQ(ftruncate(fd, (off_t)file_bytes), 0);
    const bool known = es_container_extent(fd, file_bytes, &extent);
    close(fd);
    return known;
}

#define LOOK(bytes, file_bytes) look(bytes, sizeof(bytes) - 1, file_bytes)

ES_TEST("a WAV file's samples are measured, chunks before them skipped") {
    ES_EXPECT(LOOK("RIFF\xff\xff\0\0WAVE"
                   "LIST\3\0\0\0abc\0"
                   "data\x10\0\0\0",
                   100));
    ES_EXPECT_EQ(extent.promised_bytes, 16);
    ES_EXPECT_EQ(extent.found_bytes, 16);
    ES_EXPECT(LOOK("RIFF\xff\xff\0\0WAVEdata\0\1\0\0", 30));
    ES_EXPECT_EQ(extent.promised_bytes, 256);
    ES_EXPECT_EQ(extent.found_bytes, 10);
}

ES_TEST("big-endian, 64-bit and other containers are measured too") {
    ES_EXPECT(LOOK("RIFX\0\0\1\0WAVEdata\0\0\1\0", 30));
    ES_EXPECT_EQ(extent.promised_bytes, 256);
    ES_EXPECT_EQ(extent.found_bytes, 10);
    ES_EXPECT(LOOK("RF64\xff\xff\xff\xffWAVE"
                   "ds64\x1c\0\0\0"
                   "\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                   "data\xff\xff\xff\xff",
                   1000));
    ES_EXPECT_EQ(extent.promised_bytes, 8589934592);
    ES_EXPECT_EQ(extent.found_bytes, 1000 - 56);
    ES_EXPECT(LOOK("FORM\0\0\1\0AIFFSSND\0\0\1\0", 30));
    ES_EXPECT_EQ(extent.promised_bytes, 256);
    ES_EXPECT_EQ(extent.found_bytes, 10);
    ES_EXPECT(LOOK("caff\0\1\0\0data\0\0\0\0\0\0\1\0", 30));
    ES_EXPECT_EQ(extent.promised_bytes, 256);
    ES_EXPECT_EQ(extent.found_bytes, 10);
    ES_EXPECT(LOOK(".snd\0\0\0\x18\0\0\1\0", 34));
    ES_EXPECT_EQ(extent.promised_bytes, 256);
    ES_EXPECT_EQ(extent.found_bytes, 10);
}

ES_TEST("the lengths that streaming programs leave are no promise") {
    ES_EXPECT(!LOOK("RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff", 100)); /* ffmpeg */
    ES_EXPECT(!LOOK("RIFF\x24\xf0\xff\x7fWAVEdata\0\xf0\xff\x7f", 100));   /* sox */
    ES_EXPECT(!LOOK("RIFF\x24\0\0\x80WAVEdata\0\0\0\x80", 100));           /* arecord */
    ES_EXPECT(!LOOK("RIFF\0\0\0\0WAVEdata\0\0\0\0", 100));
    ES_EXPECT(!LOOK(".snd\0\0\0\x18\xff\xff\xff\xff", 100));
    ES_EXPECT(!LOOK("caff\0\1\0\0data\xff\xff\xff\xff\xff\xff\xff\xff", 100));
}

ES_TEST("other files and hostile chunks give no verdict") {
    ES_EXPECT(!LOOK("fLaC", 4));
    ES_EXPECT(!LOOK("fLaC\0\0\0\0\0\0\0\0\0\0\0\0", 100));
    ES_EXPECT(!LOOK("RIFF\xff\xff\0\0WAVEfmt ", 20));                  /* ends in a chunk's head */
    ES_EXPECT(!LOOK("RIFF\xff\xff\0\0WAVELIST\xff\xff\xff\xff", 100)); /* chunk beyond the file */
    ES_EXPECT(!LOOK("caff\0\1\0\0free\xff\xff\xff\xff\xff\xff\xff\xff", 100)); /* 2^64 - 1 */
    ES_EXPECT(!LOOK("RIFF\0\0\0\0WAVE", 10000000)); /* a million empty chunks: bounded */
}

/* The verdict on Ogg pages of these flags, each with `body_bytes` of 0x55, cut by `missing`. */
static bool ogg_is_cut(const char *flags, size_t body_bytes, size_t missing) {
    static char file[8 * 70000];
    size_t count = 0;
    for (size_t page = 0; page < strlen(flags); page++) {
        memset(file + count, 0, 27);
        memcpy(file + count, "OggS", 4);
        file[count + 5] = (char)(flags[page] - '0');
        const size_t segment_count = body_bytes / 255 + 1;
        file[count + 26] = (char)segment_count;
        memset(file + count + 27, 255, segment_count - 1);
        file[count + 26 + segment_count] = (char)(body_bytes % 255);
        count += 27 + segment_count;
        memset(file + count, 0x55, body_bytes);
        count += body_bytes;
    }
    count -= missing;
    const int fd = memfd_create("ogg", MFD_CLOEXEC);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(write(fd, file, count), count);
    const bool is_cut = es_container_ogg_is_cut(fd, count);
    close(fd);
    return is_cut;
}

ES_TEST("an Ogg file ends with a whole page that is marked as the last, or is cut") {
    static const size_t bodies[] = {0, 1, 254, 255, 940, 990, 991, 992, 993, 994, 995, 1024, 64769};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        ES_EXPECT(!ogg_is_cut("4", bodies[i], 0));
        ES_EXPECT(!ogg_is_cut("204", bodies[i], 0));
        ES_EXPECT(ogg_is_cut("200", bodies[i], 0));
        ES_EXPECT(ogg_is_cut("204", bodies[i], 1));
        ES_EXPECT(ogg_is_cut("204", bodies[i], bodies[i] + 5));
    }
}
