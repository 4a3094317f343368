#include "engine/cpu/profile.h"

#include <stddef.h>

static struct es_profile *current;

void es_profile_set(struct es_profile *profile) {
    current = profile;
}

struct es_profile *es_profile_current(void) {
    return current;
}
