#include "board/tty.h"

#include "tests/board_unit/serial_end.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct es_error error;
static struct es_error notice;
static char path[ES_DEVICE_NAME_BYTES];
static const struct es_tty_line line = {.baud = 115200};

ES_TEST("an address leads to its tty, whatever number the tty has") {
    static const struct {
        const char *device, *file, *tty;
    } cases[] = {
        {"3100000.serial", "/sys/bus/platform/devices/3100000.serial/tty/ttyTHS1/dev",
         "/dev/ttyTHS1"},
        /* the serial core of Linux 6.8 */
        {"31d0000.serial",
         "/sys/bus/platform/devices/31d0000.serial/31d0000.serial:0/31d0000.serial:0.0/tty/ttyAMA3/"
         "dev",
         "/dev/ttyAMA3"},
        {"9000000.pl011", "/sys/bus/amba/devices/9000000.pl011/tty/ttyAMA0/dev", "/dev/ttyAMA0"},
        {"0000:00:03.0", "/sys/bus/pci/devices/0000:00:03.0/tty/ttyS1/dev", "/dev/ttyS1"},
        {"1-2:1.0", "/sys/bus/usb/devices/1-2:1.0/ttyUSB5/tty/ttyUSB5/dev", "/dev/ttyUSB5"},
        {"1-3", "/sys/bus/usb/devices/1-3/1-3:1.0/ttyUSB6/tty/ttyUSB6/dev", "/dev/ttyUSB6"},
        {"1-4:1.0", "/sys/bus/usb/devices/1-4:1.0/tty/ttyACM0/dev", "/dev/ttyACM0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        serial_root_file(cases[i].file, "");
        ES_EXPECT_EQ(es_tty_find(cases[i].device, serial_root(), path, &error), ES_OK);
        ES_EXPECT_TEXT(path, cases[i].tty);
    }
    ES_EXPECT_EQ(es_tty_find("/dev/serial/by-id/usb-FTDI", "", path, &error), ES_OK);
    ES_EXPECT_TEXT(path, "/dev/serial/by-id/usb-FTDI");
}

ES_TEST("an address that is not there, and one without a tty, are named apart") {
    serial_root_file("/sys/bus/platform/devices/3110000.serial/power/control", "on");
    ES_EXPECT_EQ(es_tty_find("3110000.serial", serial_root(), path, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "3110000.serial: the device is there and has no tty");
    ES_EXPECT_EQ(es_tty_find("3120000.serial", serial_root(), path, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "3120000.serial: no such device");
}

ES_TEST("the line is raw 8N1 at its speed, without flow control, exclusive") {
    struct serial_end end;
    serial_end_plug(&end, "ttyUSB0");
    int fd = es_tty_open("/dev/ttyUSB0", &line, serial_root(), &notice, &error);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_TEXT(notice.text, "");
    struct termios settings;
    ES_EXPECT_EQ(tcgetattr(fd, &settings), 0);
    ES_EXPECT_EQ(settings.c_cflag & (CSIZE | PARENB | CSTOPB | CRTSCTS | HUPCL), CS8);
    ES_EXPECT((settings.c_cflag & CLOCAL) != 0);
    ES_EXPECT_EQ(settings.c_oflag & OPOST, 0);
    ES_EXPECT_EQ(settings.c_lflag & (ICANON | ECHO | ISIG), 0);
    ES_EXPECT_EQ(settings.c_iflag & (IXON | IXOFF | ICRNL), 0);
    ES_EXPECT((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    int is_exclusive = 0;
    ES_EXPECT_EQ(ioctl(fd, TIOCGEXCL, &is_exclusive), 0);
    ES_EXPECT(is_exclusive);
    ES_EXPECT_EQ(write(fd, "a\n", 2), 2);
    ES_EXPECT_TEXT(serial_end_read(&end), "a\n");
    close(fd);
    serial_end_unplug(&end);
}

ES_TEST("a speed that no table has is set as a number") {
    struct serial_end end;
    const struct es_tty_line odd = {.baud = 250000};
    uint32_t got_baud = 0;
    serial_end_plug(&end, "ttyUSB0");
    int fd = es_tty_open("/dev/ttyUSB0", &odd, serial_root(), &notice, &error);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(es_tty_set_raw(fd, 74880, &got_baud), 0);
    ES_EXPECT_EQ(got_baud, 74880);
    close(fd);
    serial_end_unplug(&end);
}

ES_TEST("a missing device, a file, and a denied one are named with their remedies") {
    ES_EXPECT_EQ(es_tty_open("/dev/ttyUSB7", &line, serial_root(), &notice, &error),
                 ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "/dev/ttyUSB7: is not there");
    serial_root_file("/dev/file", "text");
    ES_EXPECT_EQ(es_tty_open("/dev/file", &line, serial_root(), &notice, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "/dev/file: is no serial line");
    ES_EXPECT_EQ(es_tty_fail(EACCES, "/dev/ttyUSB0", "", &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "group dialout");
}

/* A child with the line open; `how` 0 only open, 1 exclusive, 2 locked. Killed by the caller. */
static pid_t hold(const char *device, int how) {
    int ready[2];
    char byte;
    ES_EXPECT_EQ(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(device, O_RDWR | O_NOCTTY);
        bool is_held = fd >= 0 && (how != 1 || ioctl(fd, TIOCEXCL) == 0) &&
                       (how != 2 || flock(fd, LOCK_EX) == 0);
        (void)!write(ready[1], is_held ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    ES_EXPECT_EQ(read(ready[0], &byte, 1), 1);
    ES_EXPECT_EQ(byte, 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

ES_TEST("EBUSY names the holder, for root as well; a getty at the line is told") {
    char wanted[64];
    for (int how = 0; how < 3; how++) {
        struct serial_end end;
        serial_end_plug(&end, "ttyUSB0");
        /* Holders are looked for in the real /proc, so the real path is taken. */
        const char *device = ptsname(end.fd);
        pid_t pid = hold(device, how);
        int fd = es_tty_open(device, &line, "", &notice, &error);
        const char *says = how == 0 ? notice.text : error.text;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        ES_EXPECT_EQ(fd >= 0, how == 0);
        snprintf(wanted, sizeof wanted, "(pid %d)", (int)pid);
        ES_EXPECT_CONTAINS(says, wanted);
        ES_EXPECT_CONTAINS(says, how == 0 ? "has it open, too" : "is in use by test_tty");
        es_test_note("%s", says);
        if (fd >= 0) {
            close(fd);
        }
        fd = es_tty_open(device, &line, "", &notice, &error);
        ES_EXPECT(fd >= 0); /* the holder is gone */
        ES_EXPECT_TEXT(notice.text, "");
        close(fd);
        serial_end_unplug(&end);
    }
}

ES_TEST("a line that may be shared is neither claimed nor looked at") {
    struct serial_end end;
    const struct es_tty_line shared = {.baud = 9600, .is_shared = true};
    int is_exclusive = 1;
    serial_end_plug(&end, "ttyUSB0");
    int fd = es_tty_open("/dev/ttyUSB0", &shared, serial_root(), &notice, &error);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(ioctl(fd, TIOCGEXCL, &is_exclusive), 0);
    ES_EXPECT(!is_exclusive);
    close(fd);
    serial_end_unplug(&end);
}

ES_TEST("a pty of our own is raw, and its other end can be read") {
    int slave = -1;
    size_t byte_count;
    int fd = es_tty_open_pty(&slave, path, &error);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(strncmp(path, "/dev/pts/", 9), 0);
    int reader = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    ES_EXPECT_EQ(write(fd, "a\r\n", 3), 3);
    ES_EXPECT_TEXT(serial_read(reader, &byte_count), "a\r\n");
    close(reader);
    close(slave);
    close(fd);
}
