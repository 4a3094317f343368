/* bench.h - how fast a booted engine is, and how fast the machine would let it be.
 *
 *   es_bench_layout(&bench, &boot, seconds);      between es_boot_plan and es_boot_start
 *   es_bench_measure_read(&bench);
 *   status = es_bench_measure_live(&bench, &error);
 *   status = es_bench_measure_file(&bench, &error);
 *   es_bench_measure_mel(&bench);
 *
 * The engine's calls are timed at its seam, by operations that wrap the real ones. The audio is
 * synthetic (a tone that comes and goes in noise) and the same every time. A pass ends after
 * `seconds` of audio or ES_BENCH_PASS_NS_MAX, whichever comes first; the report says how much it
 * saw. Main thread. */
#pragma once

#include "app/boot.h"
#include "engine/cpu/profile.h"

struct es_bench {
    struct es_boot *boot; /* borrowed */
    uint32_t seconds;     /* of audio in each pass, at most */
    uint32_t read_region;
    uint32_t times_region;
    uint32_t time_count_max; /* of each list */
    /* the machine */
    size_t read_bytes;       /* of the buffer, several times the last-level cache */
    size_t cache_bytes;      /* last level; 0 when unknown */
    double read_bytes_per_s; /* best pass */
    double read_median_bytes_per_s;
    /* position by position, as live audio comes */
    uint64_t *decode_ns; /* [time_count_max], ascending after the pass */
    uint32_t decode_count;
    uint64_t *encode_ns;
    uint32_t encode_count;
    uint64_t prefill_ns;
    uint32_t prefill_positions;
    double
        step_bytes; /* mean: weights of decoder and head, and the keys and values of the window */
    double live_audio_s;
    double live_wall_s;
    /* as a file comes: chunks of encode_positions_max */
    uint64_t chunk_encode_ns;
    uint64_t chunk_encode_positions;
    struct es_profile profile; /* of the encoder alone */
    double file_audio_s;
    double file_wall_s;
    /* mel alone */
    double mel_s_per_audio_s;
    /* state of a pass */
    bool is_live;
    uint64_t step_count;
    double kv_bytes;
};

/* Adds the benchmark's own regions to boot->plan. */
void es_bench_layout(struct es_bench *bench, struct es_boot *boot, uint32_t seconds);

/* After es_boot_start. */
void es_bench_measure_read(struct es_bench *bench);
ES_MUST_CHECK enum es_status es_bench_measure_live(struct es_bench *bench, struct es_error *error);
ES_MUST_CHECK enum es_status es_bench_measure_file(struct es_bench *bench, struct es_error *error);
void es_bench_measure_mel(struct es_bench *bench);

/* times [count] ascending; share 0..1: 0.5 is the median. 0 when there are none. */
uint64_t es_bench_percentile(const uint64_t *times, uint32_t count, double share);
