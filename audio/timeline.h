/* timeline.h - from positions in the stream that the engine hears to time in the recording.
 *
 *   es_timeline_reset(&timeline);
 *   silence = es_timeline_silence(loss.lost_samples);       push that many zeros: a second at most
 *   es_timeline_gap(&timeline, stream_sample, silence, loss.lost_samples);
 *   time_sample = es_timeline_time(&timeline, stream_sample);   / 16 = milliseconds
 *
 * Stream samples are those that were pushed into the pipeline, fed silence included. Recording time
 * counts the samples that a perfect microphone would have delivered. They run alike between gaps; a
 * gap of an hour feeds a second and moves the map by the rest. Fixed memory; the oldest gaps are
 * forgotten, and times before them then count as if those gaps were not. One thread. */
#pragma once

#include "platform/bounds.h"

#include <stdbool.h>
#include <stdint.h>

struct es_timeline_segment {
    uint64_t stream_sample; /* the first one of the segment */
    uint64_t time_sample;   /* its place in the recording, 16 kHz */
};

struct es_timeline {
    struct es_timeline_segment segments[ES_TIMELINE_SEGMENT_COUNT_MAX]; /* a ring */
    uint64_t segment_count; /* ever made; the last ES_TIMELINE_SEGMENT_COUNT_MAX are kept */
};

void es_timeline_reset(struct es_timeline *timeline);

/* Samples of silence that stand for a gap: as many as were lost, ES_GAP_SILENCE_SAMPLES at most. */
uint32_t es_timeline_silence(uint64_t lost_samples);

/* At `stream_sample` (not before an earlier gap's end), `fed_samples` of silence are pushed in
 * place of `lost_samples`. Either may be 0: a gap of unknown length that begins feeds its silence
 * with lost_samples 0, and is given its length, with fed_samples 0, where it ends. More may be fed
 * than was lost (to flush the last words): time then stands still, and never runs back. */
void es_timeline_gap(struct es_timeline *timeline, uint64_t stream_sample, uint64_t fed_samples,
                     uint64_t lost_samples);

/* Recording time of a stream sample, past or to come. Never decreases with it. */
uint64_t es_timeline_time(const struct es_timeline *timeline, uint64_t stream_sample);

/* Every gap before this stream sample that the map ever knew is still in it. */
bool es_timeline_is_exact(const struct es_timeline *timeline, uint64_t stream_sample);
