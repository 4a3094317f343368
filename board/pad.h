/* pad.h - whether the pin multiplexer lets a GPIO line reach its pad.
 *
 *   if (es_pad_state("", "PAC.06", &note) == ES_PAD_CLOSED) { tell note.text; }
 *
 * JetPack 6 sets header pads to their special function, or to tristate: a request for the line
 * succeeds, and the LED stays dark. The kernel shows the pads in debugfs (for root); a pad's
 * group is known by the line's name: "PAC.06" is the group that ends in "_pac6". */
#pragma once

#include "platform/status.h"

enum es_pad_state {
    ES_PAD_UNKNOWN, /* no such group, another kind of chip */
    ES_PAD_HIDDEN,  /* a line of a Tegra, and debugfs may not be read, or is not there */
    ES_PAD_OPEN,
    ES_PAD_CLOSED /* tristate: `note` says so, with the remedy */
};

/* Reads files: before the freeze, or in `earshot doctor`. `root` before /sys ("" usually). */
enum es_pad_state es_pad_state(const char *root, const char *line_name, struct es_error *note);
