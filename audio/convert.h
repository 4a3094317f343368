/* convert.h - interleaved frames of a sound card to mono f32.
 *
 *   clipped = es_convert_mono(setup.format, frames, count, setup.channel_count, 0, mono);
 *
 * Integers are divided by 2^(bits - 1), exactly; channels are averaged in f64. Any thread. */
#pragma once

#include "audio/card.h"

/* frames [frame_count, channel_count] of `format`, at any address; mono [frame_count]. `channel` 0
 * averages all, 1..channel_count takes that one. Returns the frames that have a sample at full
 * scale in a channel that counts. What is not a finite number becomes 0 and counts as clipped;
 * floats are cut to -1..1. */
size_t es_convert_mono(enum es_sample_format format, const void *frames, size_t frame_count,
                       uint32_t channel_count, uint32_t channel, float *mono);
