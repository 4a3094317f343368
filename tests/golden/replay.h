/* replay.h - the engine as the program runs it, with a golden's recording on the input.
 *
 *   struct es_replay *replay = es_replay_open(golden, 2, ES_ENCODE_POSITIONS_MAX, 0);
 *   es_replay_run(replay, SIZE_MAX, UINT32_MAX);               the whole recording in one push
 *   replay->ids[step], replay->margins[step]
 *   es_replay_close(replay);
 *
 * Model directory, boot, mel, stream and CPU backend are the product's own; a tap gives the rows of
 * every stage to the golden. Test harness: a failure ends the test. */
#pragma once

#include "app/boot.h"
#include "tests/golden/golden.h"

struct es_replay {
    struct es_golden *golden; /* borrowed */
    char directory[512];      /* of the model */
    struct es_tap tap;
    struct es_boot boot;
    float *samples; /* [golden->sample_count]; owned */
    uint64_t mel_frame_count;
    uint32_t force_from_step; /* from this decision on the golden's ids are fed */
    /* the last run */
    uint32_t id_count;
    int32_t *ids; /* [golden->id_count] chosen; owned */
    float *margins;
};

/* `start_position`: how old the decoder says it is when the stream begins; 0 as in the product. */
struct es_replay *es_replay_open(struct es_golden *golden, uint32_t thread_count,
                                 uint32_t encode_positions_max, uint64_t start_position);

/* Pushes the recording `push_samples` at a time; the golden's ids are fed from decision
 * `force_from_step` on (UINT32_MAX: never). Every decision must come, and no more. */
void es_replay_run(struct es_replay *replay, size_t push_samples, uint32_t force_from_step);
void es_replay_close(struct es_replay *replay);
