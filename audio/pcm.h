/* pcm.h - a source of 16 kHz mono samples: a recording, standard input, later a microphone.
 *
 *   status = es_pcm_open_file(&source, "talk.flac", &error);   or es_pcm_open_raw(&source, fd, ...)
 *   n = es_pcm_read(source, samples, count, &error);           0 at the end, < 0 on failure
 *   es_pcm_close(source);
 *
 * Files: whatever libsndfile reads, any rate (speexdsp resamples), any number of channels
 * (averaged). Integer samples are divided by 2^(bits-1), exactly. Opening allocates; it belongs
 * before the freeze. What the decoder library allocates while it runs is its own affair and stays
 * flat (docs/ARCHITECTURE.md). One thread. */
#pragma once

#include "platform/status.h"

#include <stddef.h>
#include <stdint.h>

struct es_pcm;

/* What the source is made of, for messages. */
struct es_pcm_info {
    uint32_t sample_rate; /* Hz, before resampling */
    uint32_t channel_count;
    uint64_t frame_count;    /* as the header says; UINT64_MAX when unknown (a pipe) */
    const char *format_name; /* "WAV, signed 16 bit"; owned by the source */
};

/* ES_ERR_INPUT names the path, what is wrong and the remedy: missing, a directory, unreadable,
 * empty, no audio format, 0 samples, rate or channel count beyond bounds. */
ES_MUST_CHECK enum es_status es_pcm_open_file(struct es_pcm **source, const char *path,
                                              struct es_error *error);

/* Raw s16le, 16 kHz, mono from a descriptor that the caller owns (standard input). Reads what is
 * there, so that a live pipe flows; an odd byte at the end is an error. */
ES_MUST_CHECK enum es_status es_pcm_open_raw(struct es_pcm **source, int fd, const char *name,
                                             struct es_error *error);

void es_pcm_info(const struct es_pcm *source, struct es_pcm_info *info);

/* Up to `count` samples, f32; returns how many (>= 1), 0 at the end, or a negative es_status: a
 * sample that is not a finite number, a file cut short (after all that it holds was given out), a
 * failing disk. ES_ERR_INTERRUPTED when a signal interrupted a blocking read. */
ES_MUST_CHECK int es_pcm_read(struct es_pcm *source, float *samples, size_t count,
                              struct es_error *error);

void es_pcm_close(struct es_pcm *source);
