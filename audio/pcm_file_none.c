/* pcm_file_none.c - a build without libsndfile: samples come through standard input alone. */
#include "audio/pcm.h"

enum es_status es_pcm_open_file(struct es_pcm **source, const char *path, struct es_error *error) {
    *source = NULL;
    return es_fail(error, ES_ERR_HARDWARE,
                   "%s: this build reads no files, it was made without libsndfile; pipe 16 kHz "
                   "mono s16le samples into '-', or install libsndfile1-dev and build again",
                   path);
}
