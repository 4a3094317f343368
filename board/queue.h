/* queue.h - a lane of records from one thread to another: bounded, lock-free, never waits.
 *
 *   es_queue_init(&queue, memory, byte_count);             a power of two, in the arena
 *   if (!es_queue_push(&queue, &record)) { counted; }      the producer's thread
 *   if (es_queue_peek(&queue, &record)) { ...; es_queue_pop(&queue); }    the consumer's
 *
 * A record is a header and text of at most ES_WORD_BYTES_MAX. A full lane refuses the newest:
 * what is in order stays in order, and the counters say what is missing. */
#pragma once

#include "board/word.h"
#include "platform/bounds.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Who may write to the console and the journal: one lane each. */
enum es_lane {
    ES_LANE_ENGINE,  /* words, pieces, gaps */
    ES_LANE_CONTROL, /* the main thread's tick: states, devices, the clock */
    ES_LANE_COUNT
};

enum es_record_kind { ES_RECORD_PIECE, ES_RECORD_WORD, ES_RECORD_EVENT };

struct es_record {
    uint64_t ticket;   /* order across lanes */
    uint64_t stamp_ms; /* es_clock_ns when it was pushed, in ms */
    uint64_t start_ms; /* recording time; of an event and a piece both are the same */
    uint64_t end_ms;
    enum es_record_kind kind;
    char name[ES_EVENT_NAME_BYTES]; /* of an event, terminated */
    uint32_t text_bytes;
    char text[ES_WORD_BYTES_MAX];
};

struct es_queue {
    uint8_t *bytes;
    uint32_t byte_count;                                 /* a power of two */
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint32_t head; /* bytes ever pushed, modulo 2^32 */
    _Atomic uint64_t lost_records;
    _Atomic uint64_t lost_text_bytes;
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint32_t tail;
};

/* `bytes` [byte_count] is borrowed and outlives the queue. */
void es_queue_init(struct es_queue *queue, void *bytes, uint32_t byte_count);

/* Producer. false: no room, counted. Only the used part of the record is stored. */
bool es_queue_push(struct es_queue *queue, const struct es_record *record);

/* Consumer. false: empty. The record is copied out and stays until es_queue_pop. */
bool es_queue_peek(struct es_queue *queue, struct es_record *record);
void es_queue_pop(struct es_queue *queue);

/* Consumer of lanes [ES_LANE_COUNT]: the one whose next record has the lowest ticket, and that
 * record; NULL when all are empty. A record that is being pushed right now may come after one with
 * a higher ticket. */
struct es_queue *es_queue_oldest(struct es_queue *lanes, struct es_record *record);

/* Fill all of a record but its ticket and stamp. */
void es_record_word(struct es_record *record, const struct es_word *word);
void es_record_event(struct es_record *record, const struct es_event *event);

/* Any thread; records and their text that found no room. */
uint64_t es_queue_lost_records(const struct es_queue *queue);
uint64_t es_queue_lost_text_bytes(const struct es_queue *queue);
