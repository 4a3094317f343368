#include "app/boot.h"
#include "app/commands.h"
#include "board/board.h"
#include "platform/memory.h"

#include <unistd.h>

/* What the plan is held against. */
struct supply {
    const char *name;
    const char *source;
    uint64_t bytes; /* 0: nobody knows */
};

static struct es_boot boot;

static double mib(uint64_t bytes) {
    return (double)bytes / (1024.0 * 1024.0);
}

static uint64_t reserved_total(const struct es_plan *plan) {
    uint64_t total = 0;
    for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
        total += es_plan_total_bytes(plan, (enum es_mem_kind)kind);
    }
    return total;
}

static void print_table(struct es_output *output, const struct supply *supply, uint64_t total,
                        uint64_t needed) {
    const struct es_plan *plan = &boot.plan;
    es_output_format(output, "model  %s, %s weights%s, %u threads\n\n",
                     boot.options.model_directory, es_dtype_name(boot.dtype),
                     boot.is_dtype_assumed ? " (assumed: they are not here)" : "",
                     boot.backend_config.thread_count);
    es_output_format(output, "%-36s %-8s %15s %12s\n", "region", "kind", "bytes", "MiB");
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct es_plan_region *region = &plan->regions[i];
        es_output_format(output, "%-36s %-8s %15zu %12.2f\n", region->name,
                         es_mem_kind_name(region->kind), region->bytes, mib(region->bytes));
    }
    es_output_text(output, "\n");
    for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
        size_t bytes = es_plan_total_bytes(plan, (enum es_mem_kind)kind);
        if (bytes > 0) {
            es_output_format(output, "%-36s %-8s %15zu %12.2f\n", "reserved (aligned, whole pages)",
                             es_mem_kind_name((enum es_mem_kind)kind), bytes, mib(bytes));
        }
    }
    es_output_format(output, "%-45s %15llu %12.2f\n", "total reserved", (unsigned long long)total,
                     mib(total));
    es_output_format(output, "%-45s %15llu %12.2f\n", "process allowance (code, stacks, libraries)",
                     (unsigned long long)ES_PROCESS_ALLOWANCE_BYTES,
                     mib(ES_PROCESS_ALLOWANCE_BYTES));
    es_output_format(output, "%-45s %15llu %12.2f\n", "needed", (unsigned long long)needed,
                     mib(needed));
    es_output_format(output, "%-45s %15llu %12.2f\n", supply->name,
                     (unsigned long long)supply->bytes, mib(supply->bytes));
    es_output_format(output, "  (%s)\n\n%s\n", supply->source,
                     needed <= supply->bytes ? "it fits" : "it does not fit");
}

static void print_json(struct es_output *output, const struct supply *supply, uint64_t total,
                       uint64_t needed) {
    const struct es_plan *plan = &boot.plan;
    es_output_format(output, "{\"dtype\":\"%s\",\"threads\":%u,\"regions\":[",
                     es_dtype_name(boot.dtype), boot.backend_config.thread_count);
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct es_plan_region *region = &plan->regions[i];
        es_output_format(output, "%s\n{\"name\":\"%s\",\"kind\":\"%s\",\"bytes\":%zu}",
                         i == 0 ? "" : ",", region->name, es_mem_kind_name(region->kind),
                         region->bytes);
    }
    es_output_format(output,
                     "],\n\"total_bytes\":%llu,\"allowance_bytes\":%llu,\"needed_bytes\":%llu,"
                     "\"available_bytes\":%llu,\"fits\":%s}\n",
                     (unsigned long long)total, (unsigned long long)ES_PROCESS_ALLOWANCE_BYTES,
                     (unsigned long long)needed, (unsigned long long)supply->bytes,
                     needed <= supply->bytes ? "true" : "false");
}

static enum es_status find_supply(const struct es_board *board, struct supply *supply,
                                  struct es_error *error) {
    if (board != NULL) {
        *supply = (struct supply){
            .name = board->title,
            .source =
                board->is_estimate
                    ? "usable memory, estimated in proportion to an Orin Nano's; run `earshot "
                      "plan` on the board for its own figure"
                    : "usable memory of a headless system, as users report it",
            .bytes = board->usable_bytes,
        };
        return ES_OK;
    }
    *supply = (struct supply){.name = "this machine has available",
                              .source = "MemAvailable, or the control group's limit where lower",
                              .bytes = es_memory_available_bytes()};
    if (supply->bytes == 0) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "/proc/meminfo: does not say what memory is available; name a board with "
                       "--board");
    }
    return ES_OK;
}

static enum es_status show(const struct es_options *options, const struct es_board *board,
                           struct es_error *error) {
    struct supply supply;
    enum es_status status = find_supply(board, &supply, error);
    if (status != ES_OK) {
        return status;
    }
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    uint64_t total = reserved_total(&boot.plan);
    uint64_t needed = total + ES_PROCESS_ALLOWANCE_BYTES;
    if (options->as_json) {
        print_json(&output, &supply, total, needed);
    } else {
        print_table(&output, &supply, total, needed);
    }
    status = es_output_flush(&output, error);
    if (status == ES_OK && needed > supply.bytes) {
        status =
            es_fail(error, ES_ERR_NO,
                    "plan: needs %.1f MiB and %s has %.1f MiB; use a smaller or quantized "
                    "model, or a larger board",
                    mib(needed), board != NULL ? board->title : "this machine", mib(supply.bytes));
    }
    return status;
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
    struct es_boot_options boot_options = {.model_directory = options->model_directory,
                                           .thread_count = thread_count,
                                           .encode_positions_max = ES_ENCODE_POSITIONS_MAX};
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
            "  --threads N        worker threads (default: every processor)\n"
            "  --json             for programs\n"
            "\n"
            "Exit code: 0 it fits, 1 it does not, 2 usage, 3 bad model directory.\n",
    .accepted = ES_OPTION_MODEL | ES_OPTION_BOARD | ES_OPTION_THREADS | ES_OPTION_JSON,
    .takes_file = false,
    .run = run,
};
