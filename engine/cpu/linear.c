#include "engine/cpu/kernel_set.h"
#include "engine/cpu/profile.h"
#include "platform/assert.h"
#include "platform/clock.h"

#include <string.h>

/* Weights that one task applies to all rows: half of a common 512 KiB second-level cache, the other
 * half is for a group of rows. */
#define PANEL_BYTES (256u << 10)

/* Below this many multiply-adds a task costs less than handing it out. */
#define TASK_PRODUCTS_MIN (32u << 10)

/* A multiple of every tile's output count, so that only a matrix's last task has single outputs. */
#define PANEL_OUTPUTS_STEP 24u

struct linear_run {
    struct es_linear_block blocks[ES_LINEAR_JOB_COUNT_MAX];
    uint32_t panel_outputs[ES_LINEAR_JOB_COUNT_MAX];
    uint32_t first_task[ES_LINEAR_JOB_COUNT_MAX + 1u];
    uint32_t job_count;
};

static void run_task(void *context, uint32_t task_index, uint32_t worker_index) {
    (void)worker_index;
    const struct linear_run *run = context;
    uint32_t job = 0;
    while (task_index >= run->first_task[job + 1u]) {
        job++;
    }
    struct es_linear_block block = run->blocks[job];
    block.first_output = (task_index - run->first_task[job]) * run->panel_outputs[job];
    uint32_t left = block.w->out_dim - block.first_output;
    block.output_count = left < run->panel_outputs[job] ? left : run->panel_outputs[job];
    es_kernel_set_current()->linear_block(&block);
}

static uint32_t panel_outputs(const struct es_matrix *w, uint32_t row_count) {
    uint64_t row_bytes = (uint64_t)w->in_dim * es_dtype_bytes(w->dtype);
    uint64_t most = PANEL_BYTES / row_bytes;
    uint64_t least = TASK_PRODUCTS_MIN / ((uint64_t)w->in_dim * row_count);
    uint64_t outputs = most > least ? most : least;
    outputs = (outputs / PANEL_OUTPUTS_STEP + 1u) * PANEL_OUTPUTS_STEP;
    return outputs < w->out_dim ? (uint32_t)outputs : w->out_dim;
}

static void add_job(struct linear_run *run, const struct es_linear_job *job, const float *x,
                    uint32_t row_count, const float *residual) {
    ES_ASSERT(job->w->in_dim > 0 && job->w->out_dim > 0);
    uint32_t index = run->job_count++;
    uint32_t outputs = panel_outputs(job->w, row_count);
    run->blocks[index] = (struct es_linear_block){.w = job->w,
                                                  .x = x,
                                                  .bias = job->bias,
                                                  .residual = residual,
                                                  .y = job->y,
                                                  .row_count = row_count};
    run->panel_outputs[index] = outputs;
    run->first_task[index + 1u] =
        run->first_task[index] + (job->w->out_dim + outputs - 1u) / outputs;
}

static void run_all(struct es_pool *pool, struct linear_run *run) {
    struct es_profile *profile = es_profile_current();
    uint64_t start_ns = profile == NULL ? 0 : es_clock_ns();
    es_pool_run(pool, run_task, run, run->first_task[run->job_count]);
    if (profile != NULL) {
        profile->linear_ns += es_clock_ns() - start_ns;
    }
}

void es_linear(struct es_pool *pool, const struct es_matrix *w, const float *x, uint32_t row_count,
               const float *bias, const float *residual, float *y) {
    if (row_count == 0) {
        return;
    }
    struct linear_run run = {.job_count = 0};
    const struct es_linear_job job = {.w = w, .bias = bias, .y = y};
    add_job(&run, &job, x, row_count, residual);
    run_all(pool, &run);
}

void es_linear_many(struct es_pool *pool, const struct es_linear_job *jobs, uint32_t job_count,
                    const float *x, uint32_t row_count) {
    ES_ASSERT(job_count >= 1 && job_count <= ES_LINEAR_JOB_COUNT_MAX);
    if (row_count == 0) {
        return;
    }
    struct linear_run run = {.job_count = 0};
    for (uint32_t i = 0; i < job_count; i++) {
        ES_ASSERT(jobs[i].w->in_dim == jobs[0].w->in_dim);
        add_job(&run, &jobs[i], x, row_count, NULL);
    }
    run_all(pool, &run);
}
