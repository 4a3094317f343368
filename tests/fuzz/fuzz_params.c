/* params.json: whatever it holds, it is refused, or every size that follows from it can be planned
 * (an overflow would be a fault). */
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
        es_plan_init(&plan);
        es_weights_layout(&model, ES_DTYPE_F32, &plan, &weights);
        es_tokenizer_layout(&model, &plan, &tokenizer);
        (void)es_plan_total_bytes(&plan, ES_MEM_HOST);
        /* For a device the dimensions may be refused, too. */
        es_plan_init(&plan);
        status = es_weights_layout_device(&model, ES_DTYPE_BF16, ES_CHUNK_BYTES_MAX, &plan,
                                          &weights, &error);
        fuzz_expect_verdict(status, &error);
    }
    return 0;
}
