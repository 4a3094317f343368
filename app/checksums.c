#include "app/checksums.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (1u << 20) /* a disk's full speed; the hash is slower */
#define DIGIT_COUNT (ES_CHECKSUM_TEXT_BYTES - 1u)

static const char *const file_names[ES_CHECKSUM_FILE_COUNT] = {"consolidated.safetensors",
                                                               "params.json", "tekken.json"};

const char *es_checksums_file_name(uint32_t index) {
    return file_names[index];
}

/* -- the list ---------------------------------------------------------------------------------- */

struct place {
    const char *label;
    uint32_t line_index;
    struct es_error *error;
};

static enum es_status refuse(const struct place *place, const char *what) {
    return es_fail(place->error, ES_ERR_INPUT, "%s:%u: %s", place->label, place->line_index, what);
}

/* Sixty-four digits at the line's beginning. */
static bool has_digits(const char *line, size_t bytes) {
    for (size_t i = 0; i < DIGIT_COUNT; i++) {
        if (i >= bytes || !isxdigit((unsigned char)line[i])) {
            return false;
        }
    }
    return true;
}

static enum es_status take(struct es_checksums *list, const struct place *place, const char *line,
                           uint32_t index) {
    char text[ES_CHECKSUM_TEXT_BYTES] = "";
    for (size_t i = 0; i < DIGIT_COUNT; i++) {
        text[i] = (char)tolower((unsigned char)line[i]);
    }
    if (list->files[index].is_listed && strcmp(list->files[index].text, text) != 0) {
        return refuse(place, "a file has two sums; keep the one that its publisher names");
    }
    list->files[index].is_listed = true;
    memcpy(list->files[index].text, text, sizeof text);
    return ES_OK;
}

static enum es_status parse_line(struct es_checksums *list, const struct place *place,
                                 const char *line, size_t bytes) {
    if (bytes > 0 && line[bytes - 1u] == '\r') {
        bytes--;
    }
    if (bytes == 0) {
        return ES_OK;
    }
    if (memchr(line, '\0', bytes) != NULL) {
        return refuse(place, "holds a zero byte; write the list anew with sha256sum");
    }
    if (line[0] == '\\') {
        return ES_OK; /* so sha256sum begins a name with a line feed in it: no name of a model's */
    }
    const size_t name_at = DIGIT_COUNT + 2u;
    if (!has_digits(line, bytes) || bytes <= name_at || line[DIGIT_COUNT] != ' ' ||
        (line[DIGIT_COUNT + 1u] != ' ' && line[DIGIT_COUNT + 1u] != '*')) {
        return refuse(place, "is no sum, two spaces and a name; write the list anew with "
                             "sha256sum");
    }
    const char *name = line + name_at;
    const size_t name_bytes = bytes - name_at;
    if (memchr(name, '/', name_bytes) != NULL) {
        return refuse(place, "names a path; run sha256sum inside of the model's directory");
    }
    for (uint32_t i = 0; i < ES_CHECKSUM_FILE_COUNT; i++) {
        if (name_bytes == strlen(file_names[i]) && memcmp(name, file_names[i], name_bytes) == 0) {
            return take(list, place, line, i);
        }
    }
    return ES_OK;
}

enum es_status es_checksums_parse(struct es_checksums *list, const char *bytes, size_t byte_count,
                                  const char *label, struct es_error *error) {
    struct place place = {.label = label, .error = error};
    enum es_status status = ES_OK;
    memset(list, 0, sizeof *list);
    for (size_t at = 0; status == ES_OK && at < byte_count;) {
        const char *end = memchr(bytes + at, '\n', byte_count - at);
        const size_t line_bytes = end != NULL ? (size_t)(end - bytes) - at : byte_count - at;
        place.line_index++;
        status = parse_line(list, &place, bytes + at, line_bytes);
        at += line_bytes + 1u;
    }
    return status;
}

static enum es_status fail_read(const char *path, int cause, struct es_error *error) {
    return es_fail(error, ES_ERR_INPUT, "%s: cannot be read (%s); check the path and the disk",
                   path, strerror(cause));
}

/* Only files: a FIFO would keep one waiting. < 0 with the line. */
static int open_file(const char *path, struct es_error *error) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return (int)fail_read(path, errno, error);
    }
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        return fd;
    }
    (void)close(fd);
    return (int)es_fail(error, ES_ERR_INPUT, "%s: is no file; put the publisher's there", path);
}

/* Up to `byte_count` bytes; how many, or < 0 with errno. */
static ssize_t read_all(int fd, void *bytes, size_t byte_count) {
    size_t done = 0;
    while (done < byte_count) {
        ssize_t count = read(fd, (char *)bytes + done, byte_count - done);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return -1;
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    return (ssize_t)done;
}

int es_checksums_read(struct es_checksums *list, const char *directory, struct es_error *error) {
    char path[ES_FILE_PATH_BYTES];
    char bytes[ES_CHECKSUMS_BYTES_MAX + 1u];
    memset(list, 0, sizeof *list);
    (void)snprintf(path, sizeof path, "%s/" ES_CHECKSUMS_NAME, directory);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return 0;
    }
    int fd = open_file(path, error);
    if (fd < 0) {
        return fd;
    }
    ssize_t count = read_all(fd, bytes, sizeof bytes);
    int cause = errno;
    (void)close(fd);
    if (count < 0) {
        return (int)fail_read(path, cause, error);
    }
    if ((size_t)count > ES_CHECKSUMS_BYTES_MAX) {
        return (int)es_fail(error, ES_ERR_INPUT,
                            "%s: is longer than %u bytes; keep the lines of the model's files",
                            path, ES_CHECKSUMS_BYTES_MAX);
    }
    enum es_status status = es_checksums_parse(list, bytes, (size_t)count, path, error);
    return status == ES_OK ? 1 : (int)status;
}

/* -- a file ------------------------------------------------------------------------------------ */

enum es_status es_checksums_hash(const char *path, char *text, struct es_error *error) {
    static uint8_t chunk[CHUNK_BYTES];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA2_CTX sum;
    int fd = open_file(path, error);
    if (fd < 0) {
        return (enum es_status)fd;
    }
    ssize_t count;
    off_t done = 0;
    SHA256Init(&sum);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((count = read_all(fd, chunk, sizeof chunk)) > 0) {
        SHA256Update(&sum, chunk, (size_t)count);
        (void)posix_fadvise(fd, done, count, POSIX_FADV_DONTNEED);
        done += count;
    }
    int cause = errno;
    (void)close(fd);
    if (count < 0) {
        return fail_read(path, cause, error);
    }
    SHA256Final(digest, &sum);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(text + 2u * i, 3, "%02x", digest[i]);
    }
    return ES_OK;
}
