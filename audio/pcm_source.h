/* pcm_source.h - what a kind of source provides; private to audio/pcm*.c.
 *
 *   struct my_source { struct es_pcm base; ... };      base comes first
 *   self->base.ops = &my_ops;                          then es_pcm_read and es_pcm_close work */
#pragma once

#include "audio/pcm.h"

struct es_pcm_ops {
    /* As es_pcm_read, with count > 0. */
    int (*read)(struct es_pcm *source, float *samples, size_t count, struct es_error *error);
    /* Frees the source itself, too. */
    void (*close)(struct es_pcm *source);
};

struct es_pcm {
    const struct es_pcm_ops *ops;
    struct es_pcm_info info;
};
