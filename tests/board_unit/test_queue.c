#include "board/queue.h"

#include "tests/support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define BYTES 4096u
#define RECORD_COUNT 20000u

static uint8_t memory[ES_LANE_COUNT][BYTES];
static struct es_queue lanes[ES_LANE_COUNT];

static void start(void) {
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        es_queue_init(&lanes[lane], memory[lane], BYTES);
    }
}

static struct es_record record_of(uint64_t ticket, const char *text) {
    const struct es_word word = {text, (uint32_t)strlen(text), ticket * 10u, ticket * 10u + 5u};
    struct es_record record = {.ticket = ticket};
    es_record_word(&record, &word);
    return record;
}

ES_TEST("records come out as they went in, over the end of the ring many times") {
    struct es_record record;
    start();
    for (uint64_t i = 0; i < 5000; i++) {
        char text[ES_WORD_BYTES_MAX + 1];
        memset(text, 'a' + (int)(i % 26u), sizeof text);
        text[i * 7u % sizeof text] = '\0';
        record = record_of(i, text);
        ES_EXPECT(es_queue_push(&lanes[0], &record));
        memset(&record, 0, sizeof record);
        ES_EXPECT(es_queue_peek(&lanes[0], &record));
        ES_EXPECT_EQ(record.ticket, i);
        ES_EXPECT_EQ(record.end_ms, i * 10u + 5u);
        ES_EXPECT_EQ(record.text_bytes, strlen(text));
        ES_EXPECT(memcmp(record.text, text, record.text_bytes) == 0);
        es_queue_pop(&lanes[0]);
        ES_EXPECT(!es_queue_peek(&lanes[0], &record));
    }
}

ES_TEST("a full lane refuses the newest, counts it, and keeps what it has") {
    struct es_record record = record_of(0, "word");
    uint64_t taken_count = 0;
    start();
    for (uint64_t i = 0; i < 1000; i++) {
        record = record_of(i, "word");
        taken_count += es_queue_push(&lanes[0], &record);
    }
    ES_EXPECT(taken_count > 10 && taken_count < 1000);
    ES_EXPECT_EQ(es_queue_lost_records(&lanes[0]), 1000 - taken_count);
    ES_EXPECT_EQ(es_queue_lost_text_bytes(&lanes[0]), 4 * (1000 - taken_count));
    for (uint64_t i = 0; i < taken_count; i++) {
        ES_EXPECT(es_queue_peek(&lanes[0], &record));
        ES_EXPECT_EQ(record.ticket, i);
        es_queue_pop(&lanes[0]);
    }
    ES_EXPECT(!es_queue_peek(&lanes[0], &record));
}

ES_TEST("lanes are merged by their tickets") {
    struct es_record record;
    start();
    static const int order[] = {0, 1, 1, 0, 0, 1, 0};
    for (uint64_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        record = record_of(i, "word");
        ES_EXPECT(es_queue_push(&lanes[order[i]], &record));
    }
    for (uint64_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct es_queue *lane = es_queue_oldest(lanes, &record);
        ES_EXPECT(lane == &lanes[order[i]]);
        ES_EXPECT_EQ(record.ticket, i);
        es_queue_pop(lane);
    }
    ES_EXPECT(es_queue_oldest(lanes, &record) == NULL);
}

static void *produce(void *context) {
    struct es_queue *lane = context;
    for (uint64_t i = 1; i <= RECORD_COUNT; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        struct es_record record = record_of(i, text);
        while (!es_queue_push(lane, &record)) {
            sched_yield();
        }
    }
    return NULL;
}

ES_TEST("two threads push, a third one reads, and nothing is torn or out of order") {
    pthread_t producers[ES_LANE_COUNT];
    uint64_t last[ES_LANE_COUNT] = {0};
    struct es_record record;
    start();
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        ES_EXPECT_EQ(pthread_create(&producers[lane], NULL, produce, &lanes[lane]), 0);
    }
    for (uint64_t count = 0; count < RECORD_COUNT * ES_LANE_COUNT;) {
        struct es_queue *lane = es_queue_oldest(lanes, &record);
        if (lane == NULL) {
            sched_yield();
            continue;
        }
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)++last[lane - lanes]);
        ES_EXPECT_EQ(record.text_bytes, strlen(text));
        ES_EXPECT(memcmp(record.text, text, record.text_bytes) == 0);
        es_queue_pop(lane);
        count++;
    }
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        pthread_join(producers[lane], NULL);
    }
}
