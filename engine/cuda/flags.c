#include "engine/cuda/flags.h"

#include "engine/cuda/ops.h"
#include "platform/assert.h"

#include <inttypes.h>

enum es_status es_cuda_flags_fail(uint32_t flags, uint64_t position, struct es_error *error) {
    ES_ASSERT(flags != 0);
    /* In the order in which one makes the next. */
    if ((flags & ES_CUDA_FLAG_EMBEDDING_NOT_FINITE) != 0) {
        return es_fail(error, ES_ERR_INPUT,
                       "adapter: an embedding is not a finite number, seen at position %" PRIu64
                       "; the weights or the audio are damaged: copy the model again",
                       position);
    }
    if ((flags & ES_CUDA_FLAG_KV_OUT_OF_RANGE) != 0) {
        return es_fail(error, ES_ERR_INPUT,
                       "attention: a key or value is beyond what 16 bits hold, seen at decoder "
                       "position %" PRIu64
                       "; this model does not run on the GPU engine: use --backend cpu",
                       position);
    }
    return es_fail(error, ES_ERR_INPUT,
                   "logits: not finite at decoder position %" PRIu64
                   "; the weights are damaged: copy the model again",
                   position);
}
