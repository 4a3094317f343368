/* bounds.h - every limit of the program, with its reason. A number that bounds memory or time and
 * stands anywhere else is a defect. Relations between bounds are checked by the compiler below. */
#pragma once

/* -- memory plan ------------------------------------------------------------------------------ */
#define ES_REGION_ALIGN_BYTES 64u /* a cache line; also the widest SIMD load */
#define ES_REGION_NAME_BYTES 40u
#define ES_REGION_COUNT_MAX 96u /* modules own a handful each */
#define ES_PAGE_BYTES 4096u     /* arenas are rounded up to this, whatever the kernel's page is */

/* What the process holds beside the arena: code, libc, thread stacks, libsndfile's decoder, the
 * model directory's JSON while it is read. Counted in `earshot plan`, not reserved. */
#define ES_PROCESS_ALLOWANCE_BYTES (96ull << 20)

#define ES_THREAD_COUNT_MAX 64u
#define ES_CACHE_LINE_BYTES 64u

/* -- the model's shape: generous against the 4B model, small enough that no product of two
 *    dimensions and an element size can overflow 64 bits ------------------------------------- */
#define ES_DIM_MAX 65536u
#define ES_LAYER_COUNT_MAX 256u
#define ES_HEAD_COUNT_MAX 1024u
#define ES_HEAD_DIM_MAX 1024u
#define ES_VOCAB_SIZE_MAX (1u << 20)
#define ES_WINDOW_MAX (1u << 20)
#define ES_MEL_BIN_COUNT_MAX 512u

/* -- the stream's schedule (Voxtral Realtime; mistral-common audio.py) --------------------------
 */
#define ES_SAMPLE_RATE 16000u
#define ES_POSITION_SAMPLES 1280u /* one decoder position: 80 ms */
#define ES_POSITION_MS 80u
#define ES_LEFT_PAD_POSITIONS 32u
#define ES_RIGHT_PAD_EXTRA_POSITIONS                                                               \
    11u                            /* after the delay: 1 for the decision + 10 of mistral-common */
#define ES_DELAY_POSITIONS_MAX 30u /* 2400 ms */
#define ES_PROMPT_POSITIONS_MAX (1u + ES_LEFT_PAD_POSITIONS + ES_DELAY_POSITIONS_MAX)

/* Positions that one encode call takes at most. 64 positions (5.1 s) are 256 encoder rows: enough
 * to read each weight panel from cache 64 times, small enough for activations of a few MB. */
#define ES_ENCODE_POSITIONS_MAX 64u

/* -- files of a model directory ---------------------------------------------------------------- */
#define ES_PARAMS_JSON_BYTES_MAX (1u << 20)
#define ES_TEKKEN_JSON_BYTES_MAX (64u << 20)         /* the 4B model's has 15 to 20 MB */
#define ES_SAFETENSORS_HEADER_BYTES_MAX (100u << 20) /* the limit of the format's own library */
#define ES_TENSOR_COUNT_MAX 65536u
#define ES_TENSOR_RANK_MAX 8u
#define ES_PIECE_BYTES_MEAN_MAX                                                                    \
    24u /* tokenizer: text bytes per id on average; Tekken has about 6 */

_Static_assert(ES_SAMPLE_RATE *ES_POSITION_MS == ES_POSITION_SAMPLES * 1000u,
               "a position is a whole number of samples");
_Static_assert((ES_REGION_ALIGN_BYTES & (ES_REGION_ALIGN_BYTES - 1u)) == 0u, "a power of two");
_Static_assert(ES_PAGE_BYTES % ES_REGION_ALIGN_BYTES == 0u, "regions pack into pages");
