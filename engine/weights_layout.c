#include "engine/weights_place.h"

#include "platform/assert.h"

#include <stdio.h>

#define ROW_ELEMENTS_ALIGN                                                                         \
    32u                     /* 64 bytes of BF16: a load of the device never starts in the middle */
#define BLOCK_ROWS_ALIGN 8u /* rows of a tile of the head's kernel lie in one block */
#define WEIGHT_REGION_COUNT_MAX (ES_REGION_COUNT_MAX * 3u / 4u) /* the rest is for everyone else */

static const char *const part_names[ES_WEIGHT_PART_COUNT] = {"encoder weights", "decoder weights",
                                                             "embedding weights"};

static size_t round_up(size_t value, size_t unit) {
    return (value + unit - 1) / unit * unit;
}

static bool is_device(const struct es_weights_layout *layout) {
    return layout->kind != ES_MEM_HOST;
}

/* -- dealing out regions ----------------------------------------------------------------------- */

void es_weights_deal_start(struct es_weights_dealing *dealing,
                           const struct es_weights_layout *layout, struct es_plan *plan) {
    *dealing = (struct es_weights_dealing){
        .layout = layout,
        .plan = plan,
        .part = ES_WEIGHT_ENCODER,
        .region = plan != NULL ? plan->region_count : layout->encoder_region,
    };
    dealing->first_regions[ES_WEIGHT_ENCODER] = dealing->region;
}

/* The region that was being filled is complete: from here on the next one is. */
static enum es_status close_region(struct es_weights_dealing *dealing, struct es_error *error) {
    if (dealing->used_bytes == 0) {
        return ES_OK;
    }
    dealing->ordinal++;
    if (dealing->plan != NULL) {
        if (dealing->plan->region_count >= WEIGHT_REGION_COUNT_MAX) {
            return es_fail(error, ES_ERR_INPUT,
                           "weights: more than %u regions of at most %zu bytes; this model is too "
                           "large for the GPU engine",
                           WEIGHT_REGION_COUNT_MAX, dealing->layout->region_bytes_max);
        }
        char name[ES_REGION_NAME_BYTES];
        const char *part_name = part_names[dealing->part];
        if (is_device(dealing->layout)) {
            (void)snprintf(name, sizeof name, "%s %u", part_name, dealing->ordinal);
        } else {
            (void)snprintf(name, sizeof name, "%s", part_name);
        }
        uint32_t added =
            es_plan_add(dealing->plan, dealing->layout->kind, name, dealing->used_bytes);
        ES_ASSERT(added == dealing->region);
    }
    dealing->region++;
    dealing->used_bytes = 0;
    return ES_OK;
}

/* The embedding, on a device: regions of its own, as equal as rows allow. */
static enum es_status deal_blocks(struct es_weights_dealing *dealing,
                                  const struct es_weight *weight, struct es_weight_place *place,
                                  struct es_error *error) {
    enum es_status status = close_region(dealing, error);
    if (status != ES_OK) {
        return status;
    }
    const uint32_t row_count = (uint32_t)weight->shape[0];
    const size_t row_bytes = place->stride * es_dtype_bytes(dealing->layout->dtype);
    const size_t row_count_max =
        dealing->layout->region_bytes_max / row_bytes / BLOCK_ROWS_ALIGN * BLOCK_ROWS_ALIGN;
    place->block_count =
        row_count_max > 0 ? (uint32_t)round_up(row_count, row_count_max) / (uint32_t)row_count_max
                          : UINT32_MAX;
    if (place->block_count > ES_EMBEDDING_BLOCK_COUNT_MAX) {
        return es_fail(error, ES_ERR_INPUT,
                       "weights: tensor %s would need more than %u regions of at most %zu bytes; "
                       "this model is too large for the GPU engine",
                       weight->name, ES_EMBEDDING_BLOCK_COUNT_MAX,
                       dealing->layout->region_bytes_max);
    }
    place->rows_per_block = (uint32_t)round_up(
        (row_count + place->block_count - 1) / place->block_count, BLOCK_ROWS_ALIGN);
    /* Rounding may have made the last blocks needless. */
    place->block_count = (row_count + place->rows_per_block - 1) / place->rows_per_block;
    place->region = dealing->region;
    place->offset_bytes = 0;
    for (uint32_t i = 0; status == ES_OK && i < place->block_count; i++) {
        uint32_t left = row_count - i * place->rows_per_block;
        uint32_t rows = left < place->rows_per_block ? left : place->rows_per_block;
        dealing->used_bytes = rows * row_bytes;
        status = close_region(dealing, error);
    }
    return status;
}

enum es_status es_weights_deal(struct es_weights_dealing *dealing, const struct es_weight *weight,
                               struct es_weight_place *place, struct es_error *error) {
    const struct es_weights_layout *layout = dealing->layout;
    if (weight->part != dealing->part) {
        ES_ASSERT(weight->part > dealing->part); /* the walk visits part after part */
        enum es_status status = close_region(dealing, error);
        if (status != ES_OK) {
            return status;
        }
        dealing->part = weight->part;
        dealing->ordinal = 0;
        dealing->first_regions[weight->part] = dealing->region;
    }
    const uint32_t row_count = weight->is_matrix ? (uint32_t)weight->shape[0] : 1;
    place->row_elements = weight->is_matrix ? (uint32_t)(weight->shape[1] * weight->shape[2])
                                            : (uint32_t)weight->shape[0];
    place->stride = is_device(layout) && weight->is_matrix
                        ? (uint32_t)round_up(place->row_elements, ROW_ELEMENTS_ALIGN)
                        : place->row_elements;
    place->rows_per_block = row_count;
    place->block_count = 1;
    if (is_device(layout) && weight->is_matrix && weight->part == ES_WEIGHT_EMBEDDING) {
        return deal_blocks(dealing, weight, place, error);
    }
    const size_t bytes =
        round_up((size_t)row_count * place->stride *
                     es_dtype_bytes(weight->is_matrix ? layout->dtype : ES_DTYPE_F32),
                 is_device(layout) ? ES_GPU_REGION_ALIGN_BYTES : ES_REGION_ALIGN_BYTES);
    if (is_device(layout)) {
        if (bytes > layout->region_bytes_max) {
            return es_fail(error, ES_ERR_INPUT,
                           "weights: tensor %s takes %zu bytes, and a region of the GPU's memory "
                           "has at most %zu; use --backend cpu",
                           weight->name, bytes, layout->region_bytes_max);
        }
        if (bytes > layout->region_bytes_max - dealing->used_bytes) {
            enum es_status status = close_region(dealing, error);
            if (status != ES_OK) {
                return status;
            }
        }
    }
    place->region = dealing->region;
    place->offset_bytes = dealing->used_bytes;
    dealing->used_bytes += bytes;
    return ES_OK;
}

enum es_status es_weights_deal_end(struct es_weights_dealing *dealing, struct es_error *error) {
    return close_region(dealing, error);
}

/* -- layout ------------------------------------------------------------------------------------ */

struct sizing {
    struct es_weights_dealing dealing;
    struct es_error *error;
    size_t shape_bytes;
};

static enum es_status visit_size(void *context, const struct es_weight *weight) {
    struct sizing *sizing = context;
    struct es_weight_place place;
    enum es_status status = es_weights_deal(&sizing->dealing, weight, &place, sizing->error);
    if (status != ES_OK) {
        return status;
    }
    /* Of what changes its shape on the way, a whole row must fit. */
    size_t row_bytes = place.stride * sizeof(float);
    if (row_bytes > sizing->shape_bytes) {
        sizing->shape_bytes = row_bytes;
    }
    return ES_OK;
}

static enum es_status lay_out(const struct es_model *model, struct es_plan *plan,
                              struct es_weights_layout *layout, struct es_error *error) {
    struct sizing sizing = {.error = error, .shape_bytes = ES_SHAPE_BYTES_MIN};
    es_weights_deal_start(&sizing.dealing, layout, plan);
    enum es_status status = es_weights_walk(model, visit_size, &sizing);
    if (status == ES_OK) {
        status = es_weights_deal_end(&sizing.dealing, error);
    }
    layout->encoder_region = sizing.dealing.first_regions[ES_WEIGHT_ENCODER];
    layout->decoder_region = sizing.dealing.first_regions[ES_WEIGHT_DECODER];
    layout->embedding_region = sizing.dealing.first_regions[ES_WEIGHT_EMBEDDING];
    layout->shape_bytes = round_up(sizing.shape_bytes, ES_PAGE_BYTES);
    return status;
}

void es_weights_layout(const struct es_model *model, enum es_dtype dtype, struct es_plan *plan,
                       struct es_weights_layout *layout) {
    *layout = (struct es_weights_layout){
        .dtype = dtype, .kind = ES_MEM_HOST, .region_bytes_max = SIZE_MAX};
    enum es_status status = lay_out(model, plan, layout, NULL);
    ES_ASSERT(status == ES_OK);
}

size_t es_weights_staging_bytes(const struct es_weights_layout *layout) {
    return ES_PAGE_BYTES + 2 * (ES_PAGE_BYTES + (size_t)ES_STAGING_BLOCK_BYTES) +
           2 * layout->shape_bytes;
}

enum es_status es_weights_layout_device(const struct es_model *model, enum es_dtype dtype,
                                        size_t region_bytes_max, struct es_plan *plan,
                                        struct es_weights_layout *layout, struct es_error *error) {
    ES_ASSERT(region_bytes_max <= ES_CHUNK_BYTES_MAX);
    *layout = (struct es_weights_layout){
        .dtype = dtype, .kind = ES_MEM_DEVICE, .region_bytes_max = region_bytes_max};
    if (dtype != ES_DTYPE_BF16) {
        return es_fail(error, ES_ERR_INPUT,
                       "weights: the matrices are %s and the GPU engine takes BF16; use --backend "
                       "cpu or give the BF16 checkpoint",
                       es_dtype_name(dtype));
    }
    enum es_status status = lay_out(model, plan, layout, error);
    if (status == ES_OK && es_weights_staging_bytes(layout) > ES_CHUNK_BYTES_MAX) {
        status = es_fail(error, ES_ERR_INPUT,
                         "weights: rows of %zu bytes are too large for the GPU engine; use "
                         "--backend cpu",
                         layout->shape_bytes);
    }
    if (status == ES_OK) {
        layout->staging_region =
            es_plan_add(plan, ES_MEM_SHARED, "weight staging", es_weights_staging_bytes(layout));
    }
    return status;
}
