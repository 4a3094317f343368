#include "app/bench_report.h"

#include "app/bench_gpu.h"
#include "engine/cpu/kernels.h"

#include <inttypes.h>
#include <string.h>

#define MINUTE_POSITIONS 750u /* of 80 ms */
#define AROUND_FIRST 700u     /* of the list of steps: around second 60 */
#define AROUND_COUNT 100u

static double ms(uint64_t ns) {
    return (double)ns * 1e-6;
}

static double share(double part, double whole) {
    return whole > 0 ? 100.0 * part / whole : 0;
}

/* Figures that both forms of the report need. */
struct figures {
    double decode_p50_ms, decode_p99_ms, decode_max_ms;
    double decode_minute_ms; /* median around second 60; 0 when it was not reached */
    double decode_full_ms;   /* median with a full window, or 0 */
    double encode_p50_ms, encode_p99_ms, encode_full_ms;
    double frame_p50_ms, frame_p99_ms, frame_max_ms;
    double chunk_ms;        /* per position */
    double file_minute_ms;  /* the encoder's for a minute of a file */
    double bytes_per_s;     /* of a median step */
    double linear_share;    /* percent of the encoder's time in chunks */
    double attention_share; /* its two products */
    double softmax_share;
    double file_speed; /* times faster than real time */
    double live_speed;
    double mel_share; /* percent of the file pass */
    double drift;
    bool is_cached; /* the weights of a step fit into the last-level cache */
    bool has_gpu;
};

static double percentile_ms(const struct es_bench *bench, const struct es_bench_times *times,
                            double rank) {
    return ms(es_bench_percentile(bench, times, 0, times->count, rank));
}

static void work_out(const struct es_bench *bench, struct figures *f) {
    f->has_gpu = es_bench_has_gpu(bench);
    f->decode_p50_ms = percentile_ms(bench, &bench->decode, 0.50);
    f->decode_p99_ms = percentile_ms(bench, &bench->decode, 0.99);
    f->decode_max_ms = percentile_ms(bench, &bench->decode, 1.00);
    f->decode_minute_ms =
        bench->decode.count < AROUND_FIRST + AROUND_COUNT / 2u
            ? 0
            : ms(es_bench_percentile(bench, &bench->decode, AROUND_FIRST, AROUND_COUNT, 0.50));
    f->decode_full_ms = percentile_ms(bench, &bench->full_decode, 0.50);
    f->encode_p50_ms = percentile_ms(bench, &bench->encode, 0.50);
    f->encode_p99_ms = percentile_ms(bench, &bench->encode, 0.99);
    f->encode_full_ms = percentile_ms(bench, &bench->full_encode, 0.50);
    f->frame_p50_ms = percentile_ms(bench, &bench->frames, 0.50);
    f->frame_p99_ms = percentile_ms(bench, &bench->frames, 0.99);
    f->frame_max_ms = percentile_ms(bench, &bench->frames, 1.00);
    f->chunk_ms = ms(bench->chunk_encode_ns) / (double)bench->chunk_encode_positions;
    f->file_minute_ms = f->chunk_ms * MINUTE_POSITIONS;
    f->bytes_per_s = f->decode_p50_ms > 0 ? bench->step_bytes / (f->decode_p50_ms * 1e-3) : 0;
    double encode_ns = (double)bench->chunk_encode_ns;
    double softmax_ns =
        (double)bench->profile.softmax_ns / (double)bench->boot->backend_config.thread_count;
    f->linear_share = share((double)bench->profile.linear_ns, encode_ns);
    f->attention_share = share((double)bench->profile.attention_ns - softmax_ns, encode_ns);
    f->softmax_share = share(softmax_ns, encode_ns);
    f->file_speed = bench->file_audio_s / bench->file_wall_s;
    f->live_speed = bench->live_audio_s / bench->live_wall_s;
    f->mel_share = share(bench->mel_s_per_audio_s * bench->file_audio_s, bench->file_wall_s);
    f->drift = es_bench_drift(bench);
    f->is_cached = bench->step_bytes < (double)bench->cache_bytes;
}

/* -- as text ----------------------------------------------------------------------------------- */

static void print_machine(const struct es_bench *bench, struct es_output *output,
                          const struct figures *f) {
    const struct es_boot *boot = bench->boot;
    es_output_format(output, "model      %s, %s, backend %s", boot->options.model_directory,
                     es_dtype_name(boot->dtype), boot->ops->name);
    if (f->has_gpu) {
        es_output_format(output, "; booted in %.2f s\n", ms(bench->load_ns) * 1e-3);
        es_output_format(output, "machine    %s", es_bench_gpu_name(bench));
    } else {
        es_output_format(output, ", %u threads, %s kernels\n", boot->backend_config.thread_count,
                         es_isa_name(es_isa_current()));
        es_output_text(output, "machine   ");
    }
    es_output_format(output, " reads %.1f GB/s (best pass over %zu MiB; median %.1f)\n",
                     bench->read_bytes_per_s * 1e-9, bench->read_bytes >> 20,
                     bench->read_median_bytes_per_s * 1e-9);
}

static void print_decoder(const struct es_bench *bench, struct es_output *output,
                          const struct figures *f) {
    es_output_format(output, "decoder    %u steps: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n",
                     bench->decode.count, f->decode_p50_ms, f->decode_p99_ms, f->decode_max_ms);
    es_output_format(output, "           moves %.1f MB a step: %.1f GB/s", bench->step_bytes * 1e-6,
                     f->bytes_per_s * 1e-9);
    if (f->is_cached) {
        es_output_text(output, " (they fit the cache: no share of what memory gives)\n");
    } else {
        es_output_format(output, ", %.1f %% of what the machine reads\n",
                         share(f->bytes_per_s, bench->read_bytes_per_s));
    }
    if (f->decode_minute_ms > 0) {
        es_output_format(output, "           around second 60: p50 %.3f ms\n", f->decode_minute_ms);
    }
    if (f->decode_full_ms > 0) {
        es_output_format(
            output,
            "           with a full window of %u positions: p50 %.3f ms, %.1f %% of "
            "what the machine reads\n",
            bench->boot->model.decoder.window, f->decode_full_ms,
            share(bench->full_step_bytes / (f->decode_full_ms * 1e-3), bench->read_bytes_per_s));
    }
    es_output_format(output, "prefill    %u positions: %.2f ms\n", bench->prefill_positions,
                     ms(bench->prefill_ns));
}

static void print_encoder(const struct es_bench *bench, struct es_output *output,
                          const struct figures *f) {
    es_output_format(output,
                     "encoder    live %.3f ms per position of 80 ms (p99 %.3f); in chunks of %u "
                     "positions %.3f ms, a minute of a file %.1f ms\n",
                     f->encode_p50_ms, f->encode_p99_ms, bench->boot->options.encode_positions_max,
                     f->chunk_ms, f->file_minute_ms);
    if (f->encode_full_ms > 0) {
        es_output_format(output, "           at the end of the pass: live p50 %.3f ms\n",
                         f->encode_full_ms);
    }
    if (!f->has_gpu) {
        es_output_format(output,
                         "           in chunks %.1f %% of its time is matrix products (linear maps "
                         "%.1f %%, attention's q k and times v %.1f %%), softmax %.1f %%\n",
                         f->linear_share + f->attention_share, f->linear_share, f->attention_share,
                         f->softmax_share);
    }
}

static void print_gpu_memory(const struct es_bench *bench, struct es_output *output) {
    const struct es_arena_report *reservation = &bench->reservation;
    const double mib = 1024.0 * 1024.0;
    es_output_format(output,
                     "           planned %.1f MiB in %u chunks, which took %.1f MiB; beside it "
                     "context %.1f MiB,\n           kernels, graphs and cuBLAS %.1f MiB\n",
                     (double)reservation->asked_bytes / mib, reservation->chunk_count,
                     (double)reservation->drop_bytes / mib, (double)bench->cuda_context_bytes / mib,
                     (double)bench->cuda_later_bytes / mib);
}

static void print_frames(const struct es_bench *bench, struct es_output *output,
                         const struct figures *f) {
    es_output_format(output,
                     "frame      %u of 80 ms, mel in to token out%s: p50 %.3f ms, p99 %.3f ms, max "
                     "%.3f ms; ids %016" PRIx64 "\n",
                     bench->frames.count, bench->options.is_paced ? ", paced" : "", f->frame_p50_ms,
                     f->frame_p99_ms, f->frame_max_ms, bench->id_checksum);
    if (f->drift > 0) {
        es_output_format(output,
                         "           last ten minutes over the first ten behind the filled window: "
                         "%.4f\n",
                         f->drift);
    }
    es_output_format(output, "memory     grew by %" PRId64 " bytes in the live pass (resident)",
                     bench->resident_growth_bytes);
    if (f->has_gpu) {
        es_output_format(output, ", the GPU's by %" PRId64 "\n", bench->device_growth_bytes);
        print_gpu_memory(bench, output);
    } else {
        es_output_text(output, "\n");
    }
}

static void print_kernels(const struct es_bench *bench, struct es_output *output) {
    if (bench->kernel_count == 0) {
        return;
    }
    es_output_format(output, "\n%-9s %-20s %5s %10s %9s %9s %7s\n", "stage", "kernel", "times",
                     "MB", "us", "GB/s", "share");
    for (uint32_t i = 0; i < bench->kernel_count; i++) {
        const struct es_bench_kernel *kernel = &bench->kernels[i];
        double rate = kernel->bytes / kernel->seconds;
        es_output_format(output, "%-9s %-20s %5u %10.3f %9.2f %9.1f %6.1f%%\n", kernel->stage,
                         kernel->name, kernel->per_frame, kernel->bytes * 1e-6,
                         kernel->seconds * 1e6, rate * 1e-9, share(rate, bench->read_bytes_per_s));
    }
}

static void print_text(const struct es_bench *bench, struct es_output *output,
                       const struct figures *f) {
    print_machine(bench, output, f);
    print_decoder(bench, output, f);
    print_encoder(bench, output, f);
    print_frames(bench, output, f);
    es_output_format(output, "mel        %.3f ms per position, %.1f %% of a file's time\n",
                     bench->mel_s_per_audio_s * ES_POSITION_MS, f->mel_share);
    es_output_format(output,
                     "real time  as a file %.1f times faster (%.1f s in %.2f s); as live audio "
                     "%.1f times faster (%.1f s in %.2f s)\n",
                     f->file_speed, bench->file_audio_s, bench->file_wall_s, f->live_speed,
                     bench->live_audio_s, bench->live_wall_s);
    print_kernels(bench, output);
}

/* -- as JSON ----------------------------------------------------------------------------------- */

static void print_json_kernels(const struct es_bench *bench, struct es_output *output) {
    es_output_text(output, ",\"kernels\":[");
    for (uint32_t i = 0; i < bench->kernel_count; i++) {
        const struct es_bench_kernel *kernel = &bench->kernels[i];
        es_output_format(output,
                         "%s\n{\"stage\":\"%s\",\"name\":\"%s\",\"per_frame\":%u,\"mb\":%.4f,"
                         "\"us\":%.3f}",
                         i == 0 ? "" : ",", kernel->stage, kernel->name, kernel->per_frame,
                         kernel->bytes * 1e-6, kernel->seconds * 1e6);
    }
    es_output_text(output, "]}\n");
}

static void print_json(const struct es_bench *bench, struct es_output *output,
                       const struct figures *f) {
    const struct es_boot *boot = bench->boot;
    es_output_text(output, "{\"model\":");
    es_output_json_string(output, boot->options.model_directory,
                          strlen(boot->options.model_directory));
    es_output_format(output,
                     ",\"dtype\":\"%s\",\"backend\":\"%s\",\"threads\":%u,\"isa\":\"%s\","
                     "\"boot_s\":%.3f,",
                     es_dtype_name(boot->dtype), boot->ops->name, boot->backend_config.thread_count,
                     es_isa_name(es_isa_current()), ms(bench->load_ns) * 1e-3);
    es_output_format(output,
                     "\"read_gb_s\":%.2f,\"read_median_gb_s\":%.2f,\"decode_steps\":%u,"
                     "\"decode_p50_ms\":%.4f,\"decode_p99_ms\":%.4f,\"decode_max_ms\":%.4f,"
                     "\"decode_second_60_ms\":%.4f,\"decode_full_window_ms\":%.4f,"
                     "\"decode_mb\":%.3f,\"decode_gb_s\":%.2f,\"decode_fits_cache\":%s,",
                     bench->read_bytes_per_s * 1e-9, bench->read_median_bytes_per_s * 1e-9,
                     bench->decode.count, f->decode_p50_ms, f->decode_p99_ms, f->decode_max_ms,
                     f->decode_minute_ms, f->decode_full_ms, bench->step_bytes * 1e-6,
                     f->bytes_per_s * 1e-9, f->is_cached ? "true" : "false");
    es_output_format(output,
                     "\"prefill_positions\":%u,\"prefill_ms\":%.3f,\"encode_live_p50_ms\":%.4f,"
                     "\"encode_live_p99_ms\":%.4f,\"encode_full_ms\":%.4f,"
                     "\"encode_chunk_positions\":%u,\"encode_chunk_ms\":%.4f,"
                     "\"encode_file_minute_ms\":%.2f,\"encode_linear_percent\":%.2f,"
                     "\"encode_attention_percent\":%.2f,\"encode_softmax_percent\":%.2f,",
                     bench->prefill_positions, ms(bench->prefill_ns), f->encode_p50_ms,
                     f->encode_p99_ms, f->encode_full_ms, boot->options.encode_positions_max,
                     f->chunk_ms, f->file_minute_ms, f->linear_share, f->attention_share,
                     f->softmax_share);
    es_output_format(output,
                     "\"frames\":%u,\"frame_p50_ms\":%.4f,\"frame_p99_ms\":%.4f,"
                     "\"frame_max_ms\":%.4f,\"is_paced\":%s,\"drift\":%.4f,"
                     "\"ids\":\"%016" PRIx64 "\",\"resident_growth_bytes\":%" PRId64
                     ",\"device_growth_bytes\":%" PRId64 ",",
                     bench->frames.count, f->frame_p50_ms, f->frame_p99_ms, f->frame_max_ms,
                     bench->options.is_paced ? "true" : "false", f->drift, bench->id_checksum,
                     bench->resident_growth_bytes, bench->device_growth_bytes);
    es_output_format(output,
                     "\"planned_gpu_bytes\":%zu,\"gpu_chunks\":%u,\"took_gpu_bytes\":%" PRId64
                     ",\"cuda_context_bytes\":%" PRId64 ",\"cuda_later_bytes\":%" PRId64 ",",
                     bench->reservation.asked_bytes, bench->reservation.chunk_count,
                     bench->reservation.drop_bytes, bench->cuda_context_bytes,
                     bench->cuda_later_bytes);
    es_output_format(output,
                     "\"mel_ms\":%.4f,\"mel_percent\":%.2f,\"file_audio_s\":%.2f,"
                     "\"file_times_real_time\":%.2f,\"live_audio_s\":%.2f,"
                     "\"live_times_real_time\":%.2f",
                     bench->mel_s_per_audio_s * ES_POSITION_MS, f->mel_share, bench->file_audio_s,
                     f->file_speed, bench->live_audio_s, f->live_speed);
    print_json_kernels(bench, output);
}

void es_bench_report(const struct es_bench *bench, struct es_output *output, bool as_json) {
    struct figures figures;
    work_out(bench, &figures);
    if (as_json) {
        print_json(bench, output, &figures);
    } else {
        print_text(bench, output, &figures);
    }
}
