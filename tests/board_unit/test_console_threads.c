/* The console with its writer, two producers, and readers that are slow, stuck or gone. */
#include "board/console.h"

#include "tests/board_unit/console_rig.h"
#include "tests/board_unit/serial_end.h"
#include "tests/support/test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct console_rig rig;
static struct serial_end end;

#define WORD_COUNT 20000u

static void *speak(void *context) {
    (void)context;
    for (uint64_t i = 0; i < WORD_COUNT; i++) {
        console_rig_word(&rig, "word", i * 100u, i * 100u + 90u);
    }
    return NULL;
}

static void start(void) {
    struct es_console_config config = console_rig_config(ES_CONSOLE_JSONL);
    serial_end_plug(&end, "ttyUSB0");
    console_rig_start(&rig, &config);
    ES_EXPECT_EQ(es_console_start(&rig.console, &rig.error), ES_OK);
}

/* Words and events in what was read; lines have to be whole. */
static void count_lines(const char *text, uint64_t *word_count, uint64_t *event_count) {
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        ES_EXPECT(line[length] == '\n' && line[0] == '{' && line[length - 1] == '}');
        *word_count += strncmp(line, "{\"start_ms\"", 11) == 0;
        *event_count += strncmp(line, "{\"event\":\"state\"", 16) == 0;
        line += length + 1;
    }
}

ES_TEST("the producers of a stuck console come to their end, without waiting for it") {
    pthread_t speaker;
    start();
    ES_EXPECT_EQ(pthread_create(&speaker, NULL, speak, NULL), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        console_rig_event(&rig, "state", "muted", i);
    }
    pthread_join(speaker, NULL); /* nobody has read a byte */
    es_console_stop(&rig.console, 0);
    struct es_console_counters counters = es_console_counters(&rig.console);
    es_test_note("%llu bytes written, %llu lost", (unsigned long long)counters.written_bytes,
                 (unsigned long long)counters.lost_bytes);
    ES_EXPECT(counters.lost_bytes > 0);
    es_arena_release(&rig.arena);
    serial_end_unplug(&end);
}

struct reader {
    pthread_t thread;
    atomic_bool is_over;
    size_t byte_count;
    char text[4u << 20];
};

static struct reader reader;

static void *listen(void *context) {
    (void)context;
    for (;;) {
        bool was_over = atomic_load(&reader.is_over);
        const char *text = serial_end_read(&end);
        if (reader.byte_count + end.byte_count >= sizeof reader.text) {
            return NULL; /* the counts will not agree */
        }
        memcpy(reader.text + reader.byte_count, text, end.byte_count);
        reader.byte_count += end.byte_count;
        if (end.byte_count == 0 && was_over) {
            return NULL;
        }
        struct pollfd line = {.fd = end.fd, .events = POLLIN};
        (void)poll(&line, 1, 10);
    }
}

ES_TEST("with a reader all that was not counted as lost arrives, in whole lines") {
    pthread_t speaker;
    uint64_t word_count = 0;
    uint64_t event_count = 0;
    start();
    memset(&reader, 0, sizeof reader);
    ES_EXPECT_EQ(pthread_create(&reader.thread, NULL, listen, NULL), 0);
    ES_EXPECT_EQ(pthread_create(&speaker, NULL, speak, NULL), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        console_rig_event(&rig, "state", "muted", i);
    }
    pthread_join(speaker, NULL);
    es_console_stop(&rig.console, 60000);
    atomic_store(&reader.is_over, true);
    pthread_join(reader.thread, NULL);
    reader.text[reader.byte_count] = '\0';
    count_lines(reader.text, &word_count, &event_count);
    struct es_console_counters counters = es_console_counters(&rig.console);
    uint64_t refused = es_queue_lost_records(&rig.console.lanes[ES_LANE_ENGINE]) +
                       es_queue_lost_records(&rig.console.lanes[ES_LANE_CONTROL]);
    es_test_note("%llu words and %llu events of %u and 1000 arrived; %llu refused by the lanes, "
                 "%llu bytes lost",
                 (unsigned long long)word_count, (unsigned long long)event_count, WORD_COUNT,
                 (unsigned long long)refused, (unsigned long long)counters.lost_bytes);
    ES_EXPECT_EQ(counters.written_bytes, reader.byte_count);
    ES_EXPECT(word_count + event_count + refused <= WORD_COUNT + 1000u);
    ES_EXPECT(counters.lost_bytes > 0 || word_count + event_count == WORD_COUNT + 1000u);
    es_arena_release(&rig.arena);
    serial_end_unplug(&end);
}

ES_TEST("counters, failure and path may be asked for while the line comes and goes") {
    char path[ES_DEVICE_NAME_BYTES];
    struct es_error failure;
    start();
    for (int i = 0; i < 20; i++) {
        serial_end_unplug(&end);
        for (int turn = 0; turn < 50; turn++) {
            console_rig_word(&rig, "word", (uint64_t)turn, (uint64_t)turn);
            es_console_set_clock(&rig.console, turn);
            es_console_path(&rig.console, path);
            es_console_failure(&rig.console, &failure);
            es_console_notice(&rig.console, &failure);
            (void)es_console_counters(&rig.console);
        }
        serial_end_plug(&end, "ttyUSB0");
    }
    es_console_stop(&rig.console, 0);
    es_arena_release(&rig.arena);
    serial_end_unplug(&end);
}
