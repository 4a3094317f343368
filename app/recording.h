/* recording.h - a whole recording in memory, for measuring.
 *
 *   status = es_recording_read(&recording, "talk.flac", &error);      before the freeze
 *   recording.samples[i]                                              16 kHz, mono
 *   es_recording_free(&recording); */
#pragma once

#include "platform/status.h"

#include <stdint.h>

struct es_recording {
    float *samples; /* owned; NULL before reading */
    uint64_t sample_count;
};

/* Any file that audio/pcm.h reads; ES_ERR_INPUT as there, and for one of more than an hour. */
ES_MUST_CHECK enum es_status es_recording_read(struct es_recording *recording, const char *path,
                                               struct es_error *error);
void es_recording_free(struct es_recording *recording);
