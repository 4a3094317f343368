#include "app/commands.h"
#include "app/config.h"
#include "app/output.h"

#include <unistd.h>

static void put(void *context, const char *text) {
    es_output_text(context, text);
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    static struct es_config config;
    enum es_status status = es_config_load(&config, options, error);
    if (status != ES_OK) {
        return status;
    }
    struct es_output output;
    es_output_init(&output, STDOUT_FILENO, "standard output");
    es_config_print(&config, put, &output);
    return es_output_flush(&output, error);
}

const struct es_command es_command_config = {
    .name = "config",
    .summary = "a commented configuration file of every key, to begin with",
    .help = "usage: earshot config [options]\n"
            "\n"
            "Prints every key with its meaning, its range and its value; `earshot config > FILE`\n"
            "begins a configuration for `earshot listen --config FILE`.\n"
            "\n"
            "  --config FILE      checks FILE and prints what it comes to\n"
            "  --set KEY=VALUE    instead of what the file says; may be given again\n"
            "\n"
            "Exit code: 0 ok, 2 a key or value will not do, 3 the file cannot be read.\n",
    .accepted = ES_OPTION_CONFIG | ES_OPTION_SET,
    .takes_file = false,
    .run = run,
};
