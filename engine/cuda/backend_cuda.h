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
#include "engine/cuda/measure.h"

/* ES_ERR_INPUT with the reason when the kernels are not made for this model. Any thread. */
ES_MUST_CHECK enum es_status es_backend_cuda_check(const struct es_model *model,
                                                   enum es_dtype dtype, struct es_error *error);

/* Static storage; any thread. */
const struct es_backend_ops *es_backend_cuda(void);

/* For benchmarks: every kernel of an encoder chunk of one position and of a decoder step, both with
 * full windows, timed by itself. Fills measured [ES_CUDA_MEASURE_COUNT_MAX]. The stream is anywhere
 * afterwards: reset follows. */
ES_MUST_CHECK enum es_status es_backend_cuda_measure(struct es_backend *backend,
                                                     struct es_cuda_measured *measured,
                                                     uint32_t *measured_count,
                                                     struct es_error *error);
