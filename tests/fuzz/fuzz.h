/* fuzz.h - the entry that libFuzzer calls, and how a target reports.
 *
 *   int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
 *       enum es_status status = es_model_parse(...);
 *       fuzz_expect_verdict(status, &error);
 *       return 0;
 *   } */
#pragma once

#include "platform/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A reader says yes, or says no with a line for the user; anything else is a finding. */
static inline void fuzz_expect_verdict(enum es_status status, const struct es_error *error) {
    size_t length = strlen(error->text);
    if (status != ES_OK && (status != ES_ERR_INPUT || length == 0)) {
        abort();
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)error->text[i] < 0x20 || error->text[i] == 0x7f) {
            abort();
        }
    }
}
