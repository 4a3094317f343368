#include "board/queue.h"

#include "platform/assert.h"

#include <stddef.h>
#include <string.h>

/* A record in the lane: its bytes up to `text`, then only the text that it has. */
#define HEAD_BYTES ((uint32_t)offsetof(struct es_record, text))

void es_queue_init(struct es_queue *queue, void *bytes, uint32_t byte_count) {
    ES_ASSERT(byte_count > sizeof(struct es_record));
    ES_ASSERT((byte_count & (byte_count - 1u)) == 0u);
    memset(queue, 0, sizeof *queue);
    queue->bytes = bytes;
    queue->byte_count = byte_count;
}

static void copy_in(struct es_queue *queue, uint32_t at, const void *bytes, uint32_t count) {
    uint32_t first = at & (queue->byte_count - 1u);
    uint32_t run = queue->byte_count - first < count ? queue->byte_count - first : count;
    memcpy(queue->bytes + first, bytes, run);
    memcpy(queue->bytes, (const uint8_t *)bytes + run, count - run);
}

static void copy_out(const struct es_queue *queue, uint32_t at, void *bytes, uint32_t count) {
    uint32_t first = at & (queue->byte_count - 1u);
    uint32_t run = queue->byte_count - first < count ? queue->byte_count - first : count;
    memcpy(bytes, queue->bytes + first, run);
    memcpy((uint8_t *)bytes + run, queue->bytes, count - run);
}

bool es_queue_push(struct es_queue *queue, const struct es_record *record) {
    ES_ASSERT(record->text_bytes <= ES_WORD_BYTES_MAX);
    uint32_t count = HEAD_BYTES + record->text_bytes;
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
    if (queue->byte_count - (head - tail) < count) {
        atomic_fetch_add_explicit(&queue->lost_records, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&queue->lost_text_bytes, record->text_bytes,
                                  memory_order_relaxed);
        return false;
    }
    copy_in(queue, head, record, count);
    atomic_store_explicit(&queue->head, head + count, memory_order_release);
    return true;
}

bool es_queue_peek(struct es_queue *queue, struct es_record *record) {
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    if (atomic_load_explicit(&queue->head, memory_order_acquire) == tail) {
        return false;
    }
    copy_out(queue, tail, record, HEAD_BYTES);
    copy_out(queue, tail + HEAD_BYTES, record->text, record->text_bytes);
    return true;
}

void es_queue_pop(struct es_queue *queue) {
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    ES_ASSERT(atomic_load_explicit(&queue->head, memory_order_acquire) != tail);
    uint32_t text_bytes;
    copy_out(queue, tail + (uint32_t)offsetof(struct es_record, text_bytes), &text_bytes,
             sizeof text_bytes);
    atomic_store_explicit(&queue->tail, tail + HEAD_BYTES + text_bytes, memory_order_release);
}

struct es_queue *es_queue_oldest(struct es_queue *lanes, struct es_record *record) {
    struct es_queue *oldest = NULL;
    struct es_record other;
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        if (es_queue_peek(&lanes[lane], &other) &&
            (oldest == NULL || other.ticket < record->ticket)) {
            *record = other;
            oldest = &lanes[lane];
        }
    }
    return oldest;
}

void es_record_word(struct es_record *record, const struct es_word *word) {
    ES_ASSERT(word->text_bytes <= ES_WORD_BYTES_MAX);
    record->kind = ES_RECORD_WORD;
    record->start_ms = word->start_ms;
    record->end_ms = word->end_ms;
    record->name[0] = '\0';
    record->text_bytes = word->text_bytes;
    memcpy(record->text, word->text, word->text_bytes);
}

void es_record_event(struct es_record *record, const struct es_event *event) {
    record->kind = ES_RECORD_EVENT;
    record->start_ms = event->at_ms;
    record->end_ms = event->at_ms;
    memset(record->name, 0, sizeof record->name);
    memcpy(record->name, event->name, strnlen(event->name, sizeof record->name - 1u));
    record->text_bytes = (uint32_t)strnlen(event->text, ES_WORD_BYTES_MAX);
    memcpy(record->text, event->text, record->text_bytes);
}

uint64_t es_queue_lost_records(const struct es_queue *queue) {
    return atomic_load_explicit(&queue->lost_records, memory_order_relaxed);
}

uint64_t es_queue_lost_text_bytes(const struct es_queue *queue) {
    return atomic_load_explicit(&queue->lost_text_bytes, memory_order_relaxed);
}
