/* directory.h - the names in a directory, without an allocation: opendir takes 32 KiB.
 *
 *   if (es_directory_open(&directory, "/sys/bus/platform/devices")) {
 *       while ((name = es_directory_next(&directory)) != NULL) { ... }
 *       es_directory_close(&directory);
 *   } */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct es_directory {
    int fd;
    size_t used_bytes;
    size_t at_bytes;
    _Alignas(8) char entries[1024]; /* as the kernel writes them */
};

/* false when it cannot be read (errno says why); then there is nothing to close. */
bool es_directory_open(struct es_directory *directory, const char *path);
/* In the kernel's order, without "." and ".."; NULL at the end. Valid until the next call. */
const char *es_directory_next(struct es_directory *directory);
void es_directory_close(struct es_directory *directory);
