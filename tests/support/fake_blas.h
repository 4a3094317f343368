/* fake_blas.h - cuBLASLt that multiplies nothing: for tests on machines without a GPU.
 *
 *   device.blas = fake_blas_start();
 *   fake_blas_fail(3);                                the third call from here fails
 *   ES_EXPECT_EQ(fake_blas_open_count(), 0);          nothing leaks */
#pragma once

#include "engine/cuda/gemm_calls.h"

#include <stdint.h>

/* Forgets everything. Static storage. */
const struct es_blas_calls *fake_blas_start(void);

/* Call number `index` from now on (from 1; 0 for none) fails. */
void fake_blas_fail(uint32_t index);
uint32_t fake_blas_call_count(void); /* since the start */
uint32_t fake_blas_open_count(void); /* handles */
