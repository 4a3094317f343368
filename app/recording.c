#include "app/recording.h"

#include "audio/pcm.h"
#include "platform/bounds.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_COUNT_FIRST ((size_t)60 * ES_SAMPLE_RATE)
#define SAMPLE_COUNT_MAX ((size_t)3600 * ES_SAMPLE_RATE)

/* Reads to the end, growing by doubling. */
static enum es_status read_all(struct es_recording *recording, struct es_pcm *source,
                               const char *path, struct es_error *error) {
    size_t room = 0;
    for (;;) {
        if (recording->sample_count == room) {
            room = room == 0 ? SAMPLE_COUNT_FIRST : 2u * room;
            float *samples = realloc(recording->samples, room * sizeof *samples);
            if (room > 2u * SAMPLE_COUNT_MAX || samples == NULL) {
                free(samples != NULL ? samples : recording->samples);
                recording->samples = NULL;
                return es_fail(error, ES_ERR_INPUT,
                               "%s: is too long to be kept in memory; give an hour at most", path);
            }
            recording->samples = samples;
        }
        int count = es_pcm_read(source, recording->samples + recording->sample_count,
                                room - recording->sample_count, error);
        if (count <= 0) {
            return (enum es_status)count;
        }
        recording->sample_count += (uint64_t)count;
    }
}

enum es_status es_recording_read(struct es_recording *recording, const char *path,
                                 struct es_error *error) {
    memset(recording, 0, sizeof *recording);
    struct es_pcm *source = NULL;
    enum es_status status = es_pcm_open_file(&source, path, error);
    if (status != ES_OK) {
        return status;
    }
    status = read_all(recording, source, path, error);
    es_pcm_close(source);
    if (status != ES_OK) {
        es_recording_free(recording);
        return status;
    }
    if (recording->sample_count == 0) {
        es_recording_free(recording);
        return es_fail(error, ES_ERR_INPUT, "%s: holds no samples; give a recording", path);
    }
    return ES_OK;
}

void es_recording_free(struct es_recording *recording) {
    free(recording->samples);
    memset(recording, 0, sizeof *recording);
}
