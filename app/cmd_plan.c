#include "app/boot.h"
#include "app/commands.h"
#include "board/board.h"
#include "platform/jetson/module.h"
#include "platform/memory.h"

#include <string.h>
#include <unistd.h>

/* What the plan is held against: the machine's memory, and beside it a GPU's own. */
struct demand {
    const char *name;
    const char *source;
    uint64_t needed_bytes, available_bytes;
};

static struct es_boot boot;
static struct demand demands[2];
static uint32_t demand_count;

static double mib(uint64_t bytes) {
    return (double)bytes / (1024.0 * 1024.0);
}

static bool is_gpu(void) {
    return boot.backend_config.kv_kind != ES_MEM_HOST;
}

static uint64_t reserved(enum es_mem_kind kind) {
    return es_plan_total_bytes(&boot.plan, kind);
}

static uint64_t reserved_total(void) {
    uint64_t total = 0;
    for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
        total += reserved((enum es_mem_kind)kind);
    }
    return total;
}

static bool fits(void) {
    bool all_fit = true;
    for (uint32_t i = 0; i < demand_count; i++) {
        all_fit = all_fit && demands[i].needed_bytes <= demands[i].available_bytes;
    }
    return all_fit;
}

static void print_amount(struct es_output *output, const char *name, uint64_t bytes) {
    es_output_format(output, "%-45s %15llu %12.2f\n", name, (unsigned long long)bytes, mib(bytes));
}

static void print_speed(struct es_output *output, uint32_t cadence_positions) {
    const struct es_forecast *forecast = &boot.forecast;
    if (forecast->bytes_per_s <= 0 || !is_gpu()) {
        return;
    }
    es_output_format(
        output,
        "\na decoder step reads %.2f GB and an encoder run %.2f GB; at %.1f GB/s, the "
        "memory's best,\nthe decoder takes %.0f %% of real time, both %.0f %% with the "
        "encoder every %u ms\n",
        forecast->decoder_bytes * 1e-9, forecast->encoder_bytes * 1e-9,
        forecast->bytes_per_s * 1e-9, 100.0 * es_forecast_decoder_share(forecast),
        100.0 * es_forecast_frame_share(forecast, cadence_positions),
        cadence_positions * ES_POSITION_MS);
}

/* The power mode is an input of the forecast: the same board is half as fast in another. */
static void print_module(struct es_output *output) {
    struct es_jetson_module module;
    es_jetson_module_read(&module, "");
    if (boot.options.board_title != NULL || !module.is_jetson) {
        return;
    }
    es_output_format(output, "module %s (%s), power mode %s, GPU at up to %.0f of %.0f MHz\n",
                     module.part, module.title,
                     module.power_mode[0] != '\0' ? module.power_mode : "not known",
                     (double)module.gpu_cap_hz * 1e-6, (double)module.gpu_max_hz * 1e-6);
}

static void print_table(struct es_output *output, uint32_t cadence_positions) {
    const struct es_plan *plan = &boot.plan;
    es_output_format(output, "model  %s, %s weights%s, %u threads\n", boot.options.model_directory,
                     es_dtype_name(boot.dtype),
                     boot.is_dtype_assumed ? " (assumed: they are not here)" : "",
                     boot.backend_config.thread_count);
    es_output_format(output, "engine %s (%s), a window of %u positions\n", boot.ops->name,
                     boot.backends.reason, boot.model.decoder.window);
    print_module(output);
    es_output_text(output, "\n");
    es_output_format(output, "%-36s %-8s %15s %12s\n", "region", "kind", "bytes", "MiB");
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct es_plan_region *region = &plan->regions[i];
        es_output_format(output, "%-36s %-8s %15zu %12.2f\n", region->name,
                         es_mem_kind_name(region->kind), region->bytes, mib(region->bytes));
    }
    es_output_text(output, "\n");
    for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
        uint64_t bytes = reserved((enum es_mem_kind)kind);
        if (bytes > 0) {
            es_output_format(
                output, "%-36s %-8s %15llu %12.2f\n", "reserved (aligned, whole pages)",
                es_mem_kind_name((enum es_mem_kind)kind), (unsigned long long)bytes, mib(bytes));
        }
    }
    print_amount(output, "total reserved", reserved_total());
    print_amount(output, "process allowance (code, stacks, libraries)", ES_PROCESS_ALLOWANCE_BYTES);
    if (is_gpu()) {
        print_amount(output, "CUDA allowance (context, kernels, cuBLAS)", ES_CUDA_ALLOWANCE_BYTES);
    }
    for (uint32_t i = 0; i < demand_count; i++) {
        print_amount(output, "needed", demands[i].needed_bytes);
        print_amount(output, demands[i].name, demands[i].available_bytes);
        es_output_format(output, "  (%s)\n", demands[i].source);
    }
    print_speed(output, cadence_positions);
    es_output_format(output, "\n%s\n", fits() ? "it fits" : "it does not fit");
}

static void print_json(struct es_output *output, uint32_t cadence_positions) {
    const struct es_plan *plan = &boot.plan;
    es_output_format(output, "{\"dtype\":\"%s\",\"threads\":%u,\"engine\":\"%s\",\"reason\":",
                     es_dtype_name(boot.dtype), boot.backend_config.thread_count, boot.ops->name);
    es_output_json_string(output, boot.backends.reason, strlen(boot.backends.reason));
    es_output_format(output, ",\"kv_window\":%u,\"regions\":[", boot.model.decoder.window);
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct es_plan_region *region = &plan->regions[i];
        es_output_format(output, "%s\n{\"name\":\"%s\",\"kind\":\"%s\",\"bytes\":%zu}",
                         i == 0 ? "" : ",", region->name, es_mem_kind_name(region->kind),
                         region->bytes);
    }
    es_output_format(output, "],\n\"total_bytes\":%llu,\"allowance_bytes\":%llu,",
                     (unsigned long long)reserved_total(),
                     (unsigned long long)(ES_PROCESS_ALLOWANCE_BYTES +
                                          (is_gpu() ? ES_CUDA_ALLOWANCE_BYTES : 0)));
    es_output_format(output, "\"needed_bytes\":%llu,\"available_bytes\":%llu,",
                     (unsigned long long)demands[0].needed_bytes,
                     (unsigned long long)demands[0].available_bytes);
    if (demand_count > 1) {
        es_output_format(output, "\"gpu_needed_bytes\":%llu,\"gpu_available_bytes\":%llu,",
                         (unsigned long long)demands[1].needed_bytes,
                         (unsigned long long)demands[1].available_bytes);
    }
    es_output_format(output,
                     "\"decoder_share\":%.3f,\"frame_share\":%.3f,\"encoder_cadence_ms\":%u,"
                     "\"fits\":%s}\n",
                     es_forecast_decoder_share(&boot.forecast),
                     es_forecast_frame_share(&boot.forecast, cadence_positions),
                     cadence_positions * ES_POSITION_MS, fits() ? "true" : "false");
}

/* A GPU with memory of its own: its kinds are held against that, the rest against the machine's. */
static enum es_status demand_of_gpu(struct es_error *error) {
    size_t available_bytes = 0;
    enum es_status status = es_gpu_available(boot.backends.cuda, &available_bytes, error);
    uint64_t own_bytes = reserved(ES_MEM_DEVICE) + reserved(ES_MEM_UNIFIED);
    demands[0].needed_bytes -= own_bytes + ES_CUDA_ALLOWANCE_BYTES;
    /* The context is there already: what is available has been measured beside it. */
    demands[1] = (struct demand){.name = "the GPU has available",
                                 .source = boot.backends.reason,
                                 .needed_bytes = own_bytes,
                                 .available_bytes = available_bytes};
    demand_count = 2;
    return status;
}

static enum es_status find_demands(const struct es_board *board, struct es_error *error) {
    uint64_t needed_bytes =
        reserved_total() + ES_PROCESS_ALLOWANCE_BYTES + (is_gpu() ? ES_CUDA_ALLOWANCE_BYTES : 0);
    demand_count = 1;
    if (board != NULL) {
        demands[0] = (struct demand){
            .name = board->title,
            .source =
                board->is_estimate
                    ? "usable memory, estimated in proportion to an Orin Nano's; run `earshot "
                      "plan` on the board for its own figure"
                    : "usable memory of a headless system, as users report it",
            .needed_bytes = needed_bytes,
            .available_bytes = board->usable_bytes,
        };
        return ES_OK;
    }
    demands[0] = (struct demand){.name = "this machine has available",
                                 .source = "MemAvailable, or the control group's limit where lower",
                                 .needed_bytes = needed_bytes,
                                 .available_bytes = es_memory_available_bytes()};
    if (demands[0].available_bytes == 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "/proc/meminfo: does not say what memory is available; name a board with "
                       "--board");
    }
    bool is_apart = boot.backends.cuda != NULL && !boot.backends.cuda->is_integrated;
    return is_apart ? demand_of_gpu(error) : ES_OK;
}

static enum es_status judge(const struct es_board *board, struct es_error *error) {
    const char *machine = board != NULL ? board->title : "this machine";
    for (uint32_t i = 0; i < demand_count; i++) {
        if (demands[i].needed_bytes > demands[i].available_bytes) {
            return es_fail(error, ES_ERR_NO,
                           "plan: needs %.1f MiB and %s has %.1f MiB; use a smaller or quantized "
                           "model, %sor a larger board",
                           mib(demands[i].needed_bytes), i == 0 ? machine : "the GPU",
                           mib(demands[i].available_bytes),
                           boot.model.decoder.window > ES_KV_WINDOW_MIN ? "a smaller --kv-window "
                                                                        : "");
        }
    }
    return is_gpu() ? es_forecast_check(&boot.forecast, machine, error) : ES_OK;
}

static enum es_status show(const struct es_options *options, const struct es_board *board,
                           struct es_error *error) {
    enum es_status status = find_demands(board, error);
    if (status != ES_OK) {
        return status;
    }
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    uint32_t cadence = options->cadence_positions > 0 ? options->cadence_positions
                                                      : es_forecast_cadence(&boot.forecast);
    if (options->as_json) {
        print_json(&output, cadence);
    } else {
        print_table(&output, cadence);
    }
    status = es_output_flush(&output, error);
    return status == ES_OK ? judge(board, error) : status;
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    const struct es_board *board = NULL;
    if (options->board != NULL) {
        board = es_board_find(options->board);
        if (board == NULL) {
            return es_fail(error, ES_ERR_USAGE, "--board %s: is not known; give %s", options->board,
                           es_board_listing());
        }
        board = board->usable_bytes > 0 ? board : NULL; /* host */
    }
    uint32_t thread_count = options->thread_count;
    if (thread_count == 0 && board != NULL) {
        thread_count = board->processor_count;
    }
    const struct es_board *machine = board != NULL ? board : es_board_detect("");
    struct es_boot_options boot_options = {
        .model_directory = options->model_directory,
        .thread_count = thread_count,
        .encode_positions_max = ES_ENCODE_POSITIONS_MAX,
        .backend = options->backend,
        .kv_memory = options->kv_memory,
        .kv_window = options->kv_window,
        .board_title = board != NULL ? board->title : NULL,
        .memory_bytes_per_s =
            board != NULL ? board->memory_bytes_per_s : es_memory_bytes_per_s_now(machine, ""),
    };
    enum es_status status = es_boot_plan(&boot, &boot_options, error);
    if (status == ES_OK) {
        status = show(options, board, error);
    }
    es_boot_stop(&boot);
    return status;
}

const struct es_command es_command_plan = {
    .name = "plan",
    .summary = "every region of memory that a model will take, and whether it fits",
    .help = "usage: earshot plan [options]\n"
            "\n"
            "  --model DIR        a model directory; its params.json is enough (weights that are\n"
            "                     not there are assumed to be BF16)\n"
            "  --board NAME       orin-nano-4gb, orin-nano-8gb, orin-nx-8gb, orin-nx-16gb,\n"
            "                     agx-orin-32gb, agx-orin-64gb, thor-128gb or host\n"
            "                     (default: host, this machine)\n"
            "  --backend NAME     cpu, cuda or auto (default: a GPU where this build has the\n"
            "                     engine for it, and for a board by name)\n"
            "  --kv-window N      decoder positions of 80 ms that are remembered, 128 or more\n"
            "                     (default: the model's own): less memory, less context\n"
            "  --kv-memory KIND   of keys and values on a GPU: auto, unified, device or shared\n"
            "  --encoder-cadence MS   80, 160, 320 or auto (default): how often the encoder runs\n"
            "  --threads N        worker threads (default: every processor)\n"
            "  --json             for programs\n"
            "\n"
            "Exit code: 0 it fits, 1 it does not or would be slower than speech, 2 usage, 3 bad\n"
            "model directory.\n",
    .accepted = ES_OPTION_MODEL | ES_OPTION_BOARD | ES_OPTION_BACKEND | ES_OPTION_KV_WINDOW |
                ES_OPTION_KV_MEMORY | ES_OPTION_CADENCE | ES_OPTION_THREADS | ES_OPTION_JSON,
    .takes_file = false,
    .run = run,
};
