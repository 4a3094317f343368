/* bench.h - how fast a booted engine is, and how fast the machine would let it be.
 *
 *   es_bench_layout(&bench, &boot, &options);     between es_boot_plan and es_boot_start
 *   status = es_bench_measure_read(&bench, &error);
 *   status = es_bench_measure_prefill(&bench, &error);
 *   status = es_bench_measure_live(&bench, &error);
 *   status = es_bench_measure_file(&bench, &error);
 *   es_bench_measure_mel(&bench);
 *
 * The engine's calls are timed at its seam, by operations that wrap the real ones: wall time of the
 * host, from the call to the token. A GPU works behind the caller's back; so a live pass has parts
 * in which encoder and decoder are waited for one by one (the figures of each), and frames as the
 * product runs them, mel in to token out. The audio is synthetic (a tone that comes and goes in
 * noise) unless a recording is given, which then repeats. A pass ends after `seconds` of audio or
 * at a limit of time; the report says how much it saw. Main thread. */
#pragma once

#include "app/boot.h"
#include "engine/cpu/profile.h"

struct es_bench_options {
    uint32_t seconds;     /* of audio in the live pass, at most; of a file's, 60 at most */
    bool is_paced;        /* a live frame every 80 ms, as a microphone gives them: clocks fall
                           * between them */
    const float *samples; /* borrowed: the audio, NULL for a synthetic one */
    uint64_t sample_count;
};

/* Wall times of one kind of call, in order. */
struct es_bench_times {
    uint64_t *ns; /* [count_max], in the arena */
    uint32_t count;
    uint32_t count_max;
};

#define ES_BENCH_KERNEL_COUNT_MAX 32u

/* One kernel of a GPU, timed by itself. */
struct es_bench_kernel {
    const char *stage; /* "encoder", "decoder" */
    const char *name;
    uint32_t per_frame; /* launches in a frame of 80 ms */
    double bytes;       /* that a launch must move; 0: next to nothing */
    double seconds;     /* of a launch */
};

struct es_bench {
    struct es_boot *boot; /* borrowed */
    struct es_bench_options options;
    uint32_t read_region; /* CPU backend alone */
    uint32_t times_region;
    /* the machine */
    size_t read_bytes;       /* of a pass: on a CPU several times the last-level cache, on a GPU
                              * all weights */
    size_t cache_bytes;      /* last level; 0 when unknown */
    double read_bytes_per_s; /* best pass */
    double read_median_bytes_per_s;
    /* position by position, as live audio comes */
    struct es_bench_times decode;      /* of the first minute */
    struct es_bench_times encode;      /* the same */
    struct es_bench_times full_decode; /* with the decoder's window filled, where it came to that */
    struct es_bench_times full_encode;
    struct es_bench_times frames; /* mel in to token out, all */
    double step_bytes;            /* mean of `decode`: weights and the window's keys and values */
    double full_step_bytes;       /* with a full window */
    double live_audio_s;
    double live_wall_s;
    uint64_t id_checksum;               /* FNV-1a over the ids chosen in the live pass */
    struct es_arena_report reservation; /* of a GPU's kinds: what was asked for, what it took */
    int64_t cuda_context_bytes;         /* beside the plan: as opening the GPU found it */
    int64_t cuda_later_bytes;           /* kernels, graphs, cuBLAS, as warm-up left it */
    int64_t device_growth_bytes; /* memory of the GPU at the end of the live pass less the start */
    int64_t resident_growth_bytes; /* of the process, the same */
    /* the prompt of the default delay */
    uint64_t prefill_ns; /* median of several */
    uint32_t prefill_positions;
    /* as a file comes: chunks of encode_positions_max */
    uint64_t chunk_encode_ns;
    uint64_t chunk_encode_positions;
    struct es_profile profile; /* of the encoder alone; CPU backend */
    double file_audio_s;
    double file_wall_s;
    /* mel alone */
    double mel_s_per_audio_s;
    /* a GPU's kernels; none on the CPU backend */
    struct es_bench_kernel kernels[ES_BENCH_KERNEL_COUNT_MAX];
    uint32_t kernel_count;
    uint64_t load_ns; /* of es_boot_start: reserve, load, warm up */
    /* state of a pass */
    enum { ES_BENCH_FILE, ES_BENCH_PARTS, ES_BENCH_FRAMES, ES_BENCH_FULL } phase;
    uint64_t frame_start_ns;
    uint64_t frame_parts_ns;
    uint64_t step_count;
    double kv_bytes;
};

/* Adds the benchmark's own regions to boot->plan. `options` is copied. */
void es_bench_layout(struct es_bench *bench, struct es_boot *boot,
                     const struct es_bench_options *options);

/* After es_boot_start. */
ES_MUST_CHECK enum es_status es_bench_measure_read(struct es_bench *bench, struct es_error *error);
ES_MUST_CHECK enum es_status es_bench_measure_prefill(struct es_bench *bench,
                                                      struct es_error *error);
ES_MUST_CHECK enum es_status es_bench_measure_live(struct es_bench *bench, struct es_error *error);
ES_MUST_CHECK enum es_status es_bench_measure_file(struct es_bench *bench, struct es_error *error);
void es_bench_measure_mel(struct es_bench *bench);

/* Ascending, in place; allocates nothing. */
void es_bench_sort(uint64_t *times, uint32_t count);

/* The smallest of these times that at least `share` (0..1; 0.5: the median) of them do not exceed,
 * among `count` from `first` on (cut to what is there); 0 when there are none. Sorts a copy in the
 * arena's scratch. */
uint64_t es_bench_percentile(const struct es_bench *bench, const struct es_bench_times *times,
                             uint32_t first, uint32_t count, double share);

/* Median frame of the last ten minutes over that of the first ten minutes behind the filled window;
 * 0 when the pass was too short for both. */
double es_bench_drift(const struct es_bench *bench);

/* One frame per line, in order: milliseconds. For tools/plot_steps.py. */
ES_MUST_CHECK enum es_status es_bench_write_times(const struct es_bench *bench, const char *path,
                                                  struct es_error *error);
