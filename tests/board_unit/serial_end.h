/* serial_end.h - the other end of a serial line, made of a pseudo terminal.
 *
 *   struct serial_end end;
 *   serial_end_plug(&end, root, "ttyUSB0");      ROOT/dev/ttyUSB0 leads to it
 *   text = serial_end_read(&end);                all that came; not reading makes a stuck line
 *   serial_end_unplug(&end);                     what writes then gets an I/O error
 *
 * Unplugging takes the link away first: the system soon gives the name of a closed terminal to
 * another program, which may be a test beside this one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SERIAL_END_BYTES_MAX 200000u

struct serial_end {
    int fd; /* the master; -1 unplugged */
    char link[256];
    size_t byte_count; /* of the last read */
};

/* A directory with dev, proc and sys in it, for this program's tests. */
const char *serial_root(void);
/* Makes the folders of a path below the root, and at its end a file with this text (or none). */
void serial_root_file(const char *path, const char *text);

void serial_end_plug(struct serial_end *end, const char *name);
void serial_end_unplug(struct serial_end *end);
/* Terminated; static storage. */
const char *serial_end_read(struct serial_end *end);
/* The same for any descriptor. */
const char *serial_read(int fd, size_t *byte_count);
