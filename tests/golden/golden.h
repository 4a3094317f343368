/* golden.h - one committed case: what transformers computed from a model and a recording.
 *
 *   struct es_golden *golden = es_golden_open("ring_blocks_6");
 *   golden->ids[step], golden->margins[step]
 *   es_golden_compare(golden, "golden", stage, layer, &error)       after blocks' engine rows came
 *   es_golden_close(golden);
 *
 * The files' form is described in tools/golden/README.md. Test harness: it allocates, and a file
 * that is not as expected ends the test. */
#pragma once

#include "engine/backend.h"

#include <stdbool.h>
#include <stddef.h>

#define ES_GOLDEN_STAGE_MEL ((uint32_t)ES_STAGE_COUNT) /* beside the stages of engine/backend.h */
#define ES_GOLDEN_STAGE_COUNT ((uint32_t)ES_STAGE_COUNT + 1u)
#define ES_GOLDEN_NAME_BYTES 48u
#define ES_GOLDEN_BLOCK_COUNT_MAX 512u

/* Rows of one stage that stand together. */
struct es_golden_block {
    char variant[ES_GOLDEN_NAME_BYTES]; /* "golden", or a planted mistake */
    uint32_t stage;
    uint32_t layer;
    uint64_t first_row;
    uint32_t row_count;
    uint32_t dim;
    const float *rows;   /* [row_count, dim] what transformers has */
    float *engine_rows;  /* [row_count, dim] what the engine gave; owned by the golden */
    uint32_t came_count; /* of engine_rows */
};

struct es_golden {
    char model[ES_GOLDEN_NAME_BYTES];
    char audio[ES_GOLDEN_NAME_BYTES];
    uint32_t sample_count;
    uint32_t delay_positions;
    uint32_t position_count;
    uint32_t id_count;
    const int32_t *ids;   /* [id_count] */
    const float *margins; /* [id_count] */
    struct es_golden_block blocks[ES_GOLDEN_BLOCK_COUNT_MAX];
    uint32_t block_count;
    unsigned char *data; /* the .bin file; owned */
    size_t data_bytes;
};

/* How far a stage is from its golden, over all blocks. */
struct es_golden_error {
    uint32_t row_count;
    double max_abs;
    double relative_l2; /* |engine - golden| / |golden| */
    double cosine;
    uint64_t worst_row; /* the row with the largest relative L2 of its own ... */
    double worst_row_l2;
};

struct es_golden *es_golden_open(const char *name);
void es_golden_close(struct es_golden *golden);

/* Forgets the engine's rows. */
void es_golden_reset(struct es_golden *golden);

/* Rows of the engine arrive: keeps those that a block of any variant wants. */
void es_golden_take(struct es_golden *golden, uint32_t stage, uint32_t layer, uint64_t first_row,
                    const float *rows, uint32_t row_count, uint32_t dim);

/* False when the case has no rows of this variant, stage and layer. A row that the engine never
 * gave ends the test. */
bool es_golden_compare(const struct es_golden *golden, const char *variant, uint32_t stage,
                       uint32_t layer, struct es_golden_error *error);

/* "conv0", "encoder_layer": as in the files. Static storage. */
const char *es_golden_stage_name(uint32_t stage);
