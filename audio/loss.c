#include "audio/loss.h"

#include <stddef.h>

static const char *const cause_names[ES_LOSS_CAUSE_COUNT] = {
    "overrun",
    "card stopped",
    "machine suspended",
    "no microphone",
    "microphone stalled",
    "muted",
    "backlog",
    "packets lost between microphone and card",
};

const char *es_loss_cause_name(uint32_t causes) {
    for (uint32_t i = 0; i < ES_LOSS_CAUSE_COUNT; i++) {
        if ((causes >> i & 1u) != 0) {
            return cause_names[i];
        }
    }
    return "nothing";
}

void es_loss_reset(struct es_loss_queue *queue) {
    atomic_store(&queue->pushed_count, 0);
    atomic_store(&queue->dropped_count, 0);
}

bool es_loss_push(struct es_loss_queue *queue, const struct es_loss *loss) {
    const uint64_t pushed = atomic_load_explicit(&queue->pushed_count, memory_order_relaxed);
    /* Acquire: the slot was read before it was dropped. */
    const uint64_t dropped = atomic_load_explicit(&queue->dropped_count, memory_order_acquire);
    if (pushed - dropped == ES_LOSS_COUNT_MAX) {
        return false;
    }
    queue->losses[pushed % ES_LOSS_COUNT_MAX] = *loss;
    atomic_store_explicit(&queue->pushed_count, pushed + 1, memory_order_release);
    return true;
}

bool es_loss_peek(const struct es_loss_queue *queue, struct es_loss *loss) {
    const uint64_t dropped = atomic_load_explicit(&queue->dropped_count, memory_order_relaxed);
    if (atomic_load_explicit(&queue->pushed_count, memory_order_acquire) == dropped) {
        return false;
    }
    *loss = queue->losses[dropped % ES_LOSS_COUNT_MAX];
    return true;
}

void es_loss_drop(struct es_loss_queue *queue) {
    const uint64_t dropped = atomic_load_explicit(&queue->dropped_count, memory_order_relaxed);
    atomic_store_explicit(&queue->dropped_count, dropped + 1, memory_order_release);
}
