/* weights_place.h - where each tensor lies: the one rule that planning and loading share.
 *
 *   struct es_weights_dealing dealing;
 *   es_weights_deal_start(&dealing, &layout, plan or NULL);
 *   status = es_weights_deal(&dealing, &weight, &place, &error);   in the order of es_weights_walk
 *   es_weights_deal_end(&dealing);
 *
 * With a plan, regions are added to it as they fill up; without one the same numbers come out
 * again. Internal to engine/weights*.c. */
#pragma once

#include "engine/weights.h"

struct es_weight_place {
    uint32_t region;       /* its number in the plan; of the first block of rows */
    size_t offset_bytes;   /* in the region */
    uint32_t row_elements; /* of the tensor as the model multiplies it; a vector is one row */
    uint32_t stride;       /* elements from row to row, padding included */
    uint32_t rows_per_block;
    uint32_t block_count; /* 1, or one region for each of the embedding's */
};

struct es_weights_dealing {
    const struct es_weights_layout *layout;
    struct es_plan *plan;
    enum es_weight_part part;
    uint32_t region;   /* number of the region that is being filled */
    size_t used_bytes; /* of it */
    uint32_t ordinal;  /* of the region within its part, from 1 */
    uint32_t first_regions[ES_WEIGHT_PART_COUNT];
};

void es_weights_deal_start(struct es_weights_dealing *dealing,
                           const struct es_weights_layout *layout, struct es_plan *plan);
ES_MUST_CHECK enum es_status es_weights_deal(struct es_weights_dealing *dealing,
                                             const struct es_weight *weight,
                                             struct es_weight_place *place, struct es_error *error);
/* Adds the last region. */
ES_MUST_CHECK enum es_status es_weights_deal_end(struct es_weights_dealing *dealing,
                                                 struct es_error *error);

/* The two halves of the staging, within its region: blocks of the file (each behind a page for what
 * the block before left over, so that a value is in one piece) and rows in the making. The region
 * is a page larger than its content: O_DIRECT wants pages. */
size_t es_weights_staging_bytes(const struct es_weights_layout *layout);
