#include "app/commands.h"
#include "app/output.h"
#include "board/journal_file.h"
#include "platform/log.h"
#include "platform/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct printing {
    struct es_output output;
    bool is_jsonl;
    bool is_in_line;      /* text: words are waiting for more */
    uint64_t boot_id;     /* of the line */
    uint64_t last_end_ms; /* of its last word */
};

/* "2026-11-24 10:00:01 " in UTC; where the clock was not set "boot 0123456789abcdef +12.345 ". */
static void print_stamp(struct es_output *output, const struct es_journal_entry *entry) {
    if (entry->unix_ms == 0) {
        es_output_format(output, "boot %016llx +%llu.%03llu ", (unsigned long long)entry->boot_id,
                         (unsigned long long)(entry->monotonic_ms / 1000u),
                         (unsigned long long)(entry->monotonic_ms % 1000u));
        return;
    }
    char text[64] = "";
    time_t seconds = (time_t)(entry->unix_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S ", &utc);
    }
    es_output_text(output, text);
}

/* What stands in the file may be anything, and must not drive a terminal. */
static void print_safely(struct es_output *output, const char *text) {
    char safe[ES_WORD_BYTES_MAX + 1u];
    (void)snprintf(safe, sizeof safe, "%s", text);
    es_text_make_printable(safe);
    es_output_text(output, safe);
}

static void end_line(struct printing *printing) {
    if (printing->is_in_line) {
        es_output_text(&printing->output, "\n");
    }
    printing->is_in_line = false;
}

static void print_text(struct printing *printing, const struct es_journal_entry *entry) {
    struct es_output *output = &printing->output;
    if (entry->kind == ES_JOURNAL_WORD) {
        bool goes_on = printing->is_in_line && printing->boot_id == entry->boot_id &&
                       entry->start_ms >= printing->last_end_ms &&
                       entry->start_ms - printing->last_end_ms < ES_CONSOLE_PAUSE_MS;
        if (!goes_on) {
            end_line(printing);
            print_stamp(output, entry);
        } else {
            es_output_text(output, " ");
        }
        print_safely(output, entry->text);
        printing->is_in_line = true;
        printing->boot_id = entry->boot_id;
        printing->last_end_ms = entry->end_ms;
        return;
    }
    end_line(printing);
    es_output_text(output, "# ");
    print_stamp(output, entry);
    if (entry->kind == ES_JOURNAL_LOST) {
        es_output_format(output, "%llu records found no room\n",
                         (unsigned long long)entry->start_ms);
    } else {
        print_safely(output, entry->name);
        es_output_text(output, ": ");
        print_safely(output, entry->text);
        es_output_text(output, "\n");
    }
}

static void print_jsonl(struct printing *printing, const struct es_journal_entry *entry) {
    struct es_output *output = &printing->output;
    if (entry->kind == ES_JOURNAL_LOST) {
        es_output_format(output, "{\"event\":\"lost\",\"records\":%llu",
                         (unsigned long long)entry->start_ms);
    } else {
        es_output_text(output, "{");
        if (entry->kind == ES_JOURNAL_EVENT) {
            es_output_text(output, "\"event\":");
            es_output_json_string(output, entry->name, strlen(entry->name));
            es_output_format(output, ",\"at_ms\":%llu", (unsigned long long)entry->start_ms);
        } else {
            es_output_format(output, "\"start_ms\":%llu,\"end_ms\":%llu",
                             (unsigned long long)entry->start_ms,
                             (unsigned long long)entry->end_ms);
        }
        es_output_text(output, ",\"text\":");
        es_output_json_string(output, entry->text, entry->text_bytes);
    }
    es_output_format(output, ",\"boot\":\"%016llx\",\"monotonic_ms\":%llu",
                     (unsigned long long)entry->boot_id, (unsigned long long)entry->monotonic_ms);
    if (entry->unix_ms != 0) {
        es_output_format(output, ",\"unix_ms\":%lld", (long long)entry->unix_ms);
    }
    es_output_text(output, "}\n");
}

static void print(void *context, const struct es_journal_entry *entry, uint64_t missing_number,
                  uint64_t missing_count) {
    struct printing *printing = context;
    if (entry == NULL) {
        end_line(printing);
        es_output_format(&printing->output,
                         printing->is_jsonl
                             ? "{\"event\":\"damaged\",\"first\":%llu,\"slots\":%llu}\n"
                             : "# from record %llu on, %llu are damaged or gone\n",
                         (unsigned long long)missing_number, (unsigned long long)missing_count);
    } else if (printing->is_jsonl) {
        print_jsonl(printing, entry);
    } else {
        print_text(printing, entry);
    }
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    static struct printing printing;
    if (options->format != ES_TRANSCRIPT_TEXT && options->format != ES_TRANSCRIPT_JSONL) {
        return es_fail(error, ES_ERR_USAGE, "journal: --format: give text or jsonl");
    }
    es_output_init(&printing.output, STDOUT_FILENO, "standard output");
    printing.is_jsonl = options->format == ES_TRANSCRIPT_JSONL;
    struct es_journal_summary summary;
    enum es_status status = es_journal_file_print(options->file, print, &printing, &summary, error);
    if (status != ES_OK) {
        return status;
    }
    end_line(&printing);
    if (summary.damaged_slots > 0) {
        es_log(ES_LOG_WARNING, "%s: %llu of its %llu slots are damaged; the others are above",
               options->file, (unsigned long long)summary.damaged_slots,
               (unsigned long long)summary.slot_count);
    }
    return es_output_flush(&printing.output, error);
}

const struct es_command es_command_journal = {
    .name = "journal",
    .summary = "prints the transcript that an appliance kept on disk",
    .help = "usage: earshot journal [options] FILE\n"
            "\n"
            "Prints what `earshot listen` with `journal = FILE` has written, oldest first, also\n"
            "while it is being written, and after a power cut. Stamps are UTC, or count from the\n"
            "machine's start where its clock was not yet set.\n"
            "\n"
            "  --format NAME      text (default), or jsonl: one object a line\n"
            "\n"
            "Exit code: 0 ok, 2 usage, 3 FILE is missing or no journal, 5 output failed.\n",
    .accepted = ES_OPTION_FORMAT,
    .takes_file = true,
    .file_hint = "no journal is named; give the file that `journal = FILE` names",
    .run = run,
};
