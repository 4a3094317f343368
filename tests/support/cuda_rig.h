/* cuda_rig.h - a GPU, real or fake, for the engine's rig.
 *
 *   struct es_rig_device device;
 *   es_cuda_rig_device(&device, &cuda, ES_MEM_DEVICE);
 *   setup.device = &device; es_rig_open(&rig, es_backend_cuda(), &model, &setup);
 *
 * Weights go there as the product's loader lays them: rows padded with zeros, convolutions by tap,
 * the embedding in several blocks. Test harness only. */
#pragma once

#include "platform/jetson/cuda.h"
#include "tests/support/engine_rig.h"

/* `cuda` is borrowed. */
void es_cuda_rig_device(struct es_rig_device *device, struct es_cuda *cuda,
                        enum es_mem_kind kv_kind);
