#include "app/checksums.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct es_checksums list;
static struct es_error error;

static enum es_status parse(const char *text) {
    return es_checksums_parse(&list, text, strlen(text), "dir/SHA256SUMS", &error);
}

static void expect_refusal(const char *text, const char *part) {
    ES_EXPECT_EQ(parse(text), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, part);
    ES_EXPECT_CONTAINS(error.text, ";");
}

static const char *write_file(const char *name, const void *bytes, size_t byte_count) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", es_test_directory(), name);
    FILE *file = fopen(path, "wb");
    ES_EXPECT(file != NULL);
    ES_EXPECT_EQ(fwrite(bytes, 1, byte_count, file), byte_count);
    (void)fclose(file);
    return path;
}

ES_TEST("a list is read as sha256sum writes it, in text and binary mode, other names passed over") {
    ES_EXPECT_EQ(parse(ABC "  params.json\n" EMPTY " *consolidated.safetensors\r\n\n" ABC
                           "  README.md\n\\" ABC "  a\\nb\n"),
                 ES_OK);
    ES_EXPECT(list.files[0].is_listed && list.files[1].is_listed && !list.files[2].is_listed);
    ES_EXPECT_TEXT(list.files[0].text, EMPTY);
    ES_EXPECT_TEXT(list.files[1].text, ABC);
    ES_EXPECT_EQ(parse("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
                       "  tekken.json"),
                 ES_OK);
    ES_EXPECT_TEXT(list.files[2].text, ABC);
    ES_EXPECT_EQ(parse(""), ES_OK);
    ES_EXPECT(!list.files[0].is_listed);
}

ES_TEST("what is no line of a list is refused with its number and the remedy") {
    expect_refusal(ABC "  params.json\nhello\n", "dir/SHA256SUMS:2: is no sum");
    expect_refusal(ABC " params.json\n", "dir/SHA256SUMS:1: is no sum");
    expect_refusal(ABC "  \n", "is no sum");
    expect_refusal("x" ABC "  params.json\n", "is no sum");
    expect_refusal("SHA256 (params.json) = " ABC "\n", "is no sum");
    expect_refusal(ABC "  ./params.json\n", "names a path; run sha256sum inside");
    expect_refusal(ABC "  ../../etc/shadow\n", "names a path");
    expect_refusal(ABC "  params.json\n" EMPTY "  params.json\n", ":2: a file has two sums");
    ES_EXPECT_EQ(parse(ABC "  params.json\n" ABC "  params.json\n"), ES_OK);
}

ES_TEST("a hostile list is bounded: long lines, zero bytes, a gigabyte, a FIFO") {
    static char text[ES_CHECKSUMS_BYTES_MAX + 10u];
    char path[512];
    memset(text, 'a', sizeof text);
    ES_EXPECT_EQ(es_checksums_parse(&list, text, sizeof text, "x", &error), ES_ERR_INPUT);
    static const char zero[] = ABC "  params.json\0/etc/passwd\n";
    ES_EXPECT_EQ(es_checksums_parse(&list, zero, sizeof zero - 1u, "x", &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "zero byte");
    (void)snprintf(path, sizeof path, "%s", write_file("SHA256SUMS", text, 10));
    ES_EXPECT_EQ(truncate(path, 1 << 30), 0);
    ES_EXPECT_EQ(es_checksums_read(&list, es_test_directory(), &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "SHA256SUMS: is longer than 65536 bytes; keep the lines");
    ES_EXPECT_EQ(unlink(path), 0);
    ES_EXPECT_EQ(mkfifo(path, 0600), 0);
    ES_EXPECT_EQ(es_checksums_read(&list, es_test_directory(), &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "is no file");
    ES_EXPECT_EQ(unlink(path), 0);
    ES_EXPECT_EQ(es_checksums_read(&list, es_test_directory(), &error), 0);
}

ES_TEST("a file's sum is SHA-256, over more than one chunk as well") {
    static char bytes[3u << 20];
    char text[ES_CHECKSUM_TEXT_BYTES];
    ES_EXPECT_EQ(es_checksums_hash(write_file("abc", "abc", 3), text, &error), ES_OK);
    ES_EXPECT_TEXT(text, ABC);
    ES_EXPECT_EQ(es_checksums_hash(write_file("empty", "", 0), text, &error), ES_OK);
    ES_EXPECT_TEXT(text, EMPTY);
    ES_EXPECT_EQ(es_checksums_hash(write_file("zeros", bytes, sizeof bytes), text, &error), ES_OK);
    ES_EXPECT_TEXT(text, "bbd05cf6097ac9b1f89ea29d2542c1b7b67ee46848393895f5a9e43fa1f621e5");
    ES_EXPECT_EQ(es_checksums_hash("/no/such/file", text, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "/no/such/file: cannot be read");
    ES_EXPECT_EQ(es_checksums_hash("/", text, &error), ES_ERR_INPUT);
}

ES_TEST("the list beside the bundled model is true: who replaces the model renews it") {
    ES_EXPECT_EQ(es_checksums_read(&list, ES_SOURCE_DIR "/models/bringup", &error), 1);
    for (uint32_t i = 0; i < ES_CHECKSUM_FILE_COUNT; i++) {
        char path[512];
        char text[ES_CHECKSUM_TEXT_BYTES];
        (void)snprintf(path, sizeof path, ES_SOURCE_DIR "/models/bringup/%s",
                       es_checksums_file_name(i));
        ES_EXPECT(list.files[i].is_listed);
        ES_EXPECT_EQ(es_checksums_hash(path, text, &error), ES_OK);
        ES_EXPECT_TEXT(text, list.files[i].text);
    }
}
