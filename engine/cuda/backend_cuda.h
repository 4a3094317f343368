/* backend_cuda.h - the engine on an NVIDIA GPU: one graph launch for the encoder, one for the
 * decoder, one wait per position.
 *
 *   status = es_backend_cuda_check(&model, ES_DTYPE_BF16, &error);     can it run this model?
 *   config.cuda = &cuda; config.kv_kind = ES_MEM_DEVICE;
 *   const struct es_backend_ops *ops = es_backend_cuda();              use: engine/backend.h
 *
 * Weights lie on the device (engine/weights.h). Everything between the mel frames and the id stays
 * there: rings, positions, the last id. Engine thread only, beside main at boot. */
#pragma once

#include "engine/backend.h"

/* ES_ERR_INPUT with the reason when the kernels are not made for this model. Any thread. */
ES_MUST_CHECK enum es_status es_backend_cuda_check(const struct es_model *model,
                                                   enum es_dtype dtype, struct es_error *error);

/* Static storage; any thread. */
const struct es_backend_ops *es_backend_cuda(void);
