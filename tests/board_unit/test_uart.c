#include "board/uart.h"

#include "board/console.h"
#include "platform/clock.h"
#include "tests/board_unit/console_rig.h"
#include "tests/board_unit/serial_end.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct es_plan plan;
static struct es_arena arena;
static struct es_uart_layout layout;
static struct es_uart uart;
static struct es_error error;
static struct serial_end end;
static char block[ES_UART_RING_BYTES];

static void start(const char *device) {
    struct es_uart_config config = {.baud = 115200, .root = serial_root()};
    snprintf(config.device, sizeof config.device, "%s", device);
    es_plan_init(&plan);
    es_uart_layout(&plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&arena, &plan, &error), ES_OK);
    es_uart_init(&uart, &config, &layout, &arena);
}

static void stop(void) {
    es_uart_close(&uart);
    es_arena_release(&arena);
}

ES_TEST("bytes go through the ring in order, around its end many times") {
    static char sent[400000], got[400000];
    size_t got_bytes = 0;
    serial_end_plug(&end, "ttyUSB0");
    start("/dev/ttyUSB0");
    ES_EXPECT_EQ(es_uart_open(&uart, 1, &error), ES_OK);
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (char)('a' + i * 7u % 26u);
    }
    for (size_t done = 0, turn = 0; done < sizeof sent; turn++) {
        size_t count = 1u + turn * 131u % 3000u;
        count = count < sizeof sent - done ? count : sizeof sent - done;
        ES_EXPECT(es_uart_put(&uart, sent + done, (uint32_t)count));
        done += count;
        (void)es_uart_poll(&uart, turn + 1);
        const char *text = serial_end_read(&end);
        memcpy(got + got_bytes, text, end.byte_count);
        got_bytes += end.byte_count;
    }
    ES_EXPECT_EQ(got_bytes, sizeof sent);
    ES_EXPECT(memcmp(sent, got, sizeof sent) == 0);
    ES_EXPECT_EQ(uart.counters.written_bytes, sizeof sent);
    ES_EXPECT_EQ(uart.counters.lost_bytes, 0);
    stop();
    serial_end_unplug(&end);
}

ES_TEST("all or nothing: what does not fit whole is refused and counted") {
    start("/dev/ttyUSB0"); /* not there: the ring keeps what it gets */
    memset(block, 'x', sizeof block);
    ES_EXPECT(es_uart_put(&uart, block, ES_UART_RING_BYTES - 1u));
    ES_EXPECT(!es_uart_put(&uart, block, 2));
    ES_EXPECT_EQ(uart.counters.lost_bytes, 2);
    ES_EXPECT(es_uart_put(&uart, block, 1));
    ES_EXPECT_EQ(es_uart_room_bytes(&uart), 0);
    ES_EXPECT(!es_uart_put(&uart, block, 1));
    ES_EXPECT_EQ(uart.counters.lost_bytes, 3);
    stop();
}

ES_TEST("EAGAIN: a line that takes nothing is stuck, keeps its bytes, and is no error") {
    serial_end_plug(&end, "ttyUSB0");
    start("/dev/ttyUSB0");
    ES_EXPECT_EQ(es_uart_open(&uart, 1, &error), ES_OK);
    uint64_t put_bytes = 0;
    while (es_uart_put(&uart, "0123456789abcdef", 16)) {
        put_bytes += 16;
        (void)es_uart_poll(&uart, 2);
    }
    ES_EXPECT(uart.is_stuck);
    ES_EXPECT(es_uart_is_open(&uart));
    /* Once, and not with each of a thousand polls. On a busy machine the kernel moves what a pty
     * has taken some time later, and a little more finds room. */
    ES_EXPECT(uart.counters.stuck_count >= 1 && uart.counters.stuck_count <= 4);
    uint64_t read_bytes = 0;
    do {
        (void)serial_end_read(&end);
        read_bytes += end.byte_count;
        (void)es_uart_poll(&uart, 3);
    } while (end.byte_count > 0);
    ES_EXPECT_EQ(read_bytes, put_bytes);
    ES_EXPECT(!uart.is_stuck);
    stop();
    serial_end_unplug(&end);
}

ES_TEST("what a pty's reader has not taken yet is counted at once, however busy the machine is") {
    size_t byte_count = 0;
    start("pty");
    ES_EXPECT_EQ(es_uart_open(&uart, 1, &error), ES_OK);
    int reader = open(es_uart_path(&uart), O_RDWR | O_NOCTTY | O_NONBLOCK);
    ES_EXPECT(reader >= 0);
    for (int i = 0; i < 20000; i++) {
        ES_EXPECT(es_uart_put(&uart, "\r\n", 2));
        (void)es_uart_poll(&uart, 2);
        ES_EXPECT_EQ(es_uart_kernel_bytes(&uart), 2);
        ES_EXPECT_TEXT(serial_read(reader, &byte_count), "\r\n");
    }
    (void)close(reader);
    stop();
}

ES_TEST(
    "a device that is not there is looked for ever more rarely, and never rarer than a second") {
    start("3100000.serial");
    ES_EXPECT_EQ(es_uart_open(&uart, 1000, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "3100000.serial: no such device");
    uint64_t now_ms = 1000;
    uint32_t attempt_count = 0;
    uint64_t retry_at_ms = uart.retry_at_ms;
    ES_EXPECT_EQ(retry_at_ms, 1000 + ES_UART_RETRY_MS_MIN);
    while (now_ms < 61000) {
        uint32_t wait_ms = es_uart_poll(&uart, now_ms);
        ES_EXPECT(wait_ms > 0 && wait_ms <= ES_UART_POLL_MS);
        now_ms += wait_ms;
        attempt_count += uart.retry_at_ms != retry_at_ms;
        ES_EXPECT(uart.retry_at_ms - now_ms <= ES_UART_RETRY_MS_MAX);
        retry_at_ms = uart.retry_at_ms;
    }
    es_test_note("%u attempts in a minute", attempt_count);
    ES_EXPECT(attempt_count >= 60 && attempt_count < 70);
    stop();
}

ES_TEST("an address is resolved anew at each opening, when the adapter has another number") {
    start("1-9:1.0");
    serial_root_file("/sys/bus/usb/devices/1-9:1.0/ttyUSB0/tty/ttyUSB0/dev", "");
    serial_end_plug(&end, "ttyUSB0");
    ES_EXPECT_EQ(es_uart_open(&uart, 1000, &error), ES_OK);
    ES_EXPECT_TEXT(es_uart_path(&uart), "/dev/ttyUSB0");
    serial_end_unplug(&end);
    char old[512], new[512];
    snprintf(old, sizeof old, "%s/sys/bus/usb/devices/1-9:1.0", serial_root());
    snprintf(new, sizeof new, "%s/sys/bus/usb/devices/gone", serial_root());
    ES_EXPECT_EQ(rename(old, new), 0);
    (void)es_uart_poll(&uart, 1020);
    ES_EXPECT(!es_uart_is_open(&uart));
    ES_EXPECT_CONTAINS(uart.failure.text, "/dev/ttyUSB0: went away");
    serial_root_file("/sys/bus/usb/devices/1-9:1.0/ttyUSB1/tty/ttyUSB1/dev", "");
    serial_end_plug(&end, "ttyUSB1");
    (void)es_uart_poll(&uart, 3000);
    ES_EXPECT(es_uart_is_open(&uart));
    ES_EXPECT_TEXT(es_uart_path(&uart), "/dev/ttyUSB1");
    ES_EXPECT_EQ(uart.away_ms, 1980);
    stop();
    serial_end_unplug(&end);
}

/* -- the end of the console, which drains the line --------------------------------------------- */

static struct console_rig rig;

ES_TEST("what was said last is handed over at the end; a stuck line does not hold the end up") {
    struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
    for (int is_stuck = 0; is_stuck < 2; is_stuck++) {
        serial_end_plug(&end, "ttyUSB0");
        console_rig_start(&rig, &config);
        for (int i = 0; is_stuck == 1 && es_console_counters(&rig.console).lost_bytes == 0; i++) {
            console_rig_word(&rig, "word", (uint64_t)i, (uint64_t)i);
            console_rig_poll(&rig, 20);
        }
        console_rig_word(&rig, "last", 1000, 1300);
        uint64_t began_ns = es_clock_ns();
        es_console_stop(&rig.console, 1000);
        es_test_note("%.0f ms", (double)(es_clock_ns() - began_ns) * 1e-6);
        const char *text = serial_end_read(&end);
        struct es_console_counters counters = es_console_counters(&rig.console);
        ES_EXPECT(!counters.is_open);
        if (is_stuck == 0) {
            ES_EXPECT_TEXT(text, "[00:00:01] last\r\n");
            ES_EXPECT_EQ(counters.lost_bytes, 0);
        } else {
            ES_EXPECT(counters.lost_bytes > ES_UART_RING_BYTES / 2u);
        }
        es_arena_release(&rig.arena);
        serial_end_unplug(&end);
    }
}
