/* pool.h - a fixed set of worker threads for data-parallel loops.
 *
 *   status = es_pool_start(&pool, thread_count, &error);  before the freeze; 0 means all cores
 *   es_pool_run(pool, task, context, task_count);         task(context, i, worker) for every i
 *   es_pool_stop(pool);
 *
 * The caller works too, so a pool of one thread starts none. Tasks are dealt out dynamically: a
 * task must not depend on which thread runs it, nor on how many there are; results are then
 * the same for every thread count. es_pool_run returns when all tasks are done (a full barrier) and
 * never allocates. Workers spin for a short while between runs and then sleep. One caller at a
 * time. */
#pragma once

#include "platform/status.h"

#include <stdint.h>

/* `worker_index` < es_pool_thread_count tells the threads of one run apart: it may choose a scratch
 * buffer, never a result. */
typedef void es_pool_task(void *context, uint32_t task_index, uint32_t worker_index);

struct es_pool;

/* `thread_count` 0 means as many as the process may run on (affinity), at most ES_THREAD_COUNT_MAX.
 * On success *pool is set; its memory is allocated here, before the freeze, and freed by stop. */
ES_MUST_CHECK enum es_status es_pool_start(struct es_pool **pool, uint32_t thread_count,
                                           struct es_error *error);
uint32_t es_pool_thread_count(const struct es_pool *pool);
void es_pool_run(struct es_pool *pool, es_pool_task *task, void *context, uint32_t task_count);
void es_pool_stop(struct es_pool *pool);
