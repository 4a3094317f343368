/* boards.h - how much memory the boards have, for `earshot plan --board`.
 *
 *   const struct es_board *board = es_board_find("orin-nano-8gb");
 *
 * Usable = what a program gets on a headless system: total less firmware carve-outs, kernel and
 * services. One figure is reported by users of the board, the others are estimated from it in
 * proportion; `earshot plan` on the board itself reads the real number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_board {
    const char *name;
    const char *title;
    uint64_t memory_bytes; /* as sold */
    uint64_t usable_bytes;
    bool is_estimate;
    uint32_t processor_count; /* scratch is planned per thread */
};

/* NULL when there is no such board. Static storage. */
const struct es_board *es_board_find(const char *name);

/* "orin-nano-8gb, orin-nx-16gb, ..." for messages. */
const char *es_board_listing(void);
