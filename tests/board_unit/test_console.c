#include "board/console.h"

#include "tests/board_unit/console_rig.h"
#include "tests/board_unit/serial_end.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct console_rig rig;
static struct serial_end end;

static void start(enum es_console_mode mode) {
    struct es_console_config config = console_rig_config(mode);
    serial_end_plug(&end, "ttyUSB0");
    console_rig_start(&rig, &config);
}

static void stop(void) {
    console_rig_stop(&rig);
    serial_end_unplug(&end);
}

static const char *heard(void) {
    console_rig_poll(&rig, 20);
    return serial_end_read(&end);
}

static void piece(const char *text, uint64_t at_ms) {
    es_console_piece(&rig.console, text, (uint32_t)strlen(text), at_ms);
}

ES_TEST("words come as they are said, with a stamp after a pause, and events begin with #") {
    start(ES_CONSOLE_TEXT);
    console_rig_event(&rig, "state", "listening", 0);
    ES_EXPECT_TEXT(heard(), "# listening\r\n");
    console_rig_word(&rig, "seven", 1100, 1600);
    ES_EXPECT_TEXT(heard(), "[00:00:01] seven");
    console_rig_word(&rig, "up", 3099, 3400);
    ES_EXPECT_TEXT(heard(), " up");
    console_rig_word(&rig, "go", 4900, 5300);
    ES_EXPECT_TEXT(heard(), "\r\n[00:00:04] go");
    console_rig_event(&rig, "state", "muted", 5400);
    ES_EXPECT_TEXT(heard(), "\r\n# muted\r\n");
    console_rig_word(&rig, "on", 5500, 5800);
    ES_EXPECT_TEXT(heard(), "[00:00:05] on");
    stop();
}

ES_TEST("a piece may be longer than a record: an odd vocabulary ends nothing") {
    static char text[2u * ES_WORD_BYTES_MAX + 100u];
    memset(text, 'x', sizeof text - 1u);
    struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
    config.takes_pieces = true;
    serial_end_plug(&end, "ttyUSB0");
    console_rig_start(&rig, &config);
    piece(text, 1000);
    const char *got = heard();
    ES_EXPECT_EQ(strlen(got), strlen("[00:00:01] ") + sizeof text - 1u);
    stop();
}

ES_TEST("the end ends the line: what comes next on that terminal begins at its left") {
    start(ES_CONSOLE_TEXT);
    console_rig_word(&rig, "seven", 1100, 1600);
    ES_EXPECT_TEXT(heard(), "[00:00:01] seven");
    console_rig_word(&rig, "up", 1700, 1900); /* still in its lane */
    es_console_stop(&rig.console, 1000);
    ES_EXPECT_TEXT(serial_end_read(&end), " up\r\n");
    stop();
}

ES_TEST("a card's name and a clock's news say what they are about") {
    start(ES_CONSOLE_TEXT);
    console_rig_event(&rig, "microphone", "hw:CARD=Mic,DEV=0 (USB Audio)", 0);
    console_rig_event(&rig, "clock", "was set by +3.0 s", 0);
    console_rig_event(&rig, "gap", "1.2 s not heard: mute", 0);
    ES_EXPECT_TEXT(heard(), "# microphone: hw:CARD=Mic,DEV=0 (USB Audio)\r\n"
                            "# clock: was set by +3.0 s\r\n# 1.2 s not heard: mute\r\n");
    stop();
}

ES_TEST("a line ends by itself when nothing came for a pause") {
    start(ES_CONSOLE_TEXT);
    console_rig_word(&rig, "seven", 1000, 1600);
    ES_EXPECT_TEXT(heard(), "[00:00:01] seven");
    console_rig_poll(&rig, ES_CONSOLE_PAUSE_MS - 40u);
    ES_EXPECT_TEXT(serial_end_read(&end), "");
    console_rig_poll(&rig, 40);
    ES_EXPECT_TEXT(serial_end_read(&end), "\r\n");
    console_rig_poll(&rig, 10000);
    ES_EXPECT_TEXT(serial_end_read(&end), "");
    console_rig_word(&rig, "up", 2000, 2600);
    ES_EXPECT_TEXT(heard(), "[00:00:02] up");
    stop();
}

ES_TEST("pieces are put out as they come, even in the middle of a character") {
    struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
    config.takes_pieces = true;
    serial_end_plug(&end, "ttyUSB0");
    console_rig_start(&rig, &config);
    piece(" se", 1600);
    ES_EXPECT_TEXT(heard(), "[00:00:01] se");
    piece("ven", 1600);
    piece(" caf\xC3", 2000);
    ES_EXPECT_TEXT(heard(), "ven caf");
    console_rig_word(&rig, "ignored", 2000, 2200);
    piece("\xA9 ", 2000);
    ES_EXPECT_TEXT(heard(), "\xC3\xA9 ");
    piece(" ", 9000);
    ES_EXPECT_TEXT(heard(), ""); /* blanks alone begin no line */
    piece("go", 9000);
    ES_EXPECT_TEXT(heard(), "\r\n[00:00:09] go");
    stop();
}

ES_TEST("nothing that was said can drive the terminal") {
    start(ES_CONSOLE_TEXT);
    console_rig_word(&rig, "\x1B[2J\x07\x7F\xC2\x9B\xFF\tx", 1000, 1600);
    ES_EXPECT_TEXT(heard(), "[00:00:01] \xEF\xBF\xBD[2J\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                            "\xEF\xBF\xBD x");
    console_rig_event(&rig, "gap", "a\r\nb\x1B", 1700);
    ES_EXPECT_TEXT(heard(), "\r\n# a  b\xEF\xBF\xBD\r\n");
    stop();
}

ES_TEST("a terminal of ASCII gets ASCII") {
    struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
    config.is_ascii = true;
    serial_end_plug(&end, "ttyUSB0");
    console_rig_start(&rig, &config);
    console_rig_word(&rig,
                     "Stra\xC3\x9F"
                     "e",
                     1000, 1600);
    console_rig_word(&rig, "\xE2\x80\x9C\xE6\x97\xA5\xE2\x80\x9D\x07", 1700, 1800);
    ES_EXPECT_TEXT(heard(), "[00:00:01] Strasse \"?\"?");
    stop();
    config.mode = ES_CONSOLE_JSONL;
    serial_end_plug(&end, "ttyUSB0");
    console_rig_start(&rig, &config);
    console_rig_word(&rig, "\xC3\x9F\xF0\x9F\x99\x82", 1000, 1600);
    ES_EXPECT_TEXT(heard(),
                   "{\"start_ms\":1000,\"end_ms\":1600,\"text\":\"\\u00df\\ud83d\\ude42\"}\n");
    stop();
}

ES_TEST("jsonl is one object for each word and each event") {
    start(ES_CONSOLE_JSONL);
    console_rig_word(&rig, "a\"\xFF", 1000, 1600);
    console_rig_event(&rig, "state", "muted", 1700);
    piece("ignored", 1800);
    ES_EXPECT_TEXT(heard(), "{\"start_ms\":1000,\"end_ms\":1600,\"text\":\"a\\\"\xEF\xBF\xBD\"}\n"
                            "{\"event\":\"state\",\"at_ms\":1700,\"text\":\"muted\"}\n");
    stop();
}

ES_TEST("the longest words pass, whatever they are made of") {
    char word[ES_WORD_BYTES_MAX + 1];
    for (int mode = ES_CONSOLE_TEXT; mode <= ES_CONSOLE_JSONL; mode++) {
        for (int byte = 1; byte < 256; byte++) {
            memset(word, byte, ES_WORD_BYTES_MAX);
            word[ES_WORD_BYTES_MAX] = '\0';
            start((enum es_console_mode)mode);
            console_rig_word(&rig, word, 1000, 1600);
            console_rig_event(&rig, word, word, 1700);
            console_rig_poll(&rig, 20);
            ES_EXPECT_EQ(es_console_counters(&rig.console).lost_bytes, 0);
            stop();
        }
    }
}

ES_TEST("stamps show the time of day once it is known") {
    start(ES_CONSOLE_TEXT);
    console_rig_word(&rig, "a", 100ull * 3600u * 1000u, 100ull * 3600u * 1000u + 300u);
    ES_EXPECT_TEXT(heard(), "[100:00:00] a");
    es_console_set_clock(&rig.console, 1764000000000); /* 16:00:00 UTC */
    console_rig_word(&rig, "b", 100ull * 3600u * 1000u + 61000u, 100ull * 3600u * 1000u + 62000u);
    ES_EXPECT_TEXT(heard(), "\r\n[20:01:01] b");
    stop();
}

/* Speaks until the line and the ring are full. */
static uint64_t speak_until_lost(void) {
    uint64_t ms = 1000;
    while (es_console_counters(&rig.console).lost_bytes < 3000) {
        console_rig_word(&rig, "word", ms, ms + 10);
        ms += 100;
        console_rig_poll(&rig, 20);
    }
    return ms;
}

ES_TEST("complaint: a stuck console: nothing waits, the loss is counted and said where it is") {
    start(ES_CONSOLE_TEXT);
    uint64_t ms = speak_until_lost();
    ES_EXPECT(es_console_counters(&rig.console).is_stuck);
    uint64_t lost_bytes = es_console_counters(&rig.console).lost_bytes;
    /* The reader comes back: what waited comes first, then the news, then what is said now. */
    char wanted[64];
    static char all[SERIAL_END_BYTES_MAX];
    size_t used = 0;
    for (int i = 0; i < 50; i++) {
        console_rig_poll(&rig, 20);
        const char *text = serial_end_read(&end);
        memcpy(all + used, text, end.byte_count);
        used += end.byte_count;
    }
    all[used] = '\0';
    snprintf(wanted, sizeof wanted, "\r\n# lost %llu bytes\r\n", (unsigned long long)lost_bytes);
    ES_EXPECT_CONTAINS(all, wanted);
    ES_EXPECT_TEXT(strstr(all, "# lost"), wanted + 2); /* and nothing after it */
    ES_EXPECT(!es_console_counters(&rig.console).is_stuck);
    console_rig_word(&rig, "back", ms, ms + 10);
    ES_EXPECT_CONTAINS(heard(), "] back");
    ES_EXPECT_EQ(es_console_counters(&rig.console).lost_bytes, lost_bytes);
    stop();
}

ES_TEST("every byte of a stuck console is either read in the end or counted as lost") {
    start(ES_CONSOLE_JSONL);
    uint64_t sent_bytes = 0;
    uint64_t read_bytes = 0;
    uint64_t news_bytes = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        const char object[] = "{\"start_ms\":10000,\"end_ms\":10010,\"text\":\"word\"}\n";
        console_rig_word(&rig, "word", 10000, 10010);
        sent_bytes += sizeof object - 1;
        if (i % 64u == 0) {
            console_rig_poll(&rig, 20);
        }
        if (i % 1500u == 1499u || i == 3999u) {
            for (int round = 0; round < 20; round++) {
                console_rig_poll(&rig, 20);
                const char *text = serial_end_read(&end);
                read_bytes += end.byte_count;
                for (const char *at = text; (at = strstr(at, "{\"event\"")) != NULL; at++) {
                    news_bytes += strcspn(at, "\n") + 1u;
                }
            }
        }
    }
    uint64_t lost_bytes = es_console_counters(&rig.console).lost_bytes;
    es_test_note("%llu bytes said, %llu read, %llu lost", (unsigned long long)sent_bytes,
                 (unsigned long long)(read_bytes - news_bytes), (unsigned long long)lost_bytes);
    ES_EXPECT(lost_bytes > 0);
    ES_EXPECT_EQ(read_bytes - news_bytes + lost_bytes, sent_bytes);
    stop();
}

ES_TEST("complaint: an adapter that is pulled out and put back in goes on by itself") {
    start(ES_CONSOLE_TEXT);
    struct es_error failure;
    console_rig_word(&rig, "one", 1000, 1300);
    ES_EXPECT_TEXT(heard(), "[00:00:01] one");
    serial_end_unplug(&end);
    console_rig_word(&rig, "two", 1400, 1700);
    console_rig_poll(&rig, 5000);
    ES_EXPECT(!es_console_counters(&rig.console).is_open);
    es_console_failure(&rig.console, &failure);
    ES_EXPECT_CONTAINS(failure.text, "/dev/ttyUSB0: is not there");
    serial_end_plug(&end, "ttyUSB0");
    console_rig_poll(&rig, ES_UART_RETRY_MS_MAX);
    ES_EXPECT(es_console_counters(&rig.console).is_open);
    ES_EXPECT_EQ(es_console_counters(&rig.console).open_count, 2);
    const char *text = serial_end_read(&end);
    ES_EXPECT_CONTAINS(text, " two");
    ES_EXPECT_CONTAINS(text, "# console back after 5");
    es_console_failure(&rig.console, &failure);
    ES_EXPECT_TEXT(failure.text, "");
    stop();
}

ES_TEST("a console that is not there at the start is no failure of the start") {
    struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
    struct es_error failure;
    console_rig_start(&rig, &config);
    es_console_failure(&rig.console, &failure);
    ES_EXPECT_CONTAINS(failure.text, "/dev/ttyUSB0: is not there; plug the adapter in");
    console_rig_word(&rig, "one", 1000, 1300);
    console_rig_poll(&rig, 3000);
    serial_end_plug(&end, "ttyUSB0");
    console_rig_poll(&rig, ES_UART_RETRY_MS_MAX);
    ES_EXPECT_TEXT(serial_end_read(&end), "[00:00:01] one\r\n");
    stop();
}

ES_TEST("a name or a speed that can never be right is a failure of the start") {
    static const struct {
        const char *device, *says;
        uint32_t baud;
    } cases[] = {{"", "is no device", 9600},
                 {"/dev/../etc/passwd", "is no device", 9600},
                 {"/dev/ttyUSB0", "0 baud is out of range", 0},
                 {"/dev/ttyUSB0", "out of range; give 50 to 12000000", 99999999}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
        snprintf(config.uart.device, sizeof config.uart.device, "%s", cases[i].device);
        config.uart.baud = cases[i].baud;
        es_plan_init(&rig.plan);
        es_console_layout(&rig.plan, &rig.layout);
        ES_EXPECT_EQ(es_arena_reserve(&rig.arena, &rig.plan, &rig.error), ES_OK);
        ES_EXPECT_EQ(es_console_init(&rig.console, &config, &rig.layout, &rig.arena, &rig.error),
                     ES_ERR_USAGE);
        ES_EXPECT_CONTAINS(rig.error.text, cases[i].says);
        es_console_stop(&rig.console, 0);
        es_arena_release(&rig.arena);
    }
}

ES_TEST("a pty works without a reader, and readers may come and go") {
    struct es_console_config config = console_rig_config(ES_CONSOLE_TEXT);
    char path[ES_DEVICE_NAME_BYTES];
    size_t byte_count;
    snprintf(config.uart.device, sizeof config.uart.device, "pty");
    console_rig_start(&rig, &config);
    es_console_path(&rig.console, path);
    ES_EXPECT_EQ(strncmp(path, "/dev/pts/", 9), 0);
    console_rig_word(&rig, "one", 1000, 1300);
    console_rig_poll(&rig, 20);
    for (int i = 0; i < 3; i++) {
        int reader = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
        ES_EXPECT(reader >= 0);
        ES_EXPECT_TEXT(serial_read(reader, &byte_count), i == 0 ? "[00:00:01] one" : " two");
        /* What is typed there neither echoes nor piles up. */
        ES_EXPECT_EQ(write(reader, "typed\r", 6), 6);
        close(reader);
        console_rig_word(&rig, "two", 1400, 1700);
        console_rig_poll(&rig, 20);
    }
    int reader = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    ES_EXPECT_TEXT(serial_read(reader, &byte_count), " two");
    char byte;
    ES_EXPECT_EQ(read(reader, &byte, 1), -1); /* 0 would be the end of it for `cat` */
    ES_EXPECT_EQ(errno, EAGAIN);
    close(reader);
    speak_until_lost(); /* nobody reads: full, and counted */
    ES_EXPECT(es_console_counters(&rig.console).is_open);
    console_rig_stop(&rig);
}
