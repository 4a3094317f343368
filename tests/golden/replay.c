#include "tests/golden/replay.h"

#include "audio/pcm.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

static void check(enum es_status status, const struct es_error *error) {
    if (status != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error->text);
    }
}

static void on_rows(void *context, enum es_stage stage, uint32_t layer, uint64_t first_row,
                    const float *rows, uint32_t row_count, uint32_t dim) {
    struct es_replay *replay = context;
    es_golden_take(replay->golden, (uint32_t)stage, layer, first_row, rows, row_count, dim);
}

static void on_frames(void *context, const float *frames, size_t frame_count, uint32_t bin_count) {
    struct es_replay *replay = context;
    es_golden_take(replay->golden, ES_GOLDEN_STAGE_MEL, 0, replay->mel_frame_count, frames,
                   (uint32_t)frame_count, bin_count);
    replay->mel_frame_count += frame_count;
}

static void on_token(void *context, const struct es_token *token) {
    struct es_replay *replay = context;
    ES_EXPECT(replay->id_count < replay->golden->id_count);
    ES_EXPECT_EQ(token->position,
                 ES_LEFT_PAD_POSITIONS + replay->golden->delay_positions + replay->id_count);
    replay->ids[replay->id_count] = token->id;
    replay->margins[replay->id_count] = token->margin;
    replay->id_count++;
}

static int32_t forced_id(void *context, uint64_t decision_index) {
    const struct es_replay *replay = context;
    return decision_index >= replay->force_from_step ? replay->golden->ids[decision_index] : -1;
}

static void read_samples(struct es_replay *replay) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/audio/%s", ES_TEST_DATA, replay->golden->audio);
    struct es_error error;
    struct es_pcm *source;
    check(es_pcm_open_file(&source, path, &error), &error);
    size_t count = 0;
    while (count < replay->golden->sample_count) {
        int n = es_pcm_read(source, replay->samples + count, replay->golden->sample_count - count,
                            &error);
        ES_EXPECT(n > 0);
        count += (size_t)n;
    }
    float one_more;
    ES_EXPECT_EQ(es_pcm_read(source, &one_more, 1, &error), 0);
    es_pcm_close(source);
}

struct es_replay *es_replay_open(struct es_golden *golden, uint32_t thread_count,
                                 uint32_t encode_positions_max, uint64_t start_position) {
    struct es_replay *replay = calloc(1, sizeof *replay);
    ES_EXPECT(replay != NULL);
    replay->golden = golden;
    replay->samples = malloc(golden->sample_count * sizeof *replay->samples);
    replay->ids = malloc(golden->id_count * sizeof *replay->ids);
    replay->margins = malloc(golden->id_count * sizeof *replay->margins);
    ES_EXPECT(replay->samples != NULL && replay->ids != NULL && replay->margins != NULL);
    read_samples(replay);
    snprintf(replay->directory, sizeof replay->directory, "%s/golden/models/%s", ES_TEST_DATA,
             golden->model);
    const struct es_boot_options options = {.model_directory = replay->directory,
                                            .thread_count = thread_count,
                                            .encode_positions_max = encode_positions_max,
                                            .backend = ES_BACKEND_CPU,
                                            .tap = &replay->tap,
                                            .start_position = start_position};
    struct es_error error;
    replay->tap = (struct es_tap){.on_rows = on_rows, .context = replay};
    check(es_boot_plan(&replay->boot, &options, &error), &error);
    check(es_boot_start(&replay->boot, &error), &error);
    return replay;
}

void es_replay_run(struct es_replay *replay, size_t push_samples, uint32_t force_from_step) {
    struct es_pipeline *pipeline = &replay->boot.pipeline;
    const struct es_pipeline_options options = {
        .stream = {.delay_positions = replay->golden->delay_positions,
                   .on_token = on_token,
                   .forced_id = forced_id,
                   .context = replay},
        .on_frames = on_frames,
    };
    struct es_error error;
    es_golden_reset(replay->golden); /* the warm-up at boot went through the tap as well */
    replay->mel_frame_count = 0;
    replay->id_count = 0;
    replay->force_from_step = force_from_step;
    check(es_pipeline_start(pipeline, &options, &error), &error);
    size_t sample_count = replay->golden->sample_count;
    for (size_t done = 0; done < sample_count;) {
        size_t left = sample_count - done;
        size_t count = left < push_samples ? left : push_samples;
        check(es_pipeline_push(pipeline, replay->samples + done, count, &error), &error);
        done += count;
    }
    check(es_pipeline_finish(pipeline, &error), &error);
    ES_EXPECT_EQ(replay->id_count, replay->golden->id_count);
}

void es_replay_close(struct es_replay *replay) {
    es_boot_stop(&replay->boot);
    free(replay->samples);
    free(replay->ids);
    free(replay->margins);
    free(replay);
}
