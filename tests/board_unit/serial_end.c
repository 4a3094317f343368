#include "tests/board_unit/serial_end.h"

#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *serial_root(void) {
    static char root[128];
    snprintf(root, sizeof root, "%s/root", es_test_directory());
    mkdir(root, 0700);
    serial_root_file("/dev/", NULL);
    serial_root_file("/proc/", NULL);
    serial_root_file("/sys/", NULL);
    return root;
}

void serial_root_file(const char *path, const char *text) {
    char full[512];
    snprintf(full, sizeof full, "%s/root%s", es_test_directory(), path);
    for (char *slash = full + strlen(es_test_directory()) + 1;
         (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    if (text != NULL) {
        FILE *file = fopen(full, "w");
        ES_EXPECT(file != NULL);
        ES_EXPECT(fputs(text, file) >= 0);
        fclose(file);
    }
}

void serial_end_plug(struct serial_end *end, const char *name) {
    end->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    ES_EXPECT(end->fd >= 0 && grantpt(end->fd) == 0 && unlockpt(end->fd) == 0);
    snprintf(end->link, sizeof end->link, "%s/dev/%s", serial_root(), name);
    unlink(end->link);
    ES_EXPECT_EQ(symlink(ptsname(end->fd), end->link), 0);
}

void serial_end_unplug(struct serial_end *end) {
    unlink(end->link);
    close(end->fd);
    end->fd = -1;
}

const char *serial_read(int fd, size_t *byte_count) {
    static char text[SERIAL_END_BYTES_MAX + 1u];
    ssize_t count;
    *byte_count = 0;
    while ((count = read(fd, text + *byte_count, SERIAL_END_BYTES_MAX - *byte_count)) > 0) {
        *byte_count += (size_t)count;
    }
    text[*byte_count] = '\0';
    return text;
}

const char *serial_end_read(struct serial_end *end) {
    return serial_read(end->fd, &end->byte_count);
}
