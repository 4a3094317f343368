/* main.c - the command table, and the one place that prints an error and turns it into an exit
 * code. */
#include "app/commands.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "platform/log.h"

#include <string.h>
#include <unistd.h>

/* clang-format off */
static const struct es_command *const commands[] = {
    &es_command_transcribe,
    &es_command_plan,
    &es_command_bench,
#ifdef ES_HAS_APPLIANCE
    &es_command_listen,
    &es_command_config,
    &es_command_devices,
    &es_command_doctor,
    &es_command_journal,
#endif
};
/* clang-format on */
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static enum es_status print(const char *text, struct es_error *error) {
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    es_output_text(&output, text);
    return es_output_flush(&output, error);
}

static enum es_status print_commands(struct es_error *error) {
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    es_output_text(&output,
                   "earshot " ES_VERSION " - speech to text in fixed memory\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        es_output_format(&output, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    }
    es_output_text(&output, "\n`earshot COMMAND --help` tells more; `earshot --version`.\n");
    return es_output_flush(&output, error);
}

static enum es_status dispatch(int argc, char **argv, struct es_error *error) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        return print_commands(error);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return print("earshot " ES_VERSION "\n", error);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            struct es_options options;
            enum es_status status =
                es_options_parse(&options, commands[i], argc - 1, argv + 1, error);
            if (status != ES_OK) {
                return status;
            }
            return options.wants_help ? print(commands[i]->help, error)
                                      : commands[i]->run(&options, error);
        }
    }
    return es_fail(error, ES_ERR_USAGE, "%s: is no command; `earshot` alone lists them", argv[1]);
}

int main(int argc, char **argv) {
    struct es_error error = {{0}};
    es_interrupt_install();
    enum es_status status = dispatch(argc, argv, &error);
    if (status != ES_OK && error.text[0] != '\0') {
        es_log(ES_LOG_ERROR, "%s", error.text);
    }
    return es_status_exit_code(status);
}
