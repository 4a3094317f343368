/* doctor.h - the checks of `earshot doctor`: each says one line, with the remedy where it fails.
 *
 *   es_doctor_start(&doctor, STDOUT_FILENO, root, &config);
 *   board = es_doctor_check_board(&doctor);              es_doctor_check_uart(&doctor, board) ...
 *   if (doctor.failed_count > 0) { the appliance would not work }
 *
 * Checks open what the appliance would open, and close it again; they change nothing. What is wrong
 * begins with the line of the configuration that asks for it. Main thread; allocates as opening
 * does. */
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
    const struct es_config *config;
    uint32_t check_count;
    uint32_t failed_count;
};

/* `root` before /sys, /dev and /proc, and `config`, read or not yet: borrowed. */
void es_doctor_start(struct es_doctor *doctor, int fd, const char *root,
                     const struct es_config *config);
void es_doctor_say(struct es_doctor *doctor, enum es_doctor_verdict verdict, const char *format,
                   ...) ES_PRINTF(3, 4);
/* The same about a key: "led: none", and where something is wrong "earshot.conf:7: led: ...". */
void es_doctor_say_key(struct es_doctor *doctor, enum es_doctor_verdict verdict, const char *key,
                       const char *format, ...) ES_PRINTF(4, 5);

/* The board by name or devicetree, and its power mode. Never NULL. */
const struct es_board *es_doctor_check_board(struct es_doctor *doctor);
/* LEDs and the mute switch: the lines, all at once, and whether the pin multiplexer lets the LEDs'
 * out. */
void es_doctor_check_lines(struct es_doctor *doctor, const struct es_board *board);
void es_doctor_check_uart(struct es_doctor *doctor, const struct es_board *board);
void es_doctor_check_journal(struct es_doctor *doctor);
/* Opens it, and listens for a second. */
void es_doctor_check_microphone(struct es_doctor *doctor, struct es_card *card);
/* Real-time scheduling. */
void es_doctor_check_threads(struct es_doctor *doctor);
/* The three files against the list of checksums beside them; reads all of them. */
void es_doctor_check_checksums(struct es_doctor *doctor);
/* Files, shapes, engine, memory and its lock, speed; loads the model and runs each stage once. */
void es_doctor_check_model(struct es_doctor *doctor, const struct es_board *board);
