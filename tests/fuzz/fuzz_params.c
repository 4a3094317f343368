/* params.json: whatever it holds, it is refused, or every size that follows from it can be planned
 * (an overflow would be a fault). */
#include "engine/cpu/backend_cpu.h"
#include "engine/model.h"
#include "engine/tokenizer.h"
#include "engine/weights.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct es_model model;
    struct es_error error = {""};
    enum es_status status =
        es_model_parse(&model, "params.json", (const char *)data, bytes, &error);
    fuzz_expect_verdict(status, &error);
    if (status == ES_OK) {
        struct es_plan plan;
        struct es_weights_layout weights;
        struct es_tokenizer_layout tokenizer;
        struct es_backend_layout backend;
        const struct es_backend_config config = {.encode_positions_max = ES_ENCODE_POSITIONS_MAX,
                                                 .thread_count = ES_THREAD_COUNT_MAX};
        es_plan_init(&plan);
        es_weights_layout(&model, ES_DTYPE_F32, &plan, &weights);
        es_tokenizer_layout(&model, &plan, &tokenizer);
        es_backend_cpu()->layout(&model, &config, &plan, &backend);
        (void)es_plan_total_bytes(&plan, ES_MEM_HOST);
    }
    return 0;
}
