/* deal.h - pointers dealt out of one region, by the function that also counts its bytes.
 *
 *   static void deal_buffers(struct es_thing *thing, struct es_deal *deal) {
 *       thing->x = es_deal_floats(deal, (size_t)rows * dim);
 *   }
 *
 * A module's layout calls that function with an empty deal (base NULL) and plans `used_bytes`; its
 * init calls it again with the region. The arithmetic exists once, so the two cannot disagree. */
#pragma once

#include "platform/bounds.h"

#include <stddef.h>

struct es_deal {
    char *base; /* start of the region, 64-byte aligned; NULL while counting */
    size_t used_bytes;
};

/* The next `bytes`, 64-byte aligned; NULL while counting. */
static inline void *es_deal_bytes(struct es_deal *deal, size_t bytes) {
    void *start = deal->base == NULL ? NULL : deal->base + deal->used_bytes;
    size_t mask = ES_REGION_ALIGN_BYTES - 1u;
    deal->used_bytes += (bytes + mask) & ~mask;
    return start;
}

static inline float *es_deal_floats(struct es_deal *deal, size_t count) {
    return (float *)es_deal_bytes(deal, count * sizeof(float));
}
