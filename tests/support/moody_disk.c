#include "tests/support/moody_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>

struct moody_disk moody_disk;

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
ssize_t __real_pread(int fd, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t offset);

int __wrap_fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    int value = va_arg(args, int);
    va_end(args);
    if (command == F_SETFL && (value & O_DIRECT) != 0 && moody_disk.refuses_flag) {
        errno = EINVAL;
        return -1;
    }
    return __real_fcntl(fd, command, value);
}

ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t offset) {
    const bool is_direct = (__real_fcntl(fd, F_GETFL) & O_DIRECT) != 0;
    moody_disk.direct_count += is_direct ? 1 : 0;
    moody_disk.buffered_count += is_direct ? 0 : 1;
    if (is_direct && moody_disk.refuses_read != 0) {
        errno = moody_disk.refuses_read;
        return -1;
    }
    if (moody_disk.bad_offset != 0 && (uint64_t)offset >= moody_disk.bad_offset) {
        errno = EIO;
        return -1;
    }
    if (moody_disk.end_offset != 0) {
        const uint64_t end = moody_disk.end_offset > (uint64_t)offset ? moody_disk.end_offset : 0;
        bytes = end == 0                                   ? 0
                : bytes < (size_t)(end - (uint64_t)offset) ? bytes
                                                           : (size_t)(end - (uint64_t)offset);
    }
    if (moody_disk.bytes_max != 0 && bytes > moody_disk.bytes_max) {
        bytes = moody_disk.bytes_max;
    }
    return __real_pread(fd, data, bytes, offset);
}
