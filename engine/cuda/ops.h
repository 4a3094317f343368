/* ops.h - the operations that encoder and decoder are made of, on the GPU.
 *
 *   struct es_cuda_qkv op = {.x = x, .row_count = 4, ...};
 *   status = es_cuda_qkv(ops, &op, &error);        enqueued on the stream; can be captured
 *
 * One operation per .cu file. Each launcher checks its shapes (a wrong one is a programmer error),
 * picks the path by row_count and enqueues; nothing synchronizes, nothing allocates. Up to
 * ES_CUDA_FEW_ROWS_MAX rows (a decoder step; an encoder chunk of one or two positions) run in our
 * own kernels, bound by the speed of memory: up to 8 rows read the weights once, more in a second
 * pass from the cache. More rows than that (files, the prompt) go through cuBLASLt.
 *
 * Bits: our kernels give the same result for a row whatever the number of SMs, of blocks or of
 * rows beside it: the order of every sum follows from shapes alone. cuBLASLt promises that for one
 * kind of GPU and one row count only.
 *
 * Matrices are BF16, row-major [out_dim, stride], stride = in_dim rounded up to 32 with zeros, rows
 * 64-byte aligned. Activations are f32 outside of the operations, rows `dim` floats apart, 64-byte
 * aligned where they begin. Keys and values are f16. Positions live on the device: a graph is
 * captured once. Engine thread only. */
#pragma once

#include "engine/weights.h"
#include "platform/jetson/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_CUDA_LAYER_CAPABILITY_MIN 90u
#define ES_CUDA_FEW_ROWS_MAX 16u      /* conv0 of two positions */
#define ES_CUDA_ATTENTION_FEW_MAX 16u /* row_count * head_count / kv_head_count */
#define ES_CUDA_EMBEDDING_BLOCK_COUNT_MAX 16u

/* Flags that kernels raise in es_cuda_stream_state.flags; they come back with the token. */
enum es_cuda_flag {
    ES_CUDA_FLAG_LOGIT_NOT_FINITE = 1u << 0,
    ES_CUDA_FLAG_EMBEDDING_NOT_FINITE = 1u << 1, /* the adapter's result */
    ES_CUDA_FLAG_KV_OUT_OF_RANGE = 1u << 2, /* a key or value beyond f16: kept at its largest */
};

/* Numbers from one key or value of a ring to the next: head_dim rounded up to 32, 64 or 128; 0 for
 * a head that the kernels are not made for. */
static inline uint32_t es_cuda_head_stride(uint32_t head_dim) {
    return head_dim <= 32u ? 32u : head_dim <= 64u ? 64u : head_dim <= 128u ? 128u : 0u;
}

/* Where the stream stands. Device memory; read by kernels, moved on by es_cuda_advance and
 * es_cuda_choose alone, set by reset. */
struct es_cuda_stream_state {
    uint64_t encoder_frame;    /* next 20 ms frame to encode */
    uint64_t encoder_oldest;   /* first frame of this stream */
    uint64_t decoder_position; /* next position to decode */
    uint64_t decoder_oldest;
    int32_t last_id;             /* what the last choice was */
    uint32_t flags;              /* enum es_cuda_flag, or-ed; sticky until reset */
    uint64_t embeddings_written; /* positions encoded since reset; number n lies in slot n % count
                                  * of the queue */
};

/* What one decoder step is told, in shared (pinned) memory. */
struct es_cuda_step_input {
    int32_t id; /* ES_STEP_LAST: state.last_id */
    float streaming_pad_bias;
};

/* What it answers, in shared memory, written by its last kernel. */
struct es_cuda_step_output {
    int32_t id;
    float margin;
    uint32_t flags;
    uint32_t reserved;
    uint64_t position; /* that the choice was made at */
};

/* What the operations share: opened once by the backend, before the freeze. */
struct es_cuda_ops {
    struct es_cuda *cuda;
    struct es_cuda_stream_state *state; /* device */
    void *blas;                         /* cublasLtHandle_t */
    void *blas_workspace;               /* device */
    size_t blas_workspace_bytes;
    void *plans;        /* algorithms chosen at warm-up (gemm.h) */
    float *partials;    /* device: split attention, es_cuda_attention_scratch_bytes */
    uint32_t *tickets;  /* device, zero between launches: "last block done" counters */
    uint64_t *arrivals; /* device, zero at boot: where the blocks of a layer meet (layer.cu) */
    bool joins_layers;  /* where es_cuda_layer fits */
    uint16_t *split;    /* device bf16: [2 * many_row_count_max, widest in_dim], see gemm.h */
    float *products;    /* device: [2 * many_row_count_max, widest out_dim sum] */
    uint32_t many_row_count_max; /* rows that `split` and `products` hold; 0: few rows alone */
};

/* q, k, v = W rmsnorm(x) (+ bias), q and k rotated, k and v into the ring. */
struct es_cuda_qkv {
    const float *x;    /* [row_count, dim] */
    const float *norm; /* [dim] */
    float norm_eps;
    uint32_t row_count;
    const struct es_matrix *wq, *wk, *wv;
    const float *wq_bias, *wv_bias; /* or NULL */
    const uint64_t *turns;          /* device [head_dim / 2]: engine/rope.h says what they are */
    const uint64_t *position; /* device: of row 0 (state->encoder_frame or decoder_position) */
    uint32_t head_count, kv_head_count, head_dim;
    float *q;         /* [row_count, head_count, head_dim] f32, rotated, not scaled */
    uint16_t *keys;   /* f16 [kv_head_count, slot_count, head_stride]: this layer's ring */
    uint16_t *values; /* the same shape */
    uint32_t
        head_stride;     /* head_dim rounded up to 32, 64 or 128; what is beyond head_dim is zero */
    uint32_t slot_count; /* position p lives in slot p % slot_count */
};
ES_MUST_CHECK enum es_status es_cuda_qkv(const struct es_cuda_ops *ops,
                                         const struct es_cuda_qkv *op, struct es_error *error);

/* softmax(q k / sqrt(head_dim)) v over the window; row r is position *position + r and sees keys
 * max(oldest, p - window + 1) .. p. Each key and value is read once for all query heads and rows
 * that share it. */
struct es_cuda_attention {
    const float *q;
    const uint16_t *keys, *values;
    const uint64_t *position, *oldest; /* device */
    uint32_t row_count, head_count, kv_head_count, head_dim, head_stride;
    uint32_t window, slot_count; /* slot_count >= window - 1 + row_count */
    float *out;                  /* [row_count, head_count * head_dim] */
    uint16_t
        *split; /* or NULL; in place of out, as split.cuh says. ES_CUDA_ATTENTION_FEW_MAX alone */
};
ES_MUST_CHECK enum es_status es_cuda_attention(const struct es_cuda_ops *ops,
                                               const struct es_cuda_attention *op,
                                               struct es_error *error);

/* The bytes of `partials` and the number of `tickets` that attention of this shape needs. */
size_t es_cuda_attention_scratch_bytes(const struct es_stack *stack, uint32_t row_count_max);
uint32_t es_cuda_attention_ticket_count(const struct es_stack *stack, uint32_t row_count_max);

/* y = f(W x + bias), or y += W x + bias. Row r of x starts at x + r * x_row_floats (rows may
 * overlap: a convolution is a projection of a window). */
struct es_cuda_project {
    const float *x;
    uint32_t x_row_floats;
    uint32_t row_count;
    const struct es_matrix *w;
    const float *bias; /* or NULL */
    bool is_added;     /* y += ...: the residual stream */
    bool has_gelu;     /* erf GELU after the bias; not with is_added */
    float *y;          /* [row_count, out_dim] */
    /* The adapter's last map writes into the queue: row r goes to y + slot * out_dim with
     * slot = (state->embeddings_written + r) % y_slot_count. 0: plain rows. Results that are not
     * finite raise ES_CUDA_FLAG_EMBEDDING_NOT_FINITE then. */
    uint32_t y_slot_count;
};
ES_MUST_CHECK enum es_status es_cuda_project(const struct es_cuda_ops *ops,
                                             const struct es_cuda_project *op,
                                             struct es_error *error);

/* out = silu(w1 h) * (w3 h), h = rmsnorm(x) * (1 + ada) */
struct es_cuda_gate {
    const float *x;    /* [row_count, dim] */
    const float *norm; /* [dim] */
    const float *ada;  /* [dim] or NULL */
    float norm_eps;
    uint32_t row_count;
    const struct es_matrix *w1, *w3;
    float *out; /* [row_count, hidden_dim] */
};
ES_MUST_CHECK enum es_status es_cuda_gate(const struct es_cuda_ops *ops,
                                          const struct es_cuda_gate *op, struct es_error *error);

/* The three operations behind a layer's attention, and q, k and v of the next layer, in one kernel.
 * One row. All blocks run at once: one per SM, and nothing else that waits for them may hold the
 * SMs. What goes from one operation to the next is split as split.cuh says. */
struct es_cuda_layer {
    const uint16_t *attended; /* [wo->in_dim], split */
    float *x;                 /* [dim]: the residual stream, added to twice */
    const struct es_matrix *wo;
    const float *wo_bias; /* or NULL */
    const float *norm;    /* [dim], of the gate */
    const float *ada;     /* [dim] or NULL */
    float norm_eps;
    const struct es_matrix *w1, *w3, *w2;
    const float *w2_bias;           /* or NULL */
    const struct es_cuda_qkv *next; /* its row is x; or NULL: it is the last layer */
    /* device, nothing before and nothing behind */
    uint16_t *hidden; /* [hidden_dim], split */
    uint16_t *normed; /* [dim], split */
    float *squares;   /* [dim / 8] */
};
ES_MUST_CHECK enum es_status es_cuda_layer(const struct es_cuda_ops *ops,
                                           const struct es_cuda_layer *op, struct es_error *error);
/* Whether the kernel takes this shape: all widths are multiples of 32 and leave room in shared
 * memory. `next` makes no difference. */
bool es_cuda_layer_fits(const struct es_cuda_ops *ops, const struct es_cuda_layer *op);

/* y = rmsnorm(x), rows of dim floats: the encoder's last norm. */
struct es_cuda_norm {
    const float *x;
    const float *norm;
    float norm_eps;
    uint32_t row_count, dim;
    float *y;
};
ES_MUST_CHECK enum es_status es_cuda_norm(const struct es_cuda_ops *ops,
                                          const struct es_cuda_norm *op, struct es_error *error);

/* The embedding table lies in blocks of rows_per_block rows, because no region of an integrated
 * GPU's memory is larger than a chunk. Also the output head. */
struct es_cuda_embedding {
    const uint16_t *blocks[ES_CUDA_EMBEDDING_BLOCK_COUNT_MAX]; /* device bf16 [rows, stride] */
    uint32_t rows_per_block;                                   /* a multiple of 8 */
    uint32_t vocab_size, dim, stride;
};

/* x[r] = embedding[id] + queue[slot of position]. One row: id from the step's input (or the last
 * one chosen). Several (the prompt): ids[r], device. */
struct es_cuda_embed {
    const struct es_cuda_embedding *embedding;
    const struct es_cuda_step_input *input; /* shared; read when ids is NULL */
    const int32_t *ids;                     /* device [row_count], or NULL */
    uint32_t row_count;
    const float
        *queue; /* device [queue_slot_count, dim]: position p in slot (p - oldest) % count */
    uint32_t queue_slot_count;
    float *x; /* [row_count, dim] */
};
ES_MUST_CHECK enum es_status es_cuda_embed(const struct es_cuda_ops *ops,
                                           const struct es_cuda_embed *op, struct es_error *error);

/* What `partials` hold at least (and tickets one): the best of each thread block. */
#define ES_CUDA_CHOOSE_BLOCK_COUNT_MAX 1024u
#define ES_CUDA_CHOOSE_SCRATCH_BYTES (16u * ES_CUDA_CHOOSE_BLOCK_COUNT_MAX)

/* logits = E rmsnorm(x) for one row; the bias of input goes onto id 32 before the choice; the best
 * id (ties to the lowest), its margin and the flags go to output; state->last_id and
 * decoder_position (by advance_count) move on. */
struct es_cuda_choose {
    const float *x;    /* [dim]: the last row */
    const float *norm; /* [dim] */
    float norm_eps;
    const struct es_cuda_embedding *embedding;
    const struct es_cuda_step_input *input;
    struct es_cuda_step_output *output;
    float *logits;          /* device [vocab_size], before the bias */
    uint32_t advance_count; /* rows of this run */
};
ES_MUST_CHECK enum es_status es_cuda_choose(const struct es_cuda_ops *ops,
                                            const struct es_cuda_choose *op,
                                            struct es_error *error);

/* Mel in: copies frame_count frames from shared memory behind the two of history that
 * es_cuda_advance left at the front of `frames`. */
struct es_cuda_mel {
    const float *mel; /* shared [frame_count, bin_count] */
    uint32_t frame_count, bin_count;
    float *frames; /* device [2 + frame_count_max, bin_count] */
};
ES_MUST_CHECK enum es_status es_cuda_mel(const struct es_cuda_ops *ops,
                                         const struct es_cuda_mel *op, struct es_error *error);

/* The end of an encoder run: encoder_frame += frame_count, embeddings_written += position_count.
 * The histories of the two convolutions (last `*_rows` rows) move to the front of their buffers,
 * ready for a next run of any length. */
struct es_cuda_advance {
    uint32_t frame_count, position_count;
    float *mel_frames; /* [2 + n, bin_count] */
    uint32_t mel_frame_count, mel_dim;
    float *conv0_rows; /* [1 + n, dim] */
    uint32_t conv0_row_count, conv0_dim;
};
ES_MUST_CHECK enum es_status es_cuda_advance(const struct es_cuda_ops *ops,
                                             const struct es_cuda_advance *op,
                                             struct es_error *error);

#ifdef __cplusplus
}
#endif
