#include "app/notify.h"

#include "platform/bounds.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct es_notify notify;
static struct es_error error;

/* systemd's side. `name` as in NOTIFY_SOCKET. */
static int listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ES_EXPECT(fd >= 0);
    ES_EXPECT_EQ(bind(fd, (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                 0);
    return fd;
}

static const char *next_message(int fd) {
    static char message[ES_NOTIFY_BYTES_MAX + 1u];
    ssize_t bytes = recv(fd, message, sizeof message - 1u, 0);
    message[bytes > 0 ? bytes : 0] = '\0';
    return message;
}

static const char *path_of(const char *name) {
    static char path[108];
    snprintf(path, sizeof path, "%s/%s", es_test_directory(), name);
    return path;
}

ES_TEST("messages reach a socket that is a path") {
    int fd = listen_at(path_of("notify"));
    ES_EXPECT_EQ(es_notify_open(&notify, path_of("notify"), NULL, NULL, &error), ES_OK);
    es_notify_send(&notify, "READY=1");
    es_notify_send(&notify, "STATUS=%u words", 3u);
    ES_EXPECT_TEXT(next_message(fd), "READY=1");
    ES_EXPECT_TEXT(next_message(fd), "STATUS=3 words");
    ES_EXPECT_EQ(notify.sent_count, 2);
    es_notify_close(&notify);
    close(fd);
}

ES_TEST("messages reach an abstract socket") {
    char name[64];
    snprintf(name, sizeof name, "@earshot-test-%d", (int)getpid());
    int fd = listen_at(name);
    ES_EXPECT_EQ(es_notify_open(&notify, name, NULL, NULL, &error), ES_OK);
    es_notify_send(&notify, "WATCHDOG=1");
    ES_EXPECT_TEXT(next_message(fd), "WATCHDOG=1");
    es_notify_close(&notify);
    close(fd);
}

ES_TEST("without NOTIFY_SOCKET nothing is sent, and a name that is none is refused") {
    ES_EXPECT_EQ(es_notify_open(&notify, NULL, "1000000", NULL, &error), ES_OK);
    es_notify_send(&notify, "READY=1");
    ES_EXPECT_EQ(notify.sent_count + notify.lost_count, 0);
    ES_EXPECT_EQ(notify.watchdog_us, 0);
    es_notify_close(&notify);
    char long_name[200];
    memset(long_name, '/', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    static const char *const bad[] = {"relative", "@", "/", NULL};
    for (int i = 0; i < 4; i++) {
        const char *name = bad[i] != NULL ? bad[i] : long_name;
        ES_EXPECT_EQ(es_notify_open(&notify, name, NULL, NULL, &error), ES_ERR_USAGE);
        ES_EXPECT_CONTAINS(error.text, "NOTIFY_SOCKET=");
        es_notify_send(&notify, "READY=1"); /* harmless */
    }
}

ES_TEST("a socket that is full or gone never blocks, and what was lost is counted") {
    int fd = listen_at(path_of("full"));
    ES_EXPECT_EQ(es_notify_open(&notify, path_of("full"), NULL, NULL, &error), ES_OK);
    for (int i = 0; i < 10000; i++) {
        es_notify_send(&notify, "WATCHDOG=1");
    }
    ES_EXPECT(notify.lost_count > 0);
    ES_EXPECT_EQ(notify.sent_count + notify.lost_count, 10000);
    close(fd);
    ES_EXPECT_EQ(unlink(path_of("full")), 0);
    uint64_t lost_count = notify.lost_count;
    es_notify_send(&notify, "WATCHDOG=1");
    ES_EXPECT_EQ(notify.lost_count, lost_count + 1u);
    es_notify_close(&notify);
}

ES_TEST("the watchdog's period is taken when it is meant for this process") {
    char pid[32];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    const char *path = path_of("nobody");
    ES_EXPECT_EQ(es_notify_open(&notify, path, "10000000", pid, &error), ES_OK);
    ES_EXPECT_EQ(notify.watchdog_us, 10000000);
    es_notify_close(&notify);
    ES_EXPECT_EQ(es_notify_open(&notify, path, "10000000", NULL, &error), ES_OK);
    ES_EXPECT_EQ(notify.watchdog_us, 10000000);
    es_notify_close(&notify);
    ES_EXPECT_EQ(es_notify_open(&notify, path, "10000000", "1", &error), ES_OK);
    ES_EXPECT_EQ(notify.watchdog_us, 0);
    es_notify_close(&notify);
    ES_EXPECT_EQ(es_notify_open(&notify, path, "soon", NULL, &error), ES_OK);
    ES_EXPECT_EQ(notify.watchdog_us, 0);
    es_notify_close(&notify);
}

ES_TEST("a status cannot smuggle a second message in") {
    int fd = listen_at(path_of("lines"));
    ES_EXPECT_EQ(es_notify_open(&notify, path_of("lines"), NULL, NULL, &error), ES_OK);
    es_notify_send(&notify, "STATUS=%s", "a\nWATCHDOG=1");
    ES_EXPECT_TEXT(next_message(fd), "STATUS=a?WATCHDOG=1");
    es_notify_close(&notify);
    close(fd);
}
