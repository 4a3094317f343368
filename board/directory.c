#include "board/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool es_directory_open(struct es_directory *directory, const char *path) {
    directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    directory->used_bytes = 0;
    directory->at_bytes = 0;
    return directory->fd >= 0;
}

const char *es_directory_next(struct es_directory *directory) {
    for (;;) {
        if (directory->at_bytes == directory->used_bytes) {
            ssize_t bytes =
                getdents64(directory->fd, directory->entries, sizeof directory->entries);
            if (bytes <= 0) {
                return NULL;
            }
            directory->used_bytes = (size_t)bytes;
            directory->at_bytes = 0;
        }
        const struct dirent64 *entry =
            (const struct dirent64 *)(const void *)(directory->entries + directory->at_bytes);
        directory->at_bytes += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            return entry->d_name;
        }
    }
}

void es_directory_close(struct es_directory *directory) {
    (void)close(directory->fd);
}
