/* moody_disk.h - a disk that refuses, gives little, or fails.
 *
 *   memset(&moody_disk, 0, sizeof moody_disk);         all is well
 *   moody_disk.bytes_max = 1000;                       reads are short from here on
 *
 * For programs that are linked with -Wl,--wrap=pread -Wl,--wrap=fcntl: every pread and every
 * O_DIRECT flag of theirs comes through here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct moody_disk {
    bool refuses_flag;   /* fcntl says EINVAL to O_DIRECT */
    int refuses_read;    /* a direct pread fails with this errno */
    size_t bytes_max;    /* a pread gives no more than this; 0: no limit */
    uint64_t end_offset; /* the file ends here; 0: where it does */
    uint64_t bad_offset; /* from here on the disk fails; 0: nowhere */
    uint32_t direct_count;
    uint32_t buffered_count;
};

extern struct moody_disk moody_disk;
