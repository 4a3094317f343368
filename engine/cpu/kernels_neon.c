#include "engine/cpu/vector_neon.h"

#include "engine/cpu/vector_math.h"

#include "engine/cpu/linear_inner.h"

#include "engine/cpu/attention_inner.h"

#include "engine/cpu/activation_inner.h"

const struct es_kernel_set es_kernels_neon = {
    .linear_block = linear_block,
    .attention_scores = attention_scores,
    .attention_exp = attention_exp,
    .attention_values = attention_values,
    .gelu = gelu,
    .silu_multiply = silu_multiply,
};
