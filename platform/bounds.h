/* bounds.h - every limit of the program, with its reason. A number that bounds memory or time and
 * stands anywhere else is a defect. Relations between bounds are checked by the compiler below. */
#pragma once

#ifdef __cplusplus
#define _Static_assert static_assert /* kernels read these limits, too */
#endif

/* -- memory plan ------------------------------------------------------------------------------ */
#define ES_REGION_ALIGN_BYTES 64u /* a cache line; also the widest SIMD load */
#define ES_REGION_NAME_BYTES 40u
#define ES_REGION_COUNT_MAX 256u /* a handful per module; weights of 60 GiB in chunks of a GPU */
#define ES_PAGE_BYTES 4096u      /* arenas are rounded up to this, whatever the kernel's page is */

/* A GPU's memory is taken in chunks: one driver of the Jetson (L4T 36.4.7) refuses single blocks of
 * more than a few hundred MB, however much is free. */
#define ES_CHUNK_BYTES_MAX (256u << 20)
#define ES_GPU_REGION_ALIGN_BYTES 256u /* what cudaMalloc gives; kernels count on 64 */

/* What the process holds beside the arena: code, libc, thread stacks, libsndfile's decoder, the
 * model directory's JSON while it is read. Counted in `earshot plan`, not reserved. */
#define ES_PROCESS_ALLOWANCE_BYTES (96ull << 20)

/* The same for a GPU: the driver's context, the kernels of ours and of cuBLAS that are loaded.
 * Counted in `earshot plan`; `earshot bench` measures what it really is. */
#define ES_CUDA_ALLOWANCE_BYTES (512ull << 20)

#define ES_THREAD_COUNT_MAX 64u
#define ES_CACHE_LINE_BYTES 64u
#define ES_HUGE_PAGE_BYTES (2u << 20) /* x86-64 and arm64 with 4 KiB pages */

/* Pauses before a thread of the pool sleeps: 20 to 100 us, which bridges the serial code between
 * two products of one decoder step, and costs an idle machine nothing that can be measured. */
#define ES_POOL_SPIN_COUNT 2000u

#define ES_LOG_LINE_BYTES 1024u
#define ES_LOG_LANE_BYTES 16384u /* lines that wait for whoever reads stderr */
#define ES_PATH_BYTES_MAX 4096u  /* PATH_MAX of Linux */

/* -- the model's shape: generous against the 4B model, small enough that no product of two
 *    dimensions and an element size can overflow 64 bits ------------------------------------- */
#define ES_DIM_MAX 65536u
#define ES_LAYER_COUNT_MAX 256u
#define ES_HEAD_COUNT_MAX 1024u
#define ES_HEAD_DIM_MAX 1024u
#define ES_VOCAB_SIZE_MIN                                                                          \
    34u /* the ids of [STREAMING_PAD] and [STREAMING_WORD], 32 and 33, exist */
#define ES_VOCAB_SIZE_MAX (1u << 20)
#define ES_WINDOW_MAX (1u << 20)
#define ES_MEL_BIN_COUNT_MAX 512u
#define ES_EMBEDDING_BLOCK_COUNT_MAX 16u /* chunks of a device that one table may lie in: 4 GiB */

/* -- the stream's schedule (Voxtral Realtime; mistral-common audio.py) ------------------------ */
#define ES_SAMPLE_RATE 16000u
#define ES_POSITION_SAMPLES 1280u /* one decoder position: 80 ms */
#define ES_POSITION_MS 80u
#define ES_LEFT_PAD_POSITIONS 32u
/* Of the left pad, what is silence whatever follows: the last mel frame of its last position
 * reaches 40 samples into the recording. */
#define ES_SILENT_POSITIONS (ES_LEFT_PAD_POSITIONS - 1u)
#define ES_RIGHT_PAD_EXTRA_POSITIONS                                                               \
    11u                            /* after the delay: 1 for the decision + 10 of mistral-common */
#define ES_DELAY_POSITIONS_MAX 30u /* 2400 ms */
#define ES_PROMPT_POSITIONS_MAX (1u + ES_LEFT_PAD_POSITIONS + ES_DELAY_POSITIONS_MAX)

/* Positions that one encode call takes at most. 96 positions (7.7 s) are 384 encoder rows: enough
 * that a GPU multiplies longer than it waits for weights, and activations of some MB. */
#define ES_ENCODE_POSITIONS_MAX 96u

/* A live stream's encoder takes 1, 2, 4 or 8 positions at once: one graph each. */
#define ES_CADENCE_POSITIONS_MAX 8u
#define ES_CADENCE_AUTO_MAX 4u /* 320 ms; more is only good for catching up */
#define ES_KV_WINDOW_MIN 128u  /* 10 s: below it the model forgets the sentence it is in */
/* The decoder makes one step per position and nothing can make it fewer: what is left of 80 ms is
 * the encoder's. Where the whole frame would pass the second figure, the encoder runs less often.
 */
#define ES_DECODER_SHARE_MAX 0.9
#define ES_FRAME_SHARE_MAX 0.8

/* What cuBLASLt may use beside the matrices: at most what NVIDIA recommends from Hopper on, for a
 * small model no more than a few copies of its largest product. */
#define ES_CUDA_BLAS_WORKSPACE_BYTES_MAX (32u << 20)
#define ES_CUDA_BLAS_WORKSPACE_BYTES_MIN (1u << 20)

/* The guard against blank ruts: a healthy run of id 32 ends after 25 to 165 positions, a sick one
 * lasts for thousands. The penalty stays below the 4B model's margin in true silence (8.5). */
#define ES_BLANK_RUN_START 200u
#define ES_BLANK_PENALTY_PER_POSITION 0.5f /* logits */
#define ES_BLANK_PENALTY_MAX 7.0f

/* -- the transcript ---------------------------------------------------------------------------- */
#define ES_OUTPUT_BUFFER_BYTES 4096u /* one write takes at least a line */
/* Text between two word marks, before it is given out as words. A word of more bytes than this is
 * cut in two. */
#define ES_WORD_BYTES_MAX 512u
#define ES_WORD_PADS_MAX 4u  /* pads after a word's text that say no more of it will come: 320 ms */
#define ES_WORD_MS_MAX 2000u /* a word's start is searched this far before its end */
#define ES_WORD_NOMINAL_MS 300u       /* a spoken word, where its start cannot be heard */
#define ES_LOUDNESS_FRAME_COUNT 2048u /* 20 s of 10 ms: a chunk, the delay and a sentence */

/* -- recordings -------------------------------------------------------------------------------- */
#define ES_SOURCE_RATE_MIN 1000u   /* Hz; below it there is no speech */
#define ES_SOURCE_RATE_MAX 768000u /* Hz; the fastest converters. Sizes the resampler's filter */
#define ES_SOURCE_CHANNEL_COUNT_MAX 64u /* a microphone array; sizes the block below: 1 MB */
#define ES_SOURCE_BLOCK_FRAMES 4096u    /* decoded at once: 85 ms at 48 kHz */
/* Unscaled 32-bit integers in a float file reach 2^31; above that it is no audio, and the sums of
 * the resampler and the spectrum must stay finite. */
#define ES_SOURCE_SAMPLE_MAX 1e10f
#define ES_CONTAINER_CHUNK_COUNT_MAX 4096u /* chunks looked at before a WAV file's samples */

/* -- the configuration file -------------------------------------------------------------------- */
#define ES_CONFIG_LINE_BYTES 1024u /* with comments; what is left of them fits libinih's line */
#define ES_CONFIG_VALUE_BYTES                                                                      \
    176u /* libinih takes lines of 197 bytes, the longest key and " = " included */
#define ES_CONFIG_SETTING_COUNT_MAX 32u /* --set on one command line: every key once */
#define ES_CONFIG_ORIGIN_BYTES 128u     /* of the file's path, in a line with cause and remedy */

/* -- the supervisor ---------------------------------------------------------------------------- */
#define ES_NOTIFY_BYTES_MAX 512u /* a STATUS= line is for a terminal */
/* A stage that has not moved for so long stands still. Opening a USB card may take the kernel two
 * seconds; a missing one is looked for every second; a model that is ten times too slow for its
 * board makes a step per second, and a long delay begins with 2.5 s of prompt. */
#define ES_STALL_CAPTURE_MS 4000u
#define ES_STALL_MICROPHONE_MS 4000u
#define ES_STALL_ENGINE_MS 5000u
#define ES_STATUS_MS 2000u    /* between two STATUS= lines */
#define ES_CLOCK_JUMP_MS 500u /* a time of day that is off by more was set, and not slewed */
#define ES_TICK_MS 20u /* the control plane: a LED answers a switch before a finger has left it */

/* -- the engine of an appliance ---------------------------------------------------------------- */
/* Positions that one push takes at most: what a late stream encodes at once. Activations for more
 * would be memory that a board needs for its model. */
#define ES_LIVE_POSITIONS_MAX ES_CADENCE_POSITIONS_MAX
#define ES_LIVE_SLICE_MS 100u /* the engine thread looks up, at the latest */
/* Audio that waits longer is old news: a person has looked up and away. Stalls of an SD card or of
 * a GPU that changes its clocks last for seconds and are caught up in larger chunks before that. */
#define ES_LAG_DROP_MS 8000u
#define ES_LAG_KEEP_MS 1000u /* behind a drop: not at once the next one */
/* From SIGTERM to the last byte in a second: decoding what waits may take this much of it, ... */
#define ES_STOP_FINISH_MS 800u
#define ES_CARD_FIRST_LOOK_MS 300u /* at start; a sound card opens in some ten milliseconds */
#define ES_STOP_DRAIN_MS 150u      /* ... and handing it over that much */
/* A thread that has not ended so long after it should have hangs in the kernel or in a driver. */
#define ES_STOP_GRACE_MS 2000u
#define ES_STOP_LOG_MS 100u        /* for lines that nobody reads */
#define ES_START_EXTEND_MS 10000u  /* what a service manager is asked for while the model loads */
#define ES_CLIPPING_NEWS_MS 60000u /* between two lines about a microphone that clips */

/* One pass of `earshot bench`: three minutes, or an eighth of the audio where that is more. */
#define ES_BENCH_PASS_NS_MAX(seconds)                                                              \
    ((seconds) > 1440u ? (uint64_t)(seconds)*125000000u : 180000000000ull)

/* -- microphone -------------------------------------------------------------------------------- */
#define ES_CARD_RATE_MIN 8000u        /* Hz; telephone headsets */
#define ES_CARD_RATE_MAX 192000u      /* Hz; no microphone runs faster */
#define ES_CARD_CHANNEL_COUNT_MAX 32u /* the widest USB arrays; sizes the block below: 256 KiB */
#define ES_CARD_BLOCK_FRAMES 2048u    /* read at once: 43 ms at 48 kHz, 11 ms at 192 kHz */
#define ES_CARD_PERIOD_US 10000u      /* a wake-up per period, and on average half of it as delay */
#define ES_CARD_PERIOD_US_MIN 1000u /* a USB frame; below it interrupts cost more than they bring */
#define ES_CARD_PERIOD_US_MAX 80000u   /* a position: beyond it the period alone is a step late */
#define ES_CARD_BUFFER_US 500000u      /* what a late capture thread may be late without any loss */
#define ES_CARD_BUFFER_US_MAX 4000000u /* 16 MB at the bounds above, of the kernel's memory */
#define ES_CARD_NAME_BYTES 96u         /* ALSA's own names have up to 80 */
#define ES_CARD_ID_BYTES 32u           /* the kernel's have 16 with the NUL */
#define ES_CARD_COUNT_MAX 32u          /* cards of the kernel */
#define ES_CARD_TROUBLE_BYTES 160u     /* "in use by pipewire (pid 1234)", with its remedy */
/* Above everything that is not the kernel's, whose interrupt threads run at 50. */
#define ES_CAPTURE_PRIORITY 45
#define ES_THREAD_STACK_BYTES (512u << 10) /* alsa-lib puts structs of some KiB on the stack */

#define ES_RING_SAMPLES (1u << 19) /* 32.8 s at 16 kHz, 2 MiB: the longest stall without a loss */
/* Gaps that wait for the consumer. Each lies between two runs of samples in the ring, so that a
 * consumer that works meets them long before there are so many. */
#define ES_LOSS_COUNT_MAX 256u
#define ES_TIMELINE_SEGMENT_COUNT_MAX 256u /* a word needs those of the last seconds alone */
#define ES_GAP_SILENCE_SAMPLES 16000u /* one second: enough that a word does not run on over it */

/* A card is waited for in slices, so that stop and mute are obeyed at once. */
#define ES_CAPTURE_SLICE_MS 100u
#define ES_CAPTURE_STALL_MS 1000u   /* no sample for this long: the card is opened anew */
#define ES_CAPTURE_RETRY_MS_MIN 50u /* udev needs about this long to set a new card's permissions */
#define ES_CAPTURE_RETRY_MS_MAX 1000u   /* LISTENING within 2 s of a card's return */
#define ES_CAPTURE_HEALTHY_MS 2000u     /* samples for so long, and waiting begins short again */
#define ES_CAPTURE_RESTART_COUNT_MAX 8u /* stops in a row without a sample between: opened anew */
#define ES_CAPTURE_FLAT_MS 10000u /* one number for so long: dead. The quietest room has noise */
/* A stream's position against the clock: what it falls behind from one window to the next. */
#define ES_DRIFT_WINDOW_MS 1000u
#define ES_DRIFT_LOSS_MS 20u /* above a card's own inaccuracy (1 ms) and its periods */
#define ES_LEVEL_WINDOW_MS 100u
#define ES_LEVEL_FLOOR_WINDOW_COUNT 100u /* 10 s: speech has pauses within it */

/* -- the board: serial console, journal, GPIO ------------------------------------------------- */
#define ES_DEVICE_NAME_BYTES 256u /* "/dev/serial/by-id/usb-..." with its NUL */
#define ES_EVENT_NAME_BYTES 16u   /* "state", "lost", ... with the NUL */
#define ES_LANE_BYTES 16384u      /* 200 words of one thread: a minute while a disk stalls */
#define ES_UART_RING_BYTES 16384u /* a stuck console: 13 minutes of speech at 20 bytes a second */
#define ES_UART_BAUD_MIN 50u
#define ES_UART_BAUD_MAX 12000000u  /* the fastest USB adapters */
#define ES_UART_BAUD_OFF_PERCENT 3u /* 8N1 stays readable within about 4 % between both ends */
#define ES_UART_POLL_MS 250u        /* a device that vanished is noticed, at the latest */
#define ES_UART_RETRY_MS_MIN 100u   /* first look for a device that went away, then twice as long */
#define ES_UART_RETRY_MS_MAX 1000u
#define ES_CONSOLE_PAUSE_MS 1500u   /* between words: a new line with its time */
#define ES_CONSOLE_STILL_MS 250u    /* at the end: a line that takes nothing for so long is stuck */
#define ES_PROCESS_SCAN_COUNT 4096u /* processes looked at for the holder of a busy line */
#define ES_JOURNAL_HEAD_BYTES 4096u /* slots begin at a page */
#define ES_JOURNAL_SLOT_BYTES 128u  /* most words take one; 32 to a page, none across two */
#define ES_JOURNAL_BATCH_SLOTS 32u  /* written at once: 4 KiB */
#define ES_JOURNAL_BYTES_MIN 65536ull
#define ES_JOURNAL_BYTES_MAX (1ull << 30) /* 8 million slots, read through at each start */
#define ES_JOURNAL_BYTES (16ull << 20)    /* by default: 130,000 words, half a day of speech */
#define ES_JOURNAL_SYNC_MS 5000u          /* between two fdatasync: an SD card wears by each */
#define ES_JOURNAL_RETRY_MS 10000u        /* a disk that failed */
#define ES_GPIO_NAME_BYTES 32u            /* the kernel's GPIO_MAX_NAME_SIZE */
#define ES_GPIO_CHIP_COUNT_MAX 64u        /* looked at for a label */
#define ES_MUTE_POLL_MS 20u
#define ES_MUTE_UNMUTE_MS 100u    /* a switch bounces for 10 ms, a worn one for 50 */
#define ES_STATE_HEARING_MS 1500u /* after the last word */
#define ES_STATE_LAG_MS 1000u     /* audio that waits */
#define ES_STATE_LOSS_MS 5000u    /* a loss shows for so long: a person has to see it */
#define ES_STATE_STALL_MS 1000u   /* a running card whose count stands still; the engine's steps */

/* -- files of a model directory ---------------------------------------------------------------- */
#define ES_PARAMS_JSON_BYTES_MAX (1u << 20)
#define ES_TEKKEN_JSON_BYTES_MAX (64u << 20)         /* the 4B model's has 15 to 20 MB */
#define ES_SAFETENSORS_HEADER_BYTES_MAX (100u << 20) /* the limit of the format's own library */
#define ES_TENSOR_COUNT_MAX 65536u
#define ES_TENSOR_RANK_MAX 8u
#define ES_TENSOR_NAME_BYTES 160u /* with its NUL; the 4B model's longest name has 104 characters */
#define ES_FILE_PATH_BYTES 4096u  /* PATH_MAX of Linux */
#define ES_CHECKSUMS_BYTES_MAX (64u << 10) /* three lines, and 600 of other files */
#define ES_READ_CHUNK_BYTES                                                                        \
    (8u << 20) /* weights: big enough for full disk speed, small enough that
                                        * the page cache holds little beside the arena */
/* Weights on their way to a GPU: two blocks of the file, one being read while the other is copied.
 * Big enough for a disk's full speed, and whole pages, as O_DIRECT wants. */
#define ES_STAGING_BLOCK_BYTES (4u << 20)
#define ES_SHAPE_BYTES_MIN (256u << 10) /* rows that change their shape are copied together */
#define ES_PIECE_BYTES_MEAN_MAX                                                                    \
    24u /* tokenizer: text bytes per id on average; Tekken has about 6 */

_Static_assert(ES_LAG_DROP_MS * 16u < ES_RING_SAMPLES, "the ring holds what may wait");
_Static_assert(ES_STALL_MICROPHONE_MS > ES_CAPTURE_RETRY_MS_MAX + ES_CAPTURE_STALL_MS,
               "looking for a microphone is no stall");
_Static_assert(ES_LAG_KEEP_MS < ES_LAG_DROP_MS, "a drop helps");
_Static_assert(ES_STOP_FINISH_MS + ES_STOP_DRAIN_MS < 1000u, "an end within a second");
_Static_assert(ES_SAMPLE_RATE *ES_POSITION_MS == ES_POSITION_SAMPLES * 1000u,
               "a position is a whole number of samples");
_Static_assert((ES_REGION_ALIGN_BYTES & (ES_REGION_ALIGN_BYTES - 1u)) == 0u, "a power of two");
_Static_assert(ES_PAGE_BYTES % ES_REGION_ALIGN_BYTES == 0u, "regions pack into pages");
_Static_assert(ES_PAGE_BYTES % ES_GPU_REGION_ALIGN_BYTES == 0u, "regions pack into pages");
_Static_assert(ES_GPU_REGION_ALIGN_BYTES % ES_REGION_ALIGN_BYTES == 0u, "at least a cache line");
_Static_assert(ES_STAGING_BLOCK_BYTES % ES_PAGE_BYTES == 0u, "blocks begin at a page");
_Static_assert(ES_CHUNK_BYTES_MAX % ES_PAGE_BYTES == 0u, "a full chunk is whole pages");
_Static_assert(ES_HUGE_PAGE_BYTES % ES_PAGE_BYTES == 0u, "arenas start at a huge page");
_Static_assert((ES_RING_SAMPLES & (ES_RING_SAMPLES - 1u)) == 0u, "a ring's size is a power of two");
_Static_assert(ES_CARD_RATE_MIN >= ES_SOURCE_RATE_MIN && ES_CARD_RATE_MAX <= ES_SOURCE_RATE_MAX,
               "the resampler takes every rate of a card");
_Static_assert(ES_CAPTURE_RETRY_MS_MAX + ES_CAPTURE_SLICE_MS < 2000u, "back within two seconds");
_Static_assert((ES_LANE_BYTES & (ES_LANE_BYTES - 1u)) == 0u, "a power of two");
_Static_assert((ES_UART_RING_BYTES & (ES_UART_RING_BYTES - 1u)) == 0u, "a power of two");
_Static_assert(ES_LANE_BYTES >= 8u * ES_WORD_BYTES_MAX,
               "a lane holds several of the longest words");
_Static_assert(ES_UART_RING_BYTES >= 2u * (6u * ES_WORD_BYTES_MAX + 192u),
               "the ring holds the longest line and the word of its loss");
_Static_assert(ES_JOURNAL_HEAD_BYTES % ES_JOURNAL_SLOT_BYTES == 0u, "slots are aligned");
_Static_assert(ES_JOURNAL_BATCH_SLOTS *(ES_JOURNAL_SLOT_BYTES - 56u) > ES_WORD_BYTES_MAX,
               "a batch holds the longest record");
