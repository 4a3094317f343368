#include "tests/support/engine_rig.h"

#include "engine/tokenizer.h"
#include "tests/support/random_weights.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

const struct es_model es_rig_small_windows = {
    .encoder = {40, 3, 16, 56, 4, 2, 7, 1e6, 1e-5f},
    .decoder = {36, 2, 12, 44, 6, 3, 5, 1e4, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 20,
    .downsample = 4,
    .frames_per_position = 8,
    .log_mel_max = 1.5f,
    .ada_dim = 10,
    .vocab_size = 101,
};

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

static enum es_status place_weights(struct es_rig *rig, uint32_t region, struct es_error *error) {
    const struct es_rig_device *device = rig->setup.device;
    rig->device_weights = calloc(1, sizeof *rig->device_weights);
    ES_EXPECT(rig->device_weights != NULL);
    return device->place(device->cuda, rig->model, rig->weights,
                         es_arena_region(&rig->arena, region), rig->device_weights, error);
}

static enum es_status make_backend(struct es_rig *rig, struct es_error *error) {
    const struct es_rig_device *device = rig->setup.device;
    struct es_backend_config config = {
        .encode_positions_max = rig->setup.encode_positions_max,
        .thread_count = rig->setup.thread_count,
        .pool = rig->pool,
        .tap = rig->setup.has_no_tap ? NULL : &rig->tap,
        .start_position = rig->setup.start_position,
    };
    if (device != NULL) {
        config.cuda = device->cuda;
        config.kv_kind = device->kv_kind;
        config.blas = device->blas;
        config.separates_layers = device->separates_layers;
    }
    struct es_backend_layout layout;
    uint32_t weights_region = 0;
    es_plan_init(&rig->plan);
    if (device != NULL) {
        weights_region = es_plan_add(&rig->plan, ES_MEM_DEVICE, "weights of the rig",
                                     device->weights_bytes(rig->model));
    }
    rig->ops->layout(rig->model, &config, &rig->plan, &layout);
    enum es_status status =
        device != NULL ? es_arena_reserve_with(&rig->arena, &rig->plan, &device->provider, error)
                       : es_arena_reserve(&rig->arena, &rig->plan, error);
    if (status == ES_OK && device != NULL) {
        status = place_weights(rig, weights_region, error);
    }
    if (status != ES_OK) {
        return status;
    }
    return rig->ops->init(&rig->backend, rig->model, &config, &layout, &rig->arena,
                          device != NULL ? rig->device_weights : rig->weights, error);
}

enum es_status es_rig_try_open(struct es_rig *rig, const struct es_backend_ops *ops,
                               const struct es_model *model, const struct es_rig_setup *setup,
                               struct es_error *error) {
    memset(rig, 0, sizeof *rig);
    rig->ops = ops;
    rig->model = model;
    rig->setup = *setup;
    rig->weights = es_random_weights(model, setup->dtype, setup->seed);
    rig->tracks = calloc((size_t)ES_STAGE_COUNT * ES_LAYER_COUNT_MAX, sizeof *rig->tracks);
    ES_EXPECT(rig->tracks != NULL);
    rig->tap.on_rows = record;
    rig->tap.context = rig;
    ES_EXPECT_EQ(es_pool_start(&rig->pool, setup->thread_count, error), ES_OK);
    enum es_status status = make_backend(rig, error);
    if (status != ES_OK) {
        es_rig_close(rig);
    }
    return status;
}

void es_rig_open(struct es_rig *rig, const struct es_backend_ops *ops, const struct es_model *model,
                 const struct es_rig_setup *setup) {
    struct es_error error = {""};
    if (es_rig_try_open(rig, ops, model, setup, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
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

/* What the run knows of itself. */
struct progress {
    const struct es_rig_input *input;
    uint32_t prompt_count;
    uint32_t decided; /* positions, the prompt and the silence included */
    uint32_t done;    /* positions encoded */
};

static enum es_status run_prompt(struct es_rig *rig, struct progress *progress,
                                 struct es_error *error) {
    struct es_choice choice;
    enum es_status status = rig->ops->prefill(rig->backend, rig->fed_ids + progress->decided,
                                              progress->prompt_count - progress->decided,
                                              progress->input->streaming_pad_bias, &choice, error);
    if (status == ES_OK) {
        keep_choice(rig, &choice);
        progress->decided = progress->prompt_count;
    }
    return status;
}

static enum es_status run_step(struct es_rig *rig, struct progress *progress,
                               struct es_error *error) {
    const struct es_rig_input *input = progress->input;
    bool is_prompt = progress->decided < progress->prompt_count;
    bool is_forced = is_prompt || input->forced_ids != NULL;
    if (!is_prompt) {
        int32_t last = rig->ids[rig->decision_count - 1];
        rig->fed_ids[progress->decided] =
            is_forced ? input->forced_ids[rig->decision_count - 1] : last;
    }
    const struct es_step step = {is_forced ? rig->fed_ids[progress->decided] : ES_STEP_LAST,
                                 input->streaming_pad_bias};
    struct es_choice choice;
    enum es_status status = rig->ops->decode(rig->backend, &step, &choice, error);
    if (status != ES_OK) {
        return status;
    }
    progress->decided++;
    if (progress->decided >= progress->prompt_count) {
        keep_choice(rig, &choice);
    }
    return ES_OK;
}

static enum es_status run_decoder(struct es_rig *rig, struct progress *progress,
                                  struct es_error *error) {
    if (progress->decided < progress->prompt_count && !progress->input->has_prompt_steps) {
        if (progress->done < progress->prompt_count) {
            return ES_OK;
        }
        enum es_status status = run_prompt(rig, progress, error);
        if (status != ES_OK) {
            return status;
        }
    }
    enum es_status status = ES_OK;
    while (status == ES_OK && progress->decided < progress->done) {
        status = run_step(rig, progress, error);
    }
    return status;
}

enum es_status es_rig_try_run(struct es_rig *rig, const struct es_rig_input *input, uint32_t group,
                              struct es_error *error) {
    const struct es_backend_ops *ops = rig->ops;
    const struct es_model *model = rig->model;
    struct progress progress = {.input = input,
                                .prompt_count = 1 + ES_LEFT_PAD_POSITIONS + input->delay_positions};
    ES_EXPECT(input->position_count >= progress.prompt_count);
    start_run(rig, input);
    for (uint32_t i = 0; i < progress.prompt_count; i++) {
        rig->fed_ids[i] = i == 0 ? ES_ID_BOS : ES_ID_STREAMING_PAD;
    }
    uint32_t silent_count = 0;
    enum es_status status = ops->reset(rig->backend, input->delay_positions,
                                       input->begins_with_silence ? &silent_count : NULL, error);
    progress.done = progress.decided = silent_count;
    while (status == ES_OK && progress.done < input->position_count) {
        uint32_t left = input->position_count - progress.done;
        uint32_t count = left < group ? left : group;
        const float *mel =
            input->mel + (size_t)progress.done * model->frames_per_position * model->mel_bin_count;
        progress.done += count;
        int waiting_count = ops->encode(rig->backend, mel, count, error);
        if (waiting_count < 0) {
            return (enum es_status)waiting_count;
        }
        ES_EXPECT_EQ(waiting_count, progress.done - progress.decided);
        status = run_decoder(rig, &progress, error);
    }
    return status;
}

void es_rig_run(struct es_rig *rig, const struct es_rig_input *input, uint32_t group) {
    struct es_error error = {""};
    if (es_rig_try_run(rig, input, group, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
}

/* All bits set is NaN in f32 and in f16. */
static void poison_region(struct es_rig *rig, uint32_t region) {
    const struct es_plan_region *planned = &rig->plan.regions[region];
    void *start = es_arena_region(&rig->arena, region);
    if (planned->kind == ES_MEM_HOST) {
        memset(start, 0xff, planned->bytes);
        return;
    }
    struct es_error error;
    const struct es_rig_device *device = rig->setup.device;
    ES_EXPECT_EQ(device->fill(device->cuda, start, 0xff, planned->bytes, &error), ES_OK);
}

bool es_rig_poison(struct es_rig *rig, const char *region_name) {
    bool is_found = false;
    for (uint32_t i = 0; i < rig->plan.region_count; i++) {
        if (strncmp(rig->plan.regions[i].name, region_name, strlen(region_name)) == 0) {
            poison_region(rig, i);
            is_found = true;
        }
    }
    return is_found;
}

void es_rig_close(struct es_rig *rig) {
    if (rig->backend != NULL) {
        rig->ops->close(rig->backend);
    }
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
    free(rig->device_weights);
}
