/* weights.h - the tensors of consolidated.safetensors, bound by name into the arena.
 *
 *   struct es_weights_layout layout;
 *   es_weights_layout(&model, ES_DTYPE_BF16, &plan, &layout);      declare every byte
 *   es_weights_load(&weights, &model, &layout, &arena, dir, &error)   check, then read
 *
 * The file is read once, sequentially by data offset, in chunks straight into the arena; the page
 * cache is told to forget what was read, so that a weight is in memory once. Matrices keep the
 * file's type; vectors (norms, biases) are widened to f32, because every product with them is f32.
 */
#pragma once

#include "engine/model.h"
#include "platform/arena.h"
#include "platform/plan.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum es_dtype { ES_DTYPE_BF16, ES_DTYPE_F16, ES_DTYPE_F32 };

size_t es_dtype_bytes(enum es_dtype dtype);
const char *es_dtype_name(enum es_dtype dtype); /* "BF16": as in the file */

/* A linear map y = W x: row-major [out_dim, in_dim], as in the file. `data` is 64-byte aligned and
 * belongs to the arena. On a device a row takes `stride` elements, in_dim rounded up to 32 with
 * zeros; on the host there is nothing between rows. */
struct es_matrix {
    const void *data;
    uint32_t out_dim;
    uint32_t in_dim;
    enum es_dtype dtype;
    uint32_t stride; /* elements from one row to the next */
};

/* A matrix that lies in blocks of rows, because no region of a device is larger than a chunk. Row r
 * is row r % rows_per_block of block r / rows_per_block. */
struct es_row_blocks {
    const void
        *blocks[ES_EMBEDDING_BLOCK_COUNT_MAX]; /* [rows_per_block, stride], the last shorter */
    uint32_t block_count;
    uint32_t rows_per_block; /* a multiple of 8 where there are several */
};

struct es_encoder_layer {
    const float *attention_norm; /* [dim] */
    struct es_matrix wq;         /* [head_count * head_dim, dim] */
    struct es_matrix wk;         /* [kv_head_count * head_dim, dim] */
    struct es_matrix wv;
    struct es_matrix wo; /* [dim, head_count * head_dim] */
    const float
        *wq_bias; /* [head_count * head_dim]; NULL without encoder_biases, as the next three */
    const float *wv_bias;  /* [kv_head_count * head_dim] */
    const float *wo_bias;  /* [dim] */
    const float *ffn_norm; /* [dim] */
    struct es_matrix w1;   /* [hidden_dim, dim]  gate */
    struct es_matrix w3;   /* [hidden_dim, dim]  up */
    struct es_matrix w2;   /* [dim, hidden_dim]  down */
    const float *w2_bias;  /* [dim] */
};

struct es_decoder_layer {
    const float *attention_norm; /* [dim] */
    struct es_matrix wq, wk, wv, wo;
    const float *ffn_norm;
    struct es_matrix ada0; /* [ada_dim, dim] */
    struct es_matrix ada2; /* [dim, ada_dim] */
    struct es_matrix w1, w3, w2;
};

struct es_weights {
    /* [encoder.dim, mel_bin_count * 3]. On the host the tap is fastest, as in the file: in * 3 +
     * tap; on a device it is slowest: tap * in_dim + in, so that a window of frames is one row. */
    struct es_matrix conv0;
    const float *conv0_bias; /* [encoder.dim] */
    struct es_matrix conv1;  /* [encoder.dim, encoder.dim * 3] */
    const float *conv1_bias;
    struct es_encoder_layer encoder[ES_LAYER_COUNT_MAX];
    const float *encoder_norm;  /* [encoder.dim] */
    struct es_matrix adapter0;  /* [decoder.dim, encoder.dim * downsample] */
    struct es_matrix adapter2;  /* [decoder.dim, decoder.dim] */
    struct es_matrix embedding; /* [vocab_size, decoder.dim]; also the output head. `data` is NULL
                                 * where the table lies in several blocks */
    struct es_row_blocks embedding_blocks;
    struct es_decoder_layer decoder[ES_LAYER_COUNT_MAX];
    const float *decoder_norm; /* [decoder.dim] */
};

/* Filled by es_weights_layout; opaque to others. On the host one region per part of the model; on a
 * device each part takes as many regions, one after the other, as its tensors need. */
struct es_weights_layout {
    uint32_t encoder_region; /* the first of its part, as the next two */
    uint32_t decoder_region;
    uint32_t embedding_region;
    enum es_dtype dtype;     /* of the matrices */
    enum es_mem_kind kind;   /* ES_MEM_HOST or ES_MEM_DEVICE */
    size_t region_bytes_max; /* of a device's regions */
    uint32_t staging_region; /* of a device: shared memory that weights pass through */
    size_t shape_bytes;      /* of one half of the staging in which rows are padded and reordered */
};

/* Declares the regions for matrices of `dtype`. No file needed: `earshot plan` works from
 * params.json alone, and assumes BF16 then. */
void es_weights_layout(const struct es_model *model, enum es_dtype dtype, struct es_plan *plan,
                       struct es_weights_layout *layout);

/* The same for a device: regions of at most `region_bytes_max` (ES_CHUNK_BYTES_MAX in the product;
 * a test's may be smaller), no tensor across two but the embedding, which lies in blocks of rows;
 * and the staging in shared memory. A device takes BF16 alone: ES_ERR_INPUT for another `dtype`,
 * and for dimensions that do not fit into regions so. `plan` is half filled then. */
ES_MUST_CHECK enum es_status es_weights_layout_device(const struct es_model *model,
                                                      enum es_dtype dtype, size_t region_bytes_max,
                                                      struct es_plan *plan,
                                                      struct es_weights_layout *layout,
                                                      struct es_error *error);

/* The one type of all matrices in DIRECTORY/consolidated.safetensors, from its header alone. A file
 * that mixes types is planned at the widest of them, and narrower matrices are widened exactly
 * while they are read. */
ES_MUST_CHECK enum es_status es_weights_probe(const struct es_model *model, const char *directory,
                                              enum es_dtype *dtype, struct es_error *error);

/* Checks the whole header (sizes, offsets, overlaps, types, shapes, required names) before the
 * first weight is read, then fills the arena. Allocates for the header, keeps nothing. Boot only.
 */
ES_MUST_CHECK enum es_status es_weights_load(struct es_weights *weights,
                                             const struct es_model *model,
                                             const struct es_weights_layout *layout,
                                             const struct es_arena *arena, const char *directory,
                                             struct es_error *error);

#define ES_SINK_SLOT_COUNT 4u

/* Where a device's weights go, without the loader knowing what a device is. Functions that fail say
 * so with a line. */
struct es_weights_sink {
    void *context;
    /* Starts a copy. The source may change only after a wait for the slot that it is marked with.
     * */
    enum es_status (*put)(void *context, void *target, const void *source, size_t bytes,
                          struct es_error *error);
    /* Slot `slot` (below ES_SINK_SLOT_COUNT) stands for all copies that were started until now. */
    enum es_status (*mark)(void *context, uint32_t slot, struct es_error *error);
    /* Until the copies that the slot stands for are done; at once if it was never marked. */
    enum es_status (*wait)(void *context, uint32_t slot, struct es_error *error);
    /* Until all are done. */
    enum es_status (*finish)(void *context, struct es_error *error);
};

/* es_weights_load for a layout that es_weights_layout_device made. The file is read in aligned
 * blocks past the page cache (O_DIRECT) by a thread of its own, which ends with the call, into two
 * halves of the staging, while the other half is checked and copied; where the file system refuses
 * that, through the page cache, which is told to forget. Rows are padded, convolutions reordered
 * and vectors widened on the way. Boot only. */
ES_MUST_CHECK enum es_status es_weights_load_device(struct es_weights *weights,
                                                    const struct es_model *model,
                                                    const struct es_weights_layout *layout,
                                                    const struct es_arena *arena,
                                                    const struct es_weights_sink *sink,
                                                    const char *directory, struct es_error *error);

enum es_weight_part {
    ES_WEIGHT_ENCODER, /* conv stem and adapter included */
    ES_WEIGHT_DECODER,
    ES_WEIGHT_EMBEDDING, /* final norm included */
    ES_WEIGHT_PART_COUNT
};

/* One tensor that the model consists of, as es_weights_walk tells it. */
struct es_weight {
    const char *name; /* full name in the file; valid during the visit */
    uint32_t rank;    /* 1..3 */
    uint64_t shape[3];
    bool is_matrix; /* convolutions too: [out, in, 3] is read as [out, in * 3] */
    enum es_weight_part part;
    size_t field_offset; /* of its es_matrix or float pointer within struct es_weights */
};

/* Visits every tensor of the model in a fixed order: the one list of names and shapes. A visit that
 * fails ends the walk. */
typedef enum es_status es_weights_visit(void *context, const struct es_weight *weight);
ES_MUST_CHECK enum es_status es_weights_walk(const struct es_model *model, es_weights_visit *visit,
                                             void *context);

#ifdef __cplusplus
}
#endif
