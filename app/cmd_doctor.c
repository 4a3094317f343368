#include "app/boot.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/doctor.h"
#include "audio/card_alsa.h"
#include "board/board.h"

#include <stdio.h>
#include <unistd.h>

static struct es_config config;
static struct es_doctor doctor;

static enum es_status run(const struct es_options *options, struct es_error *error) {
    static struct es_card_alsa alsa;
    es_doctor_start(&doctor, STDOUT_FILENO, options->root, &config);
    enum es_status status = es_config_load(&config, options, error);
    if (status != ES_OK) {
        return status; /* names the line; nothing can be checked without it */
    }
    es_doctor_say(&doctor, ES_DOCTOR_OK, "configuration: %s",
                  options->config_path != NULL ? options->config_path
                                               : "the defaults; name a file with --config");
    const struct es_board *board = es_doctor_check_board(&doctor);
    es_doctor_check_lines(&doctor, board);
    es_doctor_check_uart(&doctor, board);
    es_doctor_check_journal(&doctor);
    es_doctor_check_microphone(&doctor, es_card_alsa(&alsa));
    es_doctor_check_threads(&doctor);
    es_doctor_check_checksums(&doctor);
    es_doctor_check_model(&doctor, board);
    status = es_output_flush(&doctor.output, error);
    if (status == ES_OK && doctor.failed_count > 0) {
        status = es_fail(error, ES_ERR_NO,
                         "doctor: %u of %u checks failed; what to do stands in their lines",
                         doctor.failed_count, doctor.check_count);
    }
    return status;
}

const struct es_command es_command_doctor = {
    .name = "doctor",
    .summary = "whether an appliance would work here, and what to do where not",
    .help =
        "usage: earshot doctor [options]\n"
        "\n"
        "Checks what `earshot listen` with the same options would need, one line each: board\n"
        "and power mode, GPIO lines and their pads, serial line, journal, microphone (a second\n"
        "of it is heard), limits, the model's checksums (where its directory has SHA256SUMS),\n"
        "and the model itself, which is loaded and run once. Stop the appliance before: it\n"
        "holds the microphone, the lines and the memory.\n"
        "\n"
        "  --config FILE      the appliance's configuration\n"
        "  --set KEY=VALUE    instead of what the file says; may be given again\n"
        "  --root DIR         look below DIR instead of /sys, /dev and /proc (not for sound\n"
        "                     cards)\n"
        "\n"
        "Exit code: 0 it would work, 1 it would not, 2 the configuration is wrong.\n",
    .accepted = ES_OPTION_CONFIG | ES_OPTION_SET | ES_OPTION_ROOT,
    .takes_file = false,
    .run = run,
};
