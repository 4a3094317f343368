/* tty_line.c - the line's settings: the kernel's own termios2, whose speed is a number. The C
 * library's termios knows a list of speeds, and its header does not go together with this one. */
#include "board/tty.h"

#include <asm/termbits.h>
#include <errno.h>
#include <sys/ioctl.h>

int es_tty_set_raw(int fd, uint32_t baud, uint32_t *got_baud) {
    struct termios2 line;
    if (ioctl(fd, TCGETS2, &line) != 0) {
        return errno;
    }
    line.c_iflag = IGNBRK | IGNPAR;
    line.c_oflag = 0;
    line.c_lflag = 0;
    /* Without HUPCL a restart does not pull DTR, which resets some boards at the other end. */
    line.c_cflag &= CBAUD | (CBAUD << IBSHIFT);
    line.c_cflag |= CS8 | CREAD | CLOCAL;
    /* We never wait for a byte, but who reads the same line may: to `cat` nothing is the end. */
    line.c_cc[VMIN] = 1;
    line.c_cc[VTIME] = 0;
    if (baud > 0) {
        line.c_cflag &= ~(unsigned)(CBAUD | (CBAUD << IBSHIFT));
        line.c_cflag |= BOTHER | (BOTHER << IBSHIFT);
        line.c_ispeed = baud;
        line.c_ospeed = baud;
    }
    if (ioctl(fd, TCSETS2, &line) != 0 || ioctl(fd, TCGETS2, &line) != 0) {
        return errno;
    }
    *got_baud = line.c_ospeed;
    return 0;
}
