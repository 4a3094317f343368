/* probe.c - what the guest's scripts need beside a shell: clocks, lines, ttys, frozen threads.
 *
 *   probe now                   CLOCK_MONOTONIC in ns
 *   probe stamp NAME            standard input, each line as "NS NAME LINE"
 *   probe lines PERIOD_US       the PL061's data register: "NS lines 0xNN" at every change
 *   probe notify SOCKET         sd_notify datagrams: "NS notify STATE|STATE"
 *   probe flow off|on TTY       stops the tty's output as a terminal with XOFF would, or lets it go
 *   probe fill TTY              writes dots until the tty takes no more; prints how many
 *   probe freeze TID MS         stops one thread alone, for so long
 *   probe hog MS                keeps the processor busy for so long, above every other thread
 *   probe synchronise           tells the kernel that its clock is that of the world
 *   probe ask REQUEST           asks the machine's outside (machine.py) and waits for its answer
 *
 * All times are the guest's own. `lines` reads physical memory: boot with iomem=relaxed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define GPIO_BASE 0x09030000 /* PL061 of qemu's machine "virt" */
#define GPIO_DATA 0x3fc      /* all eight lines */
#define ASK_TTY "/dev/ttyS1"
#define LINE_BYTES_MAX 4096

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_us(long us) {
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static int fail(const char *what) {
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    return 4;
}

static int run_now(void) {
    printf("%" PRIu64 "\n", now_ns());
    return 0;
}

static int run_stamp(const char *name) {
    char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        printf("%" PRIu64 " %s %s\n", now_ns(), name, line);
        fflush(stdout);
    }
    return 0;
}

static int run_lines(const char *period_us) {
    int fd = open("/dev/mem", O_RDONLY | O_SYNC);
    if (fd < 0) {
        return fail("/dev/mem");
    }
    const volatile uint32_t *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, GPIO_BASE);
    if (page == MAP_FAILED) {
        return fail("the PL061's registers (iomem=relaxed?)");
    }
    uint32_t last = UINT32_MAX;
    for (;;) {
        uint32_t levels = page[GPIO_DATA / 4];
        if (levels != last) {
            printf("%" PRIu64 " lines 0x%02" PRIx32 "\n", now_ns(), levels);
            fflush(stdout);
            last = levels;
        }
        sleep_us(strtol(period_us, NULL, 10));
    }
}

static int run_notify(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        return fail(path);
    }
    char state[LINE_BYTES_MAX];
    for (;;) {
        ssize_t count = recv(fd, state, sizeof state - 1, 0);
        if (count < 0) {
            return fail(path);
        }
        state[count] = '\0';
        for (char *c = state; *c != '\0'; c++) {
            *c = *c == '\n' ? '|' : *c;
        }
        printf("%" PRIu64 " notify %s\n", now_ns(), state);
        fflush(stdout);
    }
}

static int run_flow(const char *way, const char *path) {
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || tcflow(fd, strcmp(way, "off") == 0 ? TCOOFF : TCOON) != 0) {
        return fail(path);
    }
    return 0;
}

static int run_fill(const char *path) {
    int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return fail(path);
    }
    unsigned long total = 0;
    while (write(fd, ".", 1) == 1) {
        total++;
    }
    printf("%lu\n", total);
    return errno == EAGAIN ? 0 : fail(path);
}

static int run_freeze(const char *thread, const char *ms) {
    pid_t id = (pid_t)strtol(thread, NULL, 10);
    int status;
    if (ptrace(PTRACE_SEIZE, id, NULL, NULL) != 0 ||
        ptrace(PTRACE_INTERRUPT, id, NULL, NULL) != 0 || waitpid(id, &status, __WALL) != id) {
        return fail(thread);
    }
    sleep_us(strtol(ms, NULL, 10) * 1000);
    return ptrace(PTRACE_DETACH, id, NULL, NULL) == 0 ? 0 : fail(thread);
}

static int run_hog(const char *ms) {
    const struct sched_param first = {.sched_priority = 99};
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) {
        return fail("SCHED_FIFO");
    }
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000u;
    while (now_ns() < end_ns) {
    }
    return 0;
}

static int run_synchronise(void) {
    struct timex clock = {.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR};
    return adjtimex(&clock) >= 0 ? 0 : fail("adjtimex");
}

/* Spins while it waits: an idle guest in virtual time would be minutes ahead of the answer. */
static int run_ask(const char *request) {
    int fd = open(ASK_TTY, O_RDWR | O_NOCTTY | O_NONBLOCK);
    struct termios raw;
    if (fd < 0 || tcgetattr(fd, &raw) != 0) {
        return fail(ASK_TTY);
    }
    cfmakeraw(&raw);
    raw.c_cflag |= CLOCAL | CREAD;
    tcsetattr(fd, TCSANOW, &raw);
    tcflush(fd, TCIFLUSH);
    dprintf(fd, "%s\n", request);
    char answer[256];
    for (size_t used = 0; used < sizeof answer - 1;) {
        ssize_t count = read(fd, answer + used, 1);
        if (count == 1 && answer[used] == '\n') {
            printf("%" PRIu64 " asked %s: %.*s\n", now_ns(), request, (int)used, answer);
            return used >= 2 && memcmp(answer, "ok", 2) == 0 ? 0 : 1;
        }
        used += count == 1 ? 1 : 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "now") == 0 && argc == 2) {
        return run_now();
    } else if (strcmp(command, "stamp") == 0 && argc == 3) {
        return run_stamp(argv[2]);
    } else if (strcmp(command, "lines") == 0 && argc == 3) {
        return run_lines(argv[2]);
    } else if (strcmp(command, "notify") == 0 && argc == 3) {
        return run_notify(argv[2]);
    } else if (strcmp(command, "flow") == 0 && argc == 4) {
        return run_flow(argv[2], argv[3]);
    } else if (strcmp(command, "fill") == 0 && argc == 3) {
        return run_fill(argv[2]);
    } else if (strcmp(command, "freeze") == 0 && argc == 4) {
        return run_freeze(argv[2], argv[3]);
    } else if (strcmp(command, "hog") == 0 && argc == 3) {
        return run_hog(argv[2]);
    } else if (strcmp(command, "synchronise") == 0 && argc == 2) {
        return run_synchronise();
    } else if (strcmp(command, "ask") == 0 && argc == 3) {
        return run_ask(argv[2]);
    }
    fprintf(stderr,
            "probe: one of now, stamp, lines, notify, flow, fill, freeze, hog, synchronise, ask\n");
    return 2;
}
