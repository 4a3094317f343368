#include "app/boards.h"

#include <stddef.h>
#include <string.h>

#define GIB (1024ull * 1024ull * 1024ull)
/* Orin Nano 8 GB, headless: 7.4 GiB MemTotal, about 6.8 GiB of it free (NVIDIA developer forum and
 * the boards' own /proc/meminfo as users posted it). */
#define USABLE(gib) ((gib)*GIB * 68u / 80u)

static const struct es_board boards[] = {
    {"orin-nano-8gb", "Jetson Orin Nano 8 GB", 8 * GIB, USABLE(8), false, 6},
    {"orin-nx-16gb", "Jetson Orin NX 16 GB", 16 * GIB, USABLE(16), true, 8},
    {"agx-orin-64gb", "Jetson AGX Orin 64 GB", 64 * GIB, USABLE(64), true, 12},
    {"thor-128gb", "Jetson AGX Thor 128 GB", 128 * GIB, USABLE(128), true, 14},
};

const struct es_board *es_board_find(const char *name) {
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) {
        if (strcmp(name, boards[i].name) == 0) {
            return &boards[i];
        }
    }
    return NULL;
}

const char *es_board_listing(void) {
    return "orin-nano-8gb, orin-nx-16gb, agx-orin-64gb or thor-128gb";
}
