#include "board/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_write(const char *path, int cause, struct es_error *error) {
    switch (cause) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: the disk has no room for the journal (%s); free some, or make it "
                       "smaller",
                       path, strerror(cause));
    case EROFS:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: the file system is read-only; put the journal elsewhere", path);
    case EWOULDBLOCK:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: another earshot writes this journal; give each its own", path);
    case ELOOP:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: is a symbolic link; give the path of the file itself", path);
    default:
        return es_fail(error, ES_ERR_OUTPUT,
                       "%s: the journal cannot be written (%s); check that its folder exists and "
                       "is this user's",
                       path, strerror(cause));
    }
}

static int write_head(int fd, uint64_t slot_count) {
    uint8_t head[ES_JOURNAL_HEAD_BYTES];
    es_journal_head_encode(slot_count, head);
    ssize_t count = pwrite(fd, head, sizeof head, 0);
    if (count != (ssize_t)sizeof head) {
        return count < 0 ? errno : ENOSPC;
    }
    return fdatasync(fd) == 0 ? 0 : errno;
}

/* A new journal: all of its blocks first, then the head, so that a cut between leaves zeros. */
static int begin(int fd, uint64_t file_bytes, struct es_journal_file *file) {
    file->slot_count = (file_bytes - ES_JOURNAL_HEAD_BYTES) / ES_JOURNAL_SLOT_BYTES;
    file->next_number = 0;
    uint64_t bytes = ES_JOURNAL_HEAD_BYTES + file->slot_count * ES_JOURNAL_SLOT_BYTES;
    if (ftruncate(fd, 0) != 0) {
        return errno;
    }
    int cause = posix_fallocate(fd, 0, (off_t)bytes);
    if (cause != 0) {
        /* What is there of it would fill the disk for nothing. */
        int truncated = ftruncate(fd, 0);
        (void)truncated;
        return cause;
    }
    return write_head(fd, file->slot_count);
}

/* An old journal keeps its size: to move records into another ring would be a second way to lose
 * them. */
static int go_on(int fd, const char *path, uint64_t file_bytes,
                 const struct es_journal_summary *found, struct es_journal_file *file,
                 struct es_error *notice) {
    uint64_t bytes = ES_JOURNAL_HEAD_BYTES + found->slot_count * ES_JOURNAL_SLOT_BYTES;
    file->slot_count = found->slot_count;
    file->next_number = found->next_number;
    int cause = posix_fallocate(fd, 0, (off_t)bytes);
    if (cause == 0 && found->is_head_damaged) {
        cause = write_head(fd, found->slot_count);
    }
    if (found->is_head_damaged || found->damaged_slots > 0) {
        (void)es_fail(notice, ES_OK,
                      "%s: %llu damaged slots%s (a power cut?); all others are there, and the "
                      "journal goes on",
                      path, (unsigned long long)found->damaged_slots,
                      found->is_head_damaged ? " and the head" : "");
    } else if (bytes + ES_JOURNAL_SLOT_BYTES <= file_bytes || bytes > file_bytes) {
        (void)es_fail(notice, ES_OK,
                      "%s: keeps its size of %llu bytes; move the file away to begin one of %llu",
                      path, (unsigned long long)bytes, (unsigned long long)file_bytes);
    }
    return cause;
}

int es_journal_file_check(const char *path, struct es_journal_summary *found,
                          struct es_error *error) {
    struct stat info = {0};
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? 0 : fail_write(path, errno, error);
    }
    int cause = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &info) == 0 ? 0 : errno;
    enum es_status status = ES_OK;
    if (cause == 0) {
        status = es_journal_file_scan(fd, path, found, error);
    }
    bool is_own = info.st_uid == geteuid() || geteuid() == 0;
    if (cause == 0 && status == ES_OK && (info.st_mode & 077) != 0 && !is_own) {
        cause = EPERM; /* its mode could not be narrowed */
    }
    (void)close(fd);
    if (status != ES_OK) {
        return (int)ES_ERR_OUTPUT;
    }
    return cause != 0 ? fail_write(path, cause, error) : found->slot_count > 0;
}

int es_journal_file_open(const char *path, uint64_t file_bytes, struct es_journal_file *file,
                         struct es_error *notice, struct es_error *error) {
    struct es_journal_summary found;
    struct stat info = {0};
    notice->text[0] = '\0';
    /* Not through a link: whoever may place one would choose what is overwritten. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) {
        return fail_write(path, errno, error);
    }
    int cause = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &info) == 0 ? 0 : errno;
    enum es_status status = ES_OK;
    if (cause == 0) {
        status = es_journal_file_scan(fd, path, &found, error);
    }
    if (cause == 0 && status == ES_OK && (info.st_mode & 077) != 0) {
        cause = fchmod(fd, 0600) == 0 ? 0 : errno;
    }
    if (cause == 0 && status == ES_OK) {
        cause = found.slot_count == 0 ? begin(fd, file_bytes, file)
                                      : go_on(fd, path, file_bytes, &found, file, notice);
    }
    if (cause == 0 && status == ES_OK) {
        return fd;
    }
    (void)close(fd);
    return status != ES_OK ? (int)ES_ERR_OUTPUT : fail_write(path, cause, error);
}
