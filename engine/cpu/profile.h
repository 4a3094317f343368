/* profile.h - where the engine's time goes, for `earshot bench`.
 *
 *   struct es_profile profile = {0};
 *   es_profile_set(&profile);             NULL (the default) turns it off
 *   ...encode...
 *   es_profile_set(NULL);
 *
 * Off, it costs a branch per operation. Linear maps and attention are counted as wall time of the
 * engine thread, their barriers included; the softmax inside of attention as the sum over workers
 * (divide by their number). Set it between runs only. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct es_profile {
    uint64_t linear_ns;    /* es_linear, es_linear_many */
    uint64_t attention_ns; /* es_attention: q k^T, softmax, times v */
    _Atomic uint64_t softmax_ns;
};

void es_profile_set(struct es_profile *profile); /* borrowed */
struct es_profile *es_profile_current(void);     /* NULL when off */
