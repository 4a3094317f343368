#include "engine/cuda/flags.h"
#include "engine/cuda/ops.h"
#include "tests/support/test.h"

ES_TEST("a flag is an error of the input that names the position") {
    struct es_error error;
    ES_EXPECT_EQ(es_cuda_flags_fail(ES_CUDA_FLAG_LOGIT_NOT_FINITE, 7, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "logits: not finite at decoder position 7");
    ES_EXPECT_EQ(es_cuda_flags_fail(ES_CUDA_FLAG_KV_OUT_OF_RANGE, 1ull << 40, &error),
                 ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "position 1099511627776");
}

ES_TEST("of several flags the one that made the others is named") {
    struct es_error error;
    const uint32_t all = ES_CUDA_FLAG_LOGIT_NOT_FINITE | ES_CUDA_FLAG_EMBEDDING_NOT_FINITE |
                         ES_CUDA_FLAG_KV_OUT_OF_RANGE;
    ES_EXPECT_EQ(es_cuda_flags_fail(all, 40, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "adapter");
}
