/* loudness.h - how loud the last seconds were, frame by frame: it finds where a word began.
 *
 *   es_loudness_push(&loudness, mel_frames, frame_count, bin_count);
 *   start_ms = es_loudness_onset_ms(&loudness, end_of_the_word_before_ms, end_ms);
 *
 * The model says when a word ends, never when it starts, so a start is an estimate: going back from
 * the end, the first frame of the stretch that stands out from the floor (pauses of up to 130 ms,
 * as before a stop consonant, bridged). The floor is a low percentile of the seconds before the
 * end. Loudness of a 10 ms frame = mean of its log-mel bins. Times are recording time, in ms, with
 * the left pad taken off. Plain data of fixed size. Engine thread. */
#pragma once

#include "platform/bounds.h"

#include <stddef.h>
#include <stdint.h>

struct es_loudness {
    float frames[ES_LOUDNESS_FRAME_COUNT]; /* ring: frame t lives in slot t % count */
    uint64_t frame_count;                  /* since the stream's start, left pad included */
};

void es_loudness_reset(struct es_loudness *loudness);

/* frames [frame_count, bin_count] f32 log-mel. */
void es_loudness_push(struct es_loudness *loudness, const float *frames, size_t frame_count,
                      uint32_t bin_count);

/* The estimated start of the word that ends at `end_ms`: earliest_ms <= result <= end_ms, at most
 * ES_WORD_MS_MAX before the end. Where nothing stands out, ES_WORD_NOMINAL_MS before the end. */
uint64_t es_loudness_onset_ms(const struct es_loudness *loudness, uint64_t earliest_ms,
                              uint64_t end_ms);
