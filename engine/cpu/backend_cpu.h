/* backend_cpu.h - the exact engine on the CPU: f32 activations and KV rings, weights as stored.
 *
 *   const struct es_backend_ops *ops = es_backend_cpu();      use: engine/backend.h */
#pragma once

#include "engine/backend.h"

/* Static storage; any thread. */
const struct es_backend_ops *es_backend_cpu(void);
