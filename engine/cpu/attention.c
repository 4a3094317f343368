#include "engine/cpu/kernel_set.h"
#include "engine/cpu/profile.h"
#include "platform/assert.h"
#include "platform/bounds.h"
#include "platform/clock.h"

#include <math.h>
#include <string.h>

/* One query head of one row: what a tile's lane works on. Its scores are numbered from its own
 * first key, so that where it stands in a tile changes nothing. */
struct item {
    uint64_t first; /* keys first .. end - 1, as positions */
    uint64_t end;
    const float *q;
    float *scores;
    float *out;
};

struct ring {
    const float *rows; /* [slot_count, head_dim] of one kv head */
    uint32_t slot_count;
    uint32_t head_dim;
};

struct attention_run {
    const struct es_attention_job *job;
    float *scratch;
    uint32_t scores_stride;
    uint32_t tile_count; /* per kv head */
};

/* Scores of one query, padded so that neighbours do not share a cache line. */
static uint32_t scores_stride(uint32_t window) {
    const uint32_t line = ES_CACHE_LINE_BYTES / (uint32_t)sizeof(float);
    return (window + line - 1u) / line * line;
}

size_t es_attention_scratch_bytes(uint32_t window, uint32_t thread_count) {
    return sizeof(float) * ES_ATTENTION_TILE * scores_stride(window) * thread_count;
}

/* Positions from `first` that lie one after another in the ring, at most up to `end`. */
static uint32_t run_length(const struct ring *ring, uint64_t first, uint64_t end) {
    uint64_t to_wrap = ring->slot_count - first % ring->slot_count;
    return (uint32_t)(end - first < to_wrap ? end - first : to_wrap);
}

static const float *ring_row(const struct ring *ring, uint64_t position) {
    return ring->rows + (size_t)(position % ring->slot_count) * ring->head_dim;
}

/* Scores of all items for the keys first .. end - 1, which every one of them sees. */
static void score_range(const struct item *items, uint32_t item_count, const struct ring *keys,
                        uint64_t first, uint64_t end) {
    const float scale = 1.0f / sqrtf((float)keys->head_dim);
    while (first < end) {
        const float *q[ES_ATTENTION_TILE];
        float *scores[ES_ATTENTION_TILE];
        for (uint32_t i = 0; i < item_count; i++) {
            q[i] = items[i].q;
            scores[i] = items[i].scores + (first - items[i].first);
        }
        uint32_t count = run_length(keys, first, end);
        es_kernel_set_current()->attention_scores(q, item_count, ring_row(keys, first), count,
                                                  keys->head_dim, scale, scores);
        first += count;
    }
}

static void value_range(const struct item *items, uint32_t item_count, const struct ring *values,
                        uint64_t first, uint64_t end) {
    while (first < end) {
        const float *weights[ES_ATTENTION_TILE];
        float *out[ES_ATTENTION_TILE];
        for (uint32_t i = 0; i < item_count; i++) {
            weights[i] = items[i].scores + (first - items[i].first);
            out[i] = items[i].out;
        }
        uint32_t count = run_length(values, first, end);
        es_kernel_set_current()->attention_values(weights, item_count, ring_row(values, first),
                                                  count, values->head_dim, out);
        first += count;
    }
}

/* The keys that all items see are taken together; those at either end belong to some items only and
 * are taken one item at a time, so that no item ever touches a key that it does not see. */
static void for_each_range(void (*range)(const struct item *, uint32_t, const struct ring *,
                                         uint64_t, uint64_t),
                           const struct item *items, uint32_t item_count, const struct ring *ring) {
    uint64_t first = 0;
    uint64_t end = UINT64_MAX;
    for (uint32_t i = 0; i < item_count; i++) {
        first = items[i].first > first ? items[i].first : first;
        end = items[i].end < end ? items[i].end : end;
    }
    if (first >= end) {
        for (uint32_t i = 0; i < item_count; i++) {
            range(&items[i], 1, ring, items[i].first, items[i].end);
        }
        return;
    }
    for (uint32_t i = 0; i < item_count; i++) {
        range(&items[i], 1, ring, items[i].first, first);
    }
    range(items, item_count, ring, first, end);
    for (uint32_t i = 0; i < item_count; i++) {
        range(&items[i], 1, ring, end, items[i].end);
    }
}

static struct item make_item(const struct es_attention_job *job, uint32_t kv_head, uint32_t index,
                             float *scores) {
    const uint32_t group = job->head_count / job->kv_head_count;
    const uint32_t row = index / group;
    const size_t head = (size_t)row * job->head_count + kv_head * group + index % group;
    const uint64_t position = job->first_position + row;
    uint64_t first = job->oldest_position;
    if (position >= job->window && position - job->window + 1u > first) {
        first = position - job->window + 1u;
    }
    return (struct item){.first = first,
                         .end = position + 1u,
                         .q = job->q + head * job->head_dim,
                         .scores = scores,
                         .out = job->out + head * job->head_dim};
}

static void run_tile(void *context, uint32_t task_index, uint32_t worker_index) {
    const struct attention_run *run = context;
    const struct es_attention_job *job = run->job;
    const uint32_t kv_head = task_index / run->tile_count;
    const uint32_t first_index = task_index % run->tile_count * ES_ATTENTION_TILE;
    const uint32_t left = job->row_count * (job->head_count / job->kv_head_count) - first_index;
    const uint32_t item_count = left < ES_ATTENTION_TILE ? left : ES_ATTENTION_TILE;
    const size_t ring_offset = (size_t)kv_head * job->slot_count * job->head_dim;
    const struct ring keys = {job->keys + ring_offset, job->slot_count, job->head_dim};
    const struct ring values = {job->values + ring_offset, job->slot_count, job->head_dim};

    float *scratch = run->scratch + (size_t)worker_index * ES_ATTENTION_TILE * run->scores_stride;
    struct item items[ES_ATTENTION_TILE];
    for (uint32_t i = 0; i < item_count; i++) {
        items[i] = make_item(job, kv_head, first_index + i, scratch + i * run->scores_stride);
    }
    for_each_range(score_range, items, item_count, &keys);
    float sums[ES_ATTENTION_TILE];
    struct es_profile *profile = es_profile_current();
    uint64_t start_ns = profile == NULL ? 0 : es_clock_ns();
    for (uint32_t i = 0; i < item_count; i++) {
        sums[i] = es_kernel_set_current()->attention_exp(items[i].scores,
                                                         (uint32_t)(items[i].end - items[i].first));
        memset(items[i].out, 0, job->head_dim * sizeof(float));
    }
    if (profile != NULL) {
        atomic_fetch_add_explicit(&profile->softmax_ns, es_clock_ns() - start_ns,
                                  memory_order_relaxed);
    }
    for_each_range(value_range, items, item_count, &values);
    for (uint32_t i = 0; i < item_count; i++) {
        for (uint32_t d = 0; d < job->head_dim; d++) {
            items[i].out[d] /= sums[i];
        }
    }
}

void es_attention(struct es_pool *pool, const struct es_attention_job *job, void *scratch) {
    ES_ASSERT(job->window >= 1);
    ES_ASSERT(job->slot_count >= (uint64_t)job->window - 1u + job->row_count);
    ES_ASSERT(job->kv_head_count >= 1 && job->head_count % job->kv_head_count == 0);
    ES_ASSERT(job->oldest_position <= job->first_position);
    const uint32_t item_count = job->row_count * (job->head_count / job->kv_head_count);
    struct attention_run run = {.job = job,
                                .scratch = scratch,
                                .scores_stride = scores_stride(job->window),
                                .tile_count =
                                    (item_count + ES_ATTENTION_TILE - 1u) / ES_ATTENTION_TILE};
    struct es_profile *profile = es_profile_current();
    uint64_t start_ns = profile == NULL ? 0 : es_clock_ns();
    es_pool_run(pool, run_tile, &run, job->kv_head_count * run.tile_count);
    if (profile != NULL) {
        profile->attention_ns += es_clock_ns() - start_ns;
    }
}
