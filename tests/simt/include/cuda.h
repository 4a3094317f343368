/* cuda.h - of the driver's header the simulated GPU needs the version alone: one that has no green
 * contexts. */
#pragma once

#define CUDA_VERSION 12040
