#include "audio/pcm.h"

#include "audio/pcm_source.h"
#include "platform/assert.h"

#include <limits.h>

void es_pcm_info(const struct es_pcm *source, struct es_pcm_info *info) {
    *info = source->info;
}

int es_pcm_read(struct es_pcm *source, float *samples, size_t count, struct es_error *error) {
    ES_ASSERT(count > 0);
    return source->ops->read(source, samples, count < INT_MAX ? count : INT_MAX, error);
}

void es_pcm_close(struct es_pcm *source) {
    if (source != NULL) {
        source->ops->close(source);
    }
}
