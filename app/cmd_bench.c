#include "app/bench.h"
#include "app/commands.h"
#include "engine/cpu/kernels.h"

#include <string.h>
#include <unistd.h>

static struct es_boot boot;
static struct es_bench bench;

static double ms(uint64_t ns) {
    return (double)ns * 1e-6;
}

static double share(double part, double whole) {
    return whole > 0 ? 100.0 * part / whole : 0;
}

/* Figures that both forms of the report need. */
struct figures {
    double decode_p50_ms, decode_p99_ms, decode_max_ms;
    double encode_p50_ms, encode_p99_ms;
    double chunk_ms;        /* per position */
    double bytes_per_s;     /* of a median step */
    double linear_share;    /* percent of the encoder's time in chunks */
    double attention_share; /* its two products */
    double softmax_share;
    double file_speed; /* times faster than real time */
    double live_speed;
    double mel_share; /* percent of the file pass */
    bool is_cached;   /* the weights of a step fit into the last-level cache */
};

static void work_out(struct figures *f) {
    f->decode_p50_ms = ms(es_bench_percentile(bench.decode_ns, bench.decode_count, 0.50));
    f->decode_p99_ms = ms(es_bench_percentile(bench.decode_ns, bench.decode_count, 0.99));
    f->decode_max_ms = ms(es_bench_percentile(bench.decode_ns, bench.decode_count, 1.00));
    f->encode_p50_ms = ms(es_bench_percentile(bench.encode_ns, bench.encode_count, 0.50));
    f->encode_p99_ms = ms(es_bench_percentile(bench.encode_ns, bench.encode_count, 0.99));
    f->chunk_ms = ms(bench.chunk_encode_ns) / (double)bench.chunk_encode_positions;
    f->bytes_per_s = f->decode_p50_ms > 0 ? bench.step_bytes / (f->decode_p50_ms * 1e-3) : 0;
    double encode_ns = (double)bench.chunk_encode_ns;
    double softmax_ns = (double)bench.profile.softmax_ns / (double)boot.backend_config.thread_count;
    f->linear_share = share((double)bench.profile.linear_ns, encode_ns);
    f->attention_share = share((double)bench.profile.attention_ns - softmax_ns, encode_ns);
    f->softmax_share = share(softmax_ns, encode_ns);
    f->file_speed = bench.file_audio_s / bench.file_wall_s;
    f->live_speed = bench.live_audio_s / bench.live_wall_s;
    f->mel_share = share(bench.mel_s_per_audio_s * bench.file_audio_s, bench.file_wall_s);
    f->is_cached = bench.step_bytes < (double)bench.cache_bytes;
}

static void print_text(struct es_output *output, const struct figures *f) {
    es_output_format(output, "model      %s, %s, %u threads, %s kernels\n",
                     boot.options.model_directory, es_dtype_name(boot.dtype),
                     boot.backend_config.thread_count, es_isa_name(es_isa_current()));
    es_output_format(output,
                     "machine    reads %.1f GB/s with these threads (best pass over %zu MiB; "
                     "median %.1f)\n",
                     bench.read_bytes_per_s * 1e-9, bench.read_bytes >> 20,
                     bench.read_median_bytes_per_s * 1e-9);
    es_output_format(output, "decoder    %u steps: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n",
                     bench.decode_count, f->decode_p50_ms, f->decode_p99_ms, f->decode_max_ms);
    es_output_format(output, "           moves %.1f MB a step: %.1f GB/s", bench.step_bytes * 1e-6,
                     f->bytes_per_s * 1e-9);
    if (f->is_cached) {
        es_output_text(output, " (they fit the cache: no share of what memory gives)\n");
    } else {
        es_output_format(output, ", %.1f %% of what the machine reads\n",
                         share(f->bytes_per_s, bench.read_bytes_per_s));
    }
    es_output_format(output, "prefill    %u positions: %.2f ms\n", bench.prefill_positions,
                     ms(bench.prefill_ns));
    es_output_format(output,
                     "encoder    live %.3f ms per position of 80 ms (p99 %.3f); in chunks of %u "
                     "positions %.3f ms\n",
                     f->encode_p50_ms, f->encode_p99_ms, boot.options.encode_positions_max,
                     f->chunk_ms);
    es_output_format(output,
                     "           in chunks %.1f %% of its time is matrix products (linear maps "
                     "%.1f %%, attention's q k and times v %.1f %%), softmax %.1f %%\n",
                     f->linear_share + f->attention_share, f->linear_share, f->attention_share,
                     f->softmax_share);
    es_output_format(output, "mel        %.3f ms per position, %.1f %% of a file's time\n",
                     bench.mel_s_per_audio_s * ES_POSITION_MS, f->mel_share);
    es_output_format(output,
                     "real time  as a file %.1f times faster (%.1f s in %.2f s); as live audio "
                     "%.1f times faster (%.1f s in %.2f s)\n",
                     f->file_speed, bench.file_audio_s, bench.file_wall_s, f->live_speed,
                     bench.live_audio_s, bench.live_wall_s);
}

static void print_json(struct es_output *output, const struct figures *f) {
    es_output_text(output, "{\"model\":");
    es_output_json_string(output, boot.options.model_directory,
                          strlen(boot.options.model_directory));
    es_output_format(output, ",\"dtype\":\"%s\",\"threads\":%u,\"kernels\":\"%s\",",
                     es_dtype_name(boot.dtype), boot.backend_config.thread_count,
                     es_isa_name(es_isa_current()));
    es_output_format(output,
                     "\"read_gb_s\":%.2f,\"read_median_gb_s\":%.2f,\"decode_steps\":%u,"
                     "\"decode_p50_ms\":%.4f,\"decode_p99_ms\":%.4f,\"decode_max_ms\":%.4f,"
                     "\"decode_mb\":%.3f,\"decode_gb_s\":%.2f,\"decode_fits_cache\":%s,",
                     bench.read_bytes_per_s * 1e-9, bench.read_median_bytes_per_s * 1e-9,
                     bench.decode_count, f->decode_p50_ms, f->decode_p99_ms, f->decode_max_ms,
                     bench.step_bytes * 1e-6, f->bytes_per_s * 1e-9,
                     f->is_cached ? "true" : "false");
    es_output_format(output,
                     "\"prefill_positions\":%u,\"prefill_ms\":%.3f,\"encode_live_p50_ms\":%.4f,"
                     "\"encode_live_p99_ms\":%.4f,\"encode_chunk_positions\":%u,"
                     "\"encode_chunk_ms\":%.4f,\"encode_linear_percent\":%.2f,"
                     "\"encode_attention_percent\":%.2f,\"encode_softmax_percent\":%.2f,",
                     bench.prefill_positions, ms(bench.prefill_ns), f->encode_p50_ms,
                     f->encode_p99_ms, boot.options.encode_positions_max, f->chunk_ms,
                     f->linear_share, f->attention_share, f->softmax_share);
    es_output_format(output,
                     "\"mel_ms\":%.4f,\"mel_percent\":%.2f,\"file_audio_s\":%.2f,"
                     "\"file_times_real_time\":%.2f,\"live_audio_s\":%.2f,"
                     "\"live_times_real_time\":%.2f}\n",
                     bench.mel_s_per_audio_s * ES_POSITION_MS, f->mel_share, bench.file_audio_s,
                     f->file_speed, bench.live_audio_s, f->live_speed);
}

static enum es_status boot_and_measure(const struct es_options *options, struct es_error *error) {
    struct es_boot_options boot_options = {.model_directory = options->model_directory,
                                           .thread_count = options->thread_count,
                                           .encode_positions_max = ES_ENCODE_POSITIONS_MAX};
    enum es_status status = es_boot_plan(&boot, &boot_options, error);
    if (status != ES_OK) {
        return status;
    }
    es_bench_layout(&bench, &boot, options->seconds);
    status = es_boot_start(&boot, error);
    if (status != ES_OK) {
        return status;
    }
    es_bench_measure_read(&bench);
    status = es_bench_measure_live(&bench, error);
    if (status == ES_OK) {
        status = es_bench_measure_file(&bench, error);
    }
    if (status != ES_OK) {
        return status;
    }
    es_bench_measure_mel(&bench);
    struct figures figures;
    work_out(&figures);
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    if (options->as_json) {
        print_json(&output, &figures);
    } else {
        print_text(&output, &figures);
    }
    return es_output_flush(&output, error);
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    enum es_status status = boot_and_measure(options, error);
    es_boot_stop(&boot);
    return status;
}

const struct es_command es_command_bench = {
    .name = "bench",
    .summary = "how fast a model runs here, beside what the machine's memory gives",
    .help = "usage: earshot bench [options]\n"
            "\n"
            "  --model DIR        the model (default: the bring-up model)\n"
            "  --seconds S        of synthetic audio for each of two passes (default 60); a pass\n"
            "                     ends early after three minutes\n"
            "  --threads N        worker threads (default: every processor)\n"
            "  --json             for programs\n"
            "\n"
            "The shares of the encoder's time are exact with --threads 1.\n",
    .accepted = ES_OPTION_MODEL | ES_OPTION_SECONDS | ES_OPTION_THREADS | ES_OPTION_JSON,
    .takes_file = false,
    .run = run,
};
