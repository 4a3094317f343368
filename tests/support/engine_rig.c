#include "tests/support/engine_rig.h"

#include "engine/tokenizer.h"
#include "tests/support/random_weights.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *memory, size_t bytes) {
    void *grown = realloc(memory, bytes);
    ES_EXPECT(grown != NULL);
    return grown;
}

static struct es_rig_track *track_of(const struct es_rig *rig, enum es_stage stage,
                                     uint32_t layer) {
    return &rig->tracks[stage * ES_LAYER_COUNT_MAX + layer];
}

const struct es_rig_track *es_rig_track(const struct es_rig *rig, enum es_stage stage,
                                        uint32_t layer) {
    return track_of(rig, stage, layer);
}

uint32_t es_rig_layer_count(const struct es_model *model, enum es_stage stage) {
    if (stage == ES_STAGE_ENCODER_LAYER) {
        return model->encoder.layer_count;
    }
    return stage == ES_STAGE_DECODER_LAYER ? model->decoder.layer_count : 1;
}

uint64_t es_rig_first_row(const struct es_model *model, enum es_stage stage,
                          uint64_t start_position) {
    if (stage == ES_STAGE_CONV0) {
        return start_position * model->frames_per_position;
    }
    bool is_encoder =
        stage == ES_STAGE_CONV1 || stage == ES_STAGE_ENCODER_LAYER || stage == ES_STAGE_ENCODER;
    return is_encoder ? start_position * model->downsample : start_position;
}

static void record(void *context, enum es_stage stage, uint32_t layer, uint64_t first_row,
                   const float *rows, uint32_t row_count, uint32_t dim) {
    struct es_rig_track *track = track_of(context, stage, layer);
    if (track->row_count == 0) {
        track->first_row = first_row;
        track->dim = dim;
    }
    ES_EXPECT_EQ(dim, track->dim);
    ES_EXPECT_EQ(first_row, track->first_row + track->row_count);
    if (track->row_count + row_count > track->row_count_max) {
        track->row_count_max = 2 * (track->row_count + row_count);
        track->rows = grow(track->rows, track->row_count_max * dim * sizeof *track->rows);
    }
    memcpy(track->rows + track->row_count * dim, rows, (size_t)row_count * dim * sizeof *rows);
    track->row_count += row_count;
}

void es_rig_open(struct es_rig *rig, const struct es_backend_ops *ops, const struct es_model *model,
                 const struct es_rig_setup *setup) {
    struct es_error error;
    memset(rig, 0, sizeof *rig);
    rig->ops = ops;
    rig->model = model;
    rig->setup = *setup;
    rig->weights = es_random_weights(model, setup->dtype, setup->seed);
    rig->tracks = calloc((size_t)ES_STAGE_COUNT * ES_LAYER_COUNT_MAX, sizeof *rig->tracks);
    ES_EXPECT(rig->tracks != NULL);
    rig->tap.on_rows = record;
    rig->tap.context = rig;
    ES_EXPECT_EQ(es_pool_start(&rig->pool, setup->thread_count, &error), ES_OK);
    const struct es_backend_config config = {
        .encode_positions_max = setup->encode_positions_max,
        .thread_count = setup->thread_count,
        .pool = rig->pool,
        .tap = &rig->tap,
        .start_position = setup->start_position,
    };
    struct es_backend_layout layout;
    es_plan_init(&rig->plan);
    ops->layout(model, &config, &rig->plan, &layout);
    ES_EXPECT_EQ(es_arena_reserve(&rig->arena, &rig->plan, &error), ES_OK);
    ES_EXPECT_EQ(
        ops->init(&rig->backend, model, &config, &layout, &rig->arena, rig->weights, &error),
        ES_OK);
}

static void keep_choice(struct es_rig *rig, const struct es_choice *choice) {
    rig->ids[rig->decision_count] = choice->id;
    rig->margins[rig->decision_count] = choice->margin;
    rig->decision_count++;
}

static void start_run(struct es_rig *rig, const struct es_rig_input *input) {
    for (size_t i = 0; i < (size_t)ES_STAGE_COUNT * ES_LAYER_COUNT_MAX; i++) {
        rig->tracks[i].row_count = 0;
    }
    rig->decision_count = 0;
    rig->ids = grow(rig->ids, input->position_count * sizeof *rig->ids);
    rig->margins = grow(rig->margins, input->position_count * sizeof *rig->margins);
    rig->fed_ids = grow(rig->fed_ids, input->position_count * sizeof *rig->fed_ids);
}

void es_rig_run(struct es_rig *rig, const struct es_rig_input *input, uint32_t group) {
    const struct es_backend_ops *ops = rig->ops;
    const struct es_model *model = rig->model;
    uint32_t prompt_count = 1 + ES_LEFT_PAD_POSITIONS + input->delay_positions;
    struct es_error error = {""};
    struct es_choice choice;
    ES_EXPECT(input->position_count >= prompt_count);
    start_run(rig, input);
    for (uint32_t i = 0; i < prompt_count; i++) {
        rig->fed_ids[i] = i == 0 ? ES_ID_BOS : ES_ID_STREAMING_PAD;
    }
    ES_EXPECT_EQ(ops->reset(rig->backend, input->delay_positions, NULL, &error), ES_OK);
    uint32_t decided = 0; /* positions, the prompt included */
    for (uint32_t done = 0; done < input->position_count;) {
        uint32_t left = input->position_count - done;
        uint32_t count = left < group ? left : group;
        const float *mel =
            input->mel + (size_t)done * model->frames_per_position * model->mel_bin_count;
        done += count;
        ES_EXPECT_EQ(ops->encode(rig->backend, mel, count, &error), done - decided);
        if (decided == 0 && done >= prompt_count) {
            ES_EXPECT_EQ(ops->prefill(rig->backend, rig->fed_ids, prompt_count,
                                      input->streaming_pad_bias, &choice, &error),
                         ES_OK);
            keep_choice(rig, &choice);
            decided = prompt_count;
        }
        while (decided > 0 && decided < done) {
            bool is_forced = input->forced_ids != NULL;
            int32_t last = rig->ids[rig->decision_count - 1];
            rig->fed_ids[decided] = is_forced ? input->forced_ids[rig->decision_count - 1] : last;
            const struct es_step step = {is_forced ? rig->fed_ids[decided] : ES_STEP_LAST,
                                         input->streaming_pad_bias};
            ES_EXPECT_EQ(ops->decode(rig->backend, &step, &choice, &error), ES_OK);
            keep_choice(rig, &choice);
            decided++;
        }
    }
}

bool es_rig_poison(struct es_rig *rig, const char *region_name) {
    for (uint32_t i = 0; i < rig->plan.region_count; i++) {
        if (strcmp(rig->plan.regions[i].name, region_name) == 0) {
            float *start = es_arena_region(&rig->arena, i);
            for (size_t k = 0; k < rig->plan.regions[i].bytes / sizeof *start; k++) {
                start[k] = NAN;
            }
            return true;
        }
    }
    return false;
}

void es_rig_close(struct es_rig *rig) {
    rig->ops->close(rig->backend);
    for (size_t i = 0; i < (size_t)ES_STAGE_COUNT * ES_LAYER_COUNT_MAX; i++) {
        free(rig->tracks[i].rows);
    }
    free(rig->tracks);
    free(rig->ids);
    free(rig->margins);
    free(rig->fed_ids);
    es_arena_release(&rig->arena);
    es_pool_stop(rig->pool);
    es_random_weights_free(rig->weights);
}
