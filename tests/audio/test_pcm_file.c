#include "audio/pcm.h"
#include "platform/bounds.h"
#include "tests/support/test.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE_COUNT_MAX 400000u

static float samples[SAMPLE_COUNT_MAX];
static float frames[SAMPLE_COUNT_MAX];
static char path[512];
static struct es_error error;

static const char *path_of(const char *name) {
    snprintf(path, sizeof path, "%s/%s", es_test_directory(), name);
    return path;
}

/* Writes `frames`; libsndfile scales and rounds to the encoding. */
static const char *write_file(const char *name, int format, int rate, int channel_count,
                              size_t frame_count) {
    SF_INFO info = {.samplerate = rate, .channels = channel_count, .format = format};
    SNDFILE *file = sf_open(path_of(name), SFM_WRITE, &info);
    ES_EXPECT(file != NULL);
    sf_command(file, SFC_SET_CLIPPING, NULL, SF_TRUE);
    ES_EXPECT_EQ(sf_writef_float(file, frames, (sf_count_t)frame_count), frame_count);
    sf_close(file);
    return path;
}

static const char *write_bytes(const char *name, const void *bytes, size_t byte_count) {
    FILE *file = fopen(path_of(name), "wb");
    ES_EXPECT(file != NULL);
    ES_EXPECT_EQ(fwrite(bytes, 1, byte_count, file), byte_count);
    fclose(file);
    return path;
}

static struct es_pcm *open_file(const char *file_path) {
    struct es_pcm *source = NULL;
    if (es_pcm_open_file(&source, file_path, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    return source;
}

/* Reads to the end into `samples` and returns their number; *end is the last return value. */
static size_t read_all(struct es_pcm *source, size_t chunk, int *end) {
    size_t count = 0;
    int n = 0;
    error.text[0] = '\0';
    do {
        ES_EXPECT(count + chunk <= SAMPLE_COUNT_MAX);
        n = es_pcm_read(source, samples + count, chunk, &error);
        count += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    ES_EXPECT_EQ(es_pcm_read(source, samples + count, 1, &error), n); /* the end stays the end */
    *end = n;
    return count;
}

static size_t read_good(const char *file_path) {
    struct es_pcm *source = open_file(file_path);
    int end = 1;
    const size_t count = read_all(source, 1000, &end);
    es_pcm_close(source);
    if (end != 0) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    return count;
}

static void fill_noise(size_t count) {
    uint32_t seed = 1;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        frames[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
    }
}

static void expect_refused(const char *file_path, const char *what, const char *remedy) {
    struct es_pcm *source = NULL;
    const enum es_status status = es_pcm_open_file(&source, file_path, &error);
    if (status == ES_OK) {
        es_pcm_close(source);
    }
    ES_EXPECT_EQ(status, ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, file_path);
    ES_EXPECT_CONTAINS(error.text, what);
    ES_EXPECT_CONTAINS(error.text, remedy);
    ES_EXPECT(strchr(error.text, '\n') == NULL);
}

/* -- what is read ------------------------------------------------------------------------------ */

ES_TEST("integer samples are divided by 2^(bits-1), exactly, at 8, 16, 24 and 32 bits") {
    static const struct {
        int format;
        double scale;
    } encodings[] = {
        {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 128.0},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 32768.0},
        {SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 32768.0},
        {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 32768.0},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 8388608.0},
        {SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 8388608.0},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_32, 2147483648.0},
    };
    for (size_t e = 0; e < sizeof encodings / sizeof encodings[0]; e++) {
        int words[1000];
        SF_INFO info = {.samplerate = 16000, .channels = 1, .format = encodings[e].format};
        SNDFILE *file = sf_open(path_of("integers"), SFM_WRITE, &info);
        ES_EXPECT(file != NULL);
        for (int i = 0; i < 1000; i++) { /* libsndfile keeps the upper bits of each word */
            const double step = 4294967296.0 / 999.0 * i - 2147483648.0;
            const double coarse = 2147483648.0 / encodings[e].scale;
            const double word = fmin(floor(step / coarse) * coarse, 2147483648.0 - coarse);
            words[i] = (int)word;
        }
        ES_EXPECT_EQ(sf_write_int(file, words, 1000), 1000);
        sf_close(file);
        ES_EXPECT_EQ(read_good(path), 1000);
        for (int i = 0; i < 1000; i++) {
            ES_EXPECT(samples[i] == (float)(words[i] / 2147483648.0));
        }
        ES_EXPECT(samples[0] == -1.0f);
    }
}

ES_TEST("float files are read as they are, louder than 1 too") {
    for (int i = 0; i < 100; i++) {
        frames[i] = (float)(i - 50) * 0.1f;
    }
    ES_EXPECT_EQ(read_good(write_file("float.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, 100)),
                 100);
    ES_EXPECT(memcmp(samples, frames, 100 * sizeof samples[0]) == 0);
}

ES_TEST("channels are averaged: 8 of them at 192 kHz") {
    const double pi = acos(-1.0);
    for (size_t t = 0; t < 38400; t++) {
        for (size_t channel = 0; channel < 8; channel++) { /* heights 0.1 .. 0.8: mean 0.45 */
            frames[8 * t + channel] =
                (float)(0.1 * (double)(channel + 1) * sin(2.0 * pi * 500.0 * (double)t / 192000.0));
        }
    }
    write_file("array.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 192000, 8, 38400);
    struct es_pcm *source = open_file(path);
    struct es_pcm_info info;
    es_pcm_info(source, &info);
    ES_EXPECT_EQ(info.sample_rate, 192000);
    ES_EXPECT_EQ(info.channel_count, 8);
    ES_EXPECT_EQ(info.frame_count, 38400);
    ES_EXPECT_CONTAINS(info.format_name, "WAV");
    ES_EXPECT_CONTAINS(info.format_name, "24 bit");
    es_pcm_close(source);
    ES_EXPECT_EQ(read_good(path), 3200);
    for (size_t i = 200; i < 3000; i++) {
        ES_EXPECT_NEAR(samples[i], 0.45 * sin(2.0 * pi * 500.0 * (double)i / 16000.0), 1e-5);
    }
}

ES_TEST("44.1 kHz stereo keeps frequency, height, place and duration, whatever is asked at once") {
    const double pi = acos(-1.0);
    const size_t frame_count = 44100;
    for (size_t t = 0; t < frame_count; t++) {
        const float x = (float)(0.6 * sin(2.0 * pi * 440.0 * (double)t / 44100.0));
        frames[2 * t] = x;
        frames[2 * t + 1] = 0.5f * x;
    }
    write_file("stereo.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, frame_count);
    static const size_t chunks[] = {1, 7, 1280, 50000};
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        struct es_pcm *source = open_file(path);
        int end = 1;
        ES_EXPECT_EQ(read_all(source, chunks[c], &end), 16000);
        ES_EXPECT_EQ(end, 0);
        es_pcm_close(source);
        double worst = 0.0;
        for (size_t i = 400; i < 15600; i++) {
            const double expected = 0.45 * sin(2.0 * pi * 440.0 * (double)i / 16000.0);
            worst = fmax(worst, fabs((double)samples[i] - expected));
        }
        es_test_note("%zu at a time: greatest error %.1e", chunks[c], worst);
        ES_EXPECT_NEAR(worst, 0.0, 3e-5); /* 16 bits: 1.5e-5 */
    }
}

ES_TEST("a recording longer than any buffer comes through whole and in order") {
    fill_noise(300000);
    write_file("long.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, 300000);
    ES_EXPECT_EQ(read_good(path), 300000);
    ES_EXPECT(memcmp(samples, frames, 300000 * sizeof samples[0]) == 0);
}

ES_TEST("lossy formats are read in full where this libsndfile has them") {
    static const int formats[] = {SF_FORMAT_OGG | SF_FORMAT_VORBIS,
                                  SF_FORMAT_OGG | 0x0064 /* Opus */, SF_FORMAT_WAV | SF_FORMAT_ULAW,
                                  SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM};
    for (size_t i = 0; i < 48000; i++) {
        frames[i] = (float)(0.5 * sin((double)i * 0.05));
    }
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        const SF_INFO info = {.samplerate = 48000, .channels = 1, .format = formats[f]};
        if (!sf_format_check(&info)) {
            es_test_note("format %#x: not in this libsndfile", (unsigned)formats[f]);
            continue;
        }
        const size_t count = read_good(write_file("lossy", formats[f], 48000, 1, 48000));
        ES_EXPECT(count >= 16000);
        ES_EXPECT(count < 16400); /* ADPCM fills its last block */
        double power = 0.0;
        for (size_t i = 4000; i < 12000; i++) {
            power += (double)samples[i] * (double)samples[i] / 8000.0;
        }
        ES_EXPECT_NEAR(power, 0.125, 0.01);
    }
}

/* -- what is refused --------------------------------------------------------------------------- */

ES_TEST("a missing file, a directory, a pipe and an empty file are named with their remedy") {
    expect_refused(path_of("missing.wav"), "No such file", "check the path");
    expect_refused(es_test_directory(), "is a directory", "give a recording");
    ES_EXPECT_EQ(mkfifo(path_of("pipe"), 0600), 0);
    expect_refused(path, "no regular file", "into '-'");
    expect_refused(write_bytes("empty.wav", "", 0), "is empty", "give a recording");
}

ES_TEST("an unreadable file is named with its remedy") {
    fill_noise(100);
    write_file("secret.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 100);
    ES_EXPECT_EQ(chmod(path, 0), 0);
    const bool is_root = geteuid() == 0; /* root reads everything: be nobody for a moment */
    ES_EXPECT(!is_root || seteuid(65534) == 0);
    struct es_pcm *source = NULL;
    const enum es_status status = es_pcm_open_file(&source, path, &error);
    ES_EXPECT(!is_root || seteuid(0) == 0);
    ES_EXPECT_EQ(status, ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, path);
    ES_EXPECT_CONTAINS(error.text, "Permission denied");
    ES_EXPECT_CONTAINS(error.text, "make it readable");
}

ES_TEST("a file that is no recording is told what is read") {
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 26);
    }
    expect_refused(write_bytes("letter.txt", text, sizeof text), "no recording",
                   "convert it to WAV");
    expect_refused(write_bytes("short.wav", "RIFF", 4), "no recording", "convert it to WAV");
}

ES_TEST("0 samples are refused") {
    expect_refused(write_file("none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 0),
                   "holds 0 samples", "give a recording");
    expect_refused(write_file("none.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 16000, 1, 0),
                   "holds 0 samples", "give a recording");
}

ES_TEST("sample rates and channel counts beyond the bounds are refused with the bounds") {
    fill_noise(1000);
    const int wav = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    expect_refused(write_file("slow.wav", wav, 999, 1, 100), "999 Hz", "1000 to 768000");
    expect_refused(write_file("fast.wav", wav, 768001, 1, 100), "768001 Hz", "1000 to 768000");
    expect_refused(write_file("wide.wav", wav, 16000, 65, 10), "65 channels", "1 to 64");
    ES_EXPECT_EQ(read_good(write_file("slowest.wav", wav, 1000, 1, 100)), 1600);
    ES_EXPECT_EQ(read_good(write_file("fastest.wav", wav, 768000, 1, 960)), 20);
    ES_EXPECT_EQ(read_good(write_file("widest.wav", wav, 16000, 64, 10)), 10);
}

static void expect_bad_sample(float bad, const char *word) {
    fill_noise(40000);
    frames[2 * 8000 + 1] = bad; /* second channel, half a second in */
    struct es_pcm *source =
        open_file(write_file("bad.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 2, 20000));
    int end = 1;
    ES_EXPECT_EQ(read_all(source, 1000, &end), 8000);
    es_pcm_close(source);
    ES_EXPECT_EQ(end, ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, path);
    ES_EXPECT_CONTAINS(error.text, word);
    ES_EXPECT_CONTAINS(error.text, "channel 2");
    ES_EXPECT_CONTAINS(error.text, "0.500000 s");
    for (size_t i = 0; i < 8000; i++) {
        ES_EXPECT(samples[i] == (float)(((double)frames[2 * i] + (double)frames[2 * i + 1]) / 2.0));
    }
}

ES_TEST("a sample that is no number ends the recording and is named by channel and time") {
    expect_bad_sample(NAN, "nan");
    expect_bad_sample(INFINITY, "inf");
    expect_bad_sample(-1e20f, "1e+20");
}

/* -- what is cut short ------------------------------------------------------------------------- */

/* Cuts the file to `byte_count` and expects `sample_count` samples and then the message. */
static void expect_cut(const char *file_path, off_t byte_count, size_t sample_count,
                       const char *promised) {
    ES_EXPECT_EQ(truncate(file_path, byte_count), 0);
    struct es_pcm *source = open_file(file_path);
    int end = 1;
    const size_t count = read_all(source, 1000, &end);
    es_pcm_close(source);
    ES_EXPECT_EQ(end, ES_ERR_INPUT);
    ES_EXPECT_EQ(count, sample_count);
    ES_EXPECT_CONTAINS(error.text, file_path);
    ES_EXPECT_CONTAINS(error.text, "cut short");
    ES_EXPECT_CONTAINS(error.text, promised);
    ES_EXPECT_CONTAINS(error.text, "copy it again");
    for (size_t i = 0; i < count; i++) {
        ES_EXPECT_NEAR(samples[i], frames[i], 1.0 / 32768.0);
    }
}

ES_TEST("a WAV, RF64, W64, AIFF, AU or FLAC file cut short gives what it holds and then says so") {
    fill_noise(20000);
    write_file("cut.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 20000);
    expect_cut(path, 44 + 20001, 10000, "promises 40000 bytes of samples, the file holds 20001");
    write_file("cut.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 16000, 1, 20000);
    expect_cut(path, 54 + 20000, 10000, "promises 40008 bytes of samples, the file holds 20008");
    write_file("cut.au", SF_FORMAT_AU | SF_FORMAT_PCM_16, 16000, 1, 20000);
    expect_cut(path, 24 + 20000, 10000, "promises 40000 bytes of samples, the file holds 20000");
    write_file("cut.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16, 16000, 1, 20000);
    expect_cut(path, 104 + 20000, 10000, "promises 40000 bytes of samples, the file holds 20000");
    write_file("cut.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 16000, 1, 20000);
    struct stat info;
    ES_EXPECT_EQ(stat(path, &info), 0);
    expect_cut(path, info.st_size - 20000, 10000, "promises 40000 bytes of samples");
    write_file("cut.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, 20000);
    ES_EXPECT_EQ(stat(path, &info), 0);
    expect_cut(path, info.st_size / 2, 8192, "promises 20000 frames"); /* whole FLAC blocks */
}

ES_TEST("an Ogg file that is cut short gives what it holds and then says so") {
    for (size_t i = 0; i < 96000; i++) {
        frames[i] = (float)(0.5 * sin((double)i * 0.05));
    }
    const int vorbis = SF_FORMAT_OGG | SF_FORMAT_VORBIS;
    ES_EXPECT_EQ(read_good(write_file("cut.ogg", vorbis, 16000, 1, 96000)), 96000);
    struct stat info;
    ES_EXPECT_EQ(stat(path, &info), 0);
    ES_EXPECT_EQ(truncate(path, info.st_size - 10), 0);
    struct es_pcm *source = open_file(path);
    int end = 1;
    const size_t count = read_all(source, 1000, &end);
    es_pcm_close(source);
    ES_EXPECT_EQ(end, ES_ERR_INPUT);
    ES_EXPECT(count > 0);
    ES_EXPECT(count < 96000);
    ES_EXPECT_CONTAINS(error.text, "cut short");
    ES_EXPECT_CONTAINS(error.text, "copy it again");
}

ES_TEST("a file that ends after its header is cut short") {
    fill_noise(100);
    write_file("header.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 100);
    ES_EXPECT_EQ(truncate(path, 44), 0);
    expect_refused(path, "promises 200 bytes of samples, the file holds 0", "copy it again");
}

ES_TEST("a cut file is drained through the resampler before it says so") {
    fill_noise(48000);
    write_file("cut48.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 48000, 1, 48000);
    ES_EXPECT_EQ(truncate(path, 44 + 2 * 24000), 0);
    struct es_pcm *source = open_file(path);
    int end = 1;
    ES_EXPECT_EQ(read_all(source, 333, &end), 8000);
    ES_EXPECT_EQ(end, ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "0.500 s");
    es_pcm_close(source);
}

ES_TEST("a WAV file that was streamed without a known length is read to its end") {
    fill_noise(1000);
    write_file("streamed.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1000);
    FILE *file = fopen(path, "r+b");
    ES_EXPECT(file != NULL);
    fseek(file, 4, SEEK_SET);
    fwrite("\xff\xff\xff\xff", 1, 4, file);
    fseek(file, 40, SEEK_SET);
    fwrite("\xff\xff\xff\xff", 1, 4, file);
    fclose(file);
    ES_EXPECT_EQ(read_good(path), 1000);
}
