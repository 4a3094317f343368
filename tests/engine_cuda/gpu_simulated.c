#include "tests/engine_cuda/gpu.h"

#include "tests/simt/simt.h"
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>

static bool is_reversed; /* the next one */

enum es_status gpu_open(struct es_cuda *cuda, uint32_t sm_count, struct es_error *error) {
    const struct simt_setup setup = {.sm_count = sm_count, .is_backward = is_reversed};
    is_reversed = false;
    static bool is_said;
    if (!is_said) {
        es_test_note("all of this program runs on a simulated GPU: on the CPU, not on hardware");
        is_said = true;
    }
    return es_cuda_open(cuda, simt_start(&setup), error);
}

void gpu_reverse(void) {
    is_reversed = true;
}

void gpu_delay(uint32_t warp) {
    simt_delay(warp);
}

bool gpu_is_simulated(void) {
    return true;
}

void gpu_expect_real(void) {
    char name[64];
    const char *end = strstr(program_invocation_short_name, "_simt");
    size_t length = end != NULL ? (size_t)(end - program_invocation_short_name) : 0;
    length = length < sizeof name ? length : 0;
    memcpy(name, program_invocation_short_name, length);
    name[length] = '\0';
    es_test_skip("only hardware can answer it; on a machine with a GPU: build/check/%s", name);
}
