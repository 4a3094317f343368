/* measure.h - what memory gives, and what one kernel after the other takes and moves.
 *
 *   status = es_cuda_measure_read(&cuda, &arena, pass_s, 9, &bytes, &error);
 *   status = es_cuda_measure_run(&cuda, &run, measured, &count, &error);
 *
 * For `earshot bench`. Times are the device's, between events around a graph. An operation is timed
 * by a graph of the whole run in which all others are left out: so it passes over the weights of
 * all layers in turn, and none is in the cache from the launch before. Synchronizes and allocates
 * (events, graphs): a benchmark's business alone. */
#pragma once

#include "platform/arena.h"
#include "platform/jetson/cuda.h"

/* Reads all device chunks of the arena (the first 64) pass_count times; seconds of each pass. */
ES_MUST_CHECK enum es_status es_cuda_measure_read(struct es_cuda *cuda,
                                                  const struct es_arena *arena, double *pass_s,
                                                  uint32_t pass_count, size_t *bytes,
                                                  struct es_error *error);

#define ES_CUDA_MEASURE_COUNT_MAX 32u

struct es_cuda_measured {
    const char *stage;  /* "decoder" */
    const char *name;   /* of the kernel; static storage */
    uint32_t per_frame; /* launches in a run */
    double bytes;       /* that one launch must move */
    double seconds;     /* of one launch */
};

/* A run that can be captured: an encoder chunk, a decoder step. */
struct es_cuda_measured_run {
    const char *name;
    void *context;
    /* Before every launch: puts the stream where it is to be measured. May wait. */
    enum es_status (*prepare)(void *context, struct es_error *error);
    enum es_status (*enqueue)(void *context, struct es_error *error);
};

/* Appends a row for the whole run and one per kernel of it to measured
 * [ES_CUDA_MEASURE_COUNT_MAX]. */
ES_MUST_CHECK enum es_status es_cuda_measure_run(struct es_cuda *cuda,
                                                 const struct es_cuda_measured_run *run,
                                                 struct es_cuda_measured *measured,
                                                 uint32_t *measured_count, struct es_error *error);
