/* doctor.h - the checks of `earshot doctor`: each says one line, with the remedy where it fails.
 *
 *   es_doctor_start(&doctor, STDOUT_FILENO, root);
 *   board = es_doctor_check_board(&doctor, &config);     es_doctor_check_uart(...) ...
 *   if (doctor.failed_count > 0) { the appliance would not work }
 *
 * Checks open what the appliance would open, and close it again; they change nothing. Main thread;
 * allocates as opening does. */
#pragma once

#include "app/config.h"
#include "app/output.h"
#include "audio/card.h"
#include "board/board.h"

enum es_doctor_verdict {
    ES_DOCTOR_OK,
    ES_DOCTOR_NOTE, /* works, and could be better, or cannot be seen from here */
    ES_DOCTOR_FAIL
};

struct es_doctor {
    struct es_output output;
    const char *root;
    uint32_t check_count;
    uint32_t failed_count;
};

/* `root` before /sys, /dev and /proc: borrowed. */
void es_doctor_start(struct es_doctor *doctor, int fd, const char *root);
void es_doctor_say(struct es_doctor *doctor, enum es_doctor_verdict verdict, const char *format,
                   ...) ES_PRINTF(3, 4);

/* The board by name or devicetree, and its power mode. Never NULL. */
const struct es_board *es_doctor_check_board(struct es_doctor *doctor,
                                             const struct es_config *config);
/* LEDs and the mute switch: the lines, and whether the pin multiplexer lets them out. */
void es_doctor_check_lines(struct es_doctor *doctor, const struct es_config *config,
                           const struct es_board *board);
void es_doctor_check_uart(struct es_doctor *doctor, const struct es_config *config,
                          const struct es_board *board);
void es_doctor_check_journal(struct es_doctor *doctor, const struct es_config *config);
void es_doctor_check_microphone(struct es_doctor *doctor, const struct es_config *config,
                                struct es_card *card);
/* Real-time scheduling and locked memory. */
void es_doctor_check_limits(struct es_doctor *doctor, const struct es_config *config);
/* Files, shapes, engine, memory and speed; loads the model and runs each stage once. */
void es_doctor_check_model(struct es_doctor *doctor, const struct es_config *config,
                           const struct es_board *board);
