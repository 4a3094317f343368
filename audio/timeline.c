#include "audio/timeline.h"

#include "platform/assert.h"

void es_timeline_reset(struct es_timeline *timeline) {
    timeline->segments[0] = (struct es_timeline_segment){.stream_sample = 0, .time_sample = 0};
    timeline->segment_count = 1;
}

uint32_t es_timeline_silence(uint64_t lost_samples) {
    return lost_samples < ES_GAP_SILENCE_SAMPLES ? (uint32_t)lost_samples : ES_GAP_SILENCE_SAMPLES;
}

static const struct es_timeline_segment *segment(const struct es_timeline *timeline,
                                                 uint64_t index) {
    return &timeline->segments[index % ES_TIMELINE_SEGMENT_COUNT_MAX];
}

static uint64_t oldest(const struct es_timeline *timeline) {
    return timeline->segment_count < ES_TIMELINE_SEGMENT_COUNT_MAX
               ? 0
               : timeline->segment_count - ES_TIMELINE_SEGMENT_COUNT_MAX;
}

/* A gap is where two segments meet: the silence runs on in the older one, as far as there was time
 * for it, and the younger one starts behind both. */
void es_timeline_gap(struct es_timeline *timeline, uint64_t stream_sample, uint64_t fed_samples,
                     uint64_t lost_samples) {
    const struct es_timeline_segment *last = segment(timeline, timeline->segment_count - 1);
    ES_ASSERT(stream_sample >= last->stream_sample);
    const uint64_t time_sample =
        last->time_sample + (stream_sample - last->stream_sample) + lost_samples;
    const struct es_timeline_segment next = {.stream_sample = stream_sample + fed_samples,
                                             .time_sample = time_sample};
    if (fed_samples == lost_samples) {
        return; /* the map runs on */
    }
    if (next.stream_sample > last->stream_sample) {
        timeline->segment_count++;
    }
    timeline->segments[(timeline->segment_count - 1) % ES_TIMELINE_SEGMENT_COUNT_MAX] = next;
}

uint64_t es_timeline_time(const struct es_timeline *timeline, uint64_t stream_sample) {
    const uint64_t first = oldest(timeline);
    uint64_t index = timeline->segment_count - 1;
    while (index > first && segment(timeline, index)->stream_sample > stream_sample) {
        index--;
    }
    const struct es_timeline_segment *here = segment(timeline, index);
    if (stream_sample < here->stream_sample) { /* in what was forgotten */
        const uint64_t before = here->stream_sample - stream_sample;
        return before < here->time_sample ? here->time_sample - before : 0;
    }
    const uint64_t time_sample = here->time_sample + (stream_sample - here->stream_sample);
    if (index + 1 < timeline->segment_count) {
        const uint64_t next_time = segment(timeline, index + 1)->time_sample;
        return time_sample < next_time ? time_sample : next_time;
    }
    return time_sample;
}

bool es_timeline_is_exact(const struct es_timeline *timeline, uint64_t stream_sample) {
    return stream_sample >= segment(timeline, oldest(timeline))->stream_sample;
}
