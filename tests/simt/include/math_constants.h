/* math_constants.h - of CUDA's, for the simulated GPU. */
#pragma once

#define CUDART_INF_F (__builtin_inff())
