/* loss.h - what the stream of samples lacks: where, how much, why; and a queue of such events.
 *
 *   es_loss_push(&queue, &loss);       producer: false when full
 *   es_loss_peek(&queue, &loss);       consumer: the oldest, which stays
 *   es_loss_drop(&queue);              consumer: the oldest is done with
 *
 * One producer, one consumer, no locks, fixed memory. */
#pragma once

#include "platform/bounds.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Bits: a gap may have several causes in a row. */
enum es_loss_cause {
    ES_LOSS_OVERRUN = 1,   /* capture came too late; the card ran on. Exact */
    ES_LOSS_STOPPED = 2,   /* capture came too late; the driver stopped. Estimated */
    ES_LOSS_SUSPENDED = 4, /* the machine slept. Estimated */
    ES_LOSS_NO_CARD = 8,   /* unplugged, busy, denied, unusable. Estimated */
    ES_LOSS_STALLED = 16,  /* the card was there and delivered nothing. Estimated */
    ES_LOSS_MUTED = 32,    /* the mute switch. Exact */
    ES_LOSS_BACKLOG = 64,  /* the consumer is too slow: the ring was full. Exact */
    ES_LOSS_PACKETS = 128  /* the card ran, and delivered too little: USB packets. Estimated */
};
#define ES_LOSS_CAUSE_COUNT 8u

/* "overrun", "card stopped", "suspended", ...: the lowest bit that is set. Static storage. */
const char *es_loss_cause_name(uint32_t causes);

enum es_loss_phase {
    ES_LOSS_WHOLE,  /* `lost_samples` are missing at `stream_sample` */
    ES_LOSS_BEGINS, /* samples end here for an unknown time: mute, no card. lost_samples is 0 */
    ES_LOSS_ENDS    /* samples go on here, `lost_samples` after the one that began */
};

struct es_loss {
    uint64_t stream_sample; /* samples that were delivered before it */
    uint64_t lost_samples;  /* at 16 kHz */
    uint64_t bound_samples; /* 0: exact; otherwise an estimate, off by at most this */
    uint32_t causes;        /* enum es_loss_cause */
    enum es_loss_phase phase;
};

struct es_loss_queue {
    struct es_loss losses[ES_LOSS_COUNT_MAX];
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint64_t pushed_count;
    _Alignas(ES_CACHE_LINE_BYTES) _Atomic uint64_t dropped_count;
};

void es_loss_reset(struct es_loss_queue *queue);
bool es_loss_push(struct es_loss_queue *queue, const struct es_loss *loss);
bool es_loss_peek(const struct es_loss_queue *queue, struct es_loss *loss);
void es_loss_drop(struct es_loss_queue *queue);
