/* board.h - what is known of each board: memory, serial port, and the pins of its header.
 *
 *   const struct es_board *board = es_board_find("orin-nano-8gb");     or
 *   board = es_board_detect("");                                       by the devicetree
 *   status = es_board_pin(board, "7", &pin, &error);                   header pin 7, as CHIP:LINE
 *
 * One table for `plan --board`, `listen`, `devices` and `doctor`. What no source gives is refused
 * with a text, and not invented. Static storage; any thread. */
#pragma once

#include "board/gpio.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stdint.h>

struct es_board_pin {
    uint8_t number;   /* of the 40-pin header */
    const char *chip; /* label */
    uint16_t line;    /* offset on that chip */
};

struct es_board {
    const char *name; /* "orin-nano-8gb"; "host" is any other machine */
    const char *title;
    /* Modules that make it, as the devicetree names them: "p3767-0003 p3767-0005". "" for host */
    const char *modules;
    uint64_t memory_bytes; /* as sold; 0 for host */
    /* What a program gets on a headless system: total less firmware carve-outs, kernel and
     * services. One figure is reported by users of the board, the others are estimated from it in
     * proportion; `earshot plan` on the board itself reads the real number. 0 for host. */
    uint64_t usable_bytes;
    bool is_estimate;
    uint32_t processor_count;  /* scratch is planned per thread; 0 for host */
    double memory_bytes_per_s; /* DRAM peak in the fastest power mode; 0 for host */
    const char *uart; /* es_uart_config.device: "3100000.serial"; "pty" for host, "" not known */
    const struct es_board_pin *pins; /* [pin_count] */
    uint32_t pin_count;              /* 0: not known, or no header */
};

/* NULL when there is no such board. */
const struct es_board *es_board_find(const char *name);

/* The board whose module the devicetree names, or host. Reads /proc/device-tree/compatible under
 * `root` ("" usually). Never NULL. */
const struct es_board *es_board_detect(const char *root);

/* The i-th, for listings; NULL beyond the last. */
const struct es_board *es_board_at(uint32_t index);

/* "orin-nano-8gb, ... or thor-128gb": those with a memory size, for messages. */
const char *es_board_listing(void);

/* "board": the header's port; anything else stands for itself. ES_ERR_USAGE: this board has none
 * that is known. *device is borrowed from `text` or static. */
ES_MUST_CHECK enum es_status es_board_uart(const struct es_board *board, const char *text,
                                           const char **device, struct es_error *error);

/* "7": the board's header pin; "CHIP:LINE": any line. ES_ERR_USAGE: not a pin that can be used,
 * with those that can. */
ES_MUST_CHECK enum es_status es_board_pin(const struct es_board *board, const char *text,
                                          struct es_gpio_pin *pin, struct es_error *error);
