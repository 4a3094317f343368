/* commands.h - the table that main dispatches on; one file cmd_<name>.c each. */
#pragma once

#include "app/options.h"

extern const struct es_command es_command_transcribe;
extern const struct es_command es_command_plan;
extern const struct es_command es_command_bench;
/* With ES_HAS_APPLIANCE: */
extern const struct es_command es_command_listen;
extern const struct es_command es_command_config;
extern const struct es_command es_command_journal;
extern const struct es_command es_command_devices;
extern const struct es_command es_command_doctor;

/* Shared by those that need an engine: which backends this build has. */
ES_MUST_CHECK enum es_status es_backend_check(enum es_backend_choice choice,
                                              struct es_error *error);
