#include "app/pipeline.h"

#include "platform/assert.h"

/* Frame t ends 40 samples after its hop does: the last frame of the last position needs them. */
#define LAST_FRAME_SAMPLES (ES_MEL_WINDOW / 2u - ES_MEL_HOP)

static size_t frame_count_max(uint32_t block_samples) {
    return block_samples / ES_MEL_HOP + 2u;
}

void es_pipeline_layout(const struct es_model *model, uint32_t encode_positions_max,
                        struct es_plan *plan, struct es_pipeline_layout *layout) {
    uint32_t block_samples = encode_positions_max * ES_POSITION_SAMPLES;
    struct es_mel_config mel = {.bin_count = model->mel_bin_count,
                                .log_mel_max = model->log_mel_max};
    layout->pcm_region = es_plan_add(plan, ES_MEM_HOST, "pcm block", block_samples * sizeof(float));
    es_mel_layout(&mel, plan, &layout->mel);
    layout->frames_region =
        es_plan_add(plan, ES_MEM_HOST, "mel frames of a pcm block",
                    frame_count_max(block_samples) * model->mel_bin_count * sizeof(float));
    es_stream_layout(model, encode_positions_max, plan, &layout->stream);
}

void es_pipeline_init(struct es_pipeline *pipeline, const struct es_model *model,
                      uint32_t encode_positions_max, const struct es_backend_ops *ops,
                      struct es_backend *backend, const struct es_pipeline_layout *layout,
                      const struct es_arena *arena) {
    struct es_mel_config mel = {.bin_count = model->mel_bin_count,
                                .log_mel_max = model->log_mel_max};
    pipeline->bin_count = model->mel_bin_count;
    pipeline->block_samples = encode_positions_max * ES_POSITION_SAMPLES;
    pipeline->pcm = es_arena_region(arena, layout->pcm_region);
    pipeline->frames = es_arena_region(arena, layout->frames_region);
    es_mel_init(&pipeline->mel, &mel, &layout->mel, arena);
    es_stream_init(&pipeline->stream, model, encode_positions_max, ops, backend, &layout->stream,
                   arena);
}

/* The first `frame_count` frames of the block go down the line. */
static enum es_status pass_on(struct es_pipeline *pipeline, size_t frame_count,
                              struct es_error *error) {
    if (pipeline->options.on_frames != NULL) {
        pipeline->options.on_frames(pipeline->options.stream.context, pipeline->frames, frame_count,
                                    pipeline->bin_count);
    }
    return es_stream_push(&pipeline->stream, pipeline->frames, frame_count, error);
}

static enum es_status push_silence(struct es_pipeline *pipeline, size_t sample_count,
                                   struct es_error *error) {
    static const float silence[ES_POSITION_SAMPLES];
    while (sample_count > 0) {
        size_t block =
            sample_count < pipeline->block_samples ? sample_count : pipeline->block_samples;
        size_t frame_count = 0;
        for (size_t done = 0; done < block;) {
            size_t count = block - done < ES_POSITION_SAMPLES ? block - done : ES_POSITION_SAMPLES;
            frame_count += es_mel_push(pipeline->mel, silence, count,
                                       pipeline->frames + frame_count * pipeline->bin_count);
            done += count;
        }
        enum es_status status = pass_on(pipeline, frame_count, error);
        if (status != ES_OK) {
            return status;
        }
        sample_count -= block;
    }
    return ES_OK;
}

enum es_status es_pipeline_start(struct es_pipeline *pipeline,
                                 const struct es_pipeline_options *options,
                                 struct es_error *error) {
    pipeline->options = *options;
    pipeline->sample_count = 0;
    es_mel_reset(pipeline->mel);
    pipeline->options.stream.begins_with_silence = true; /* made below */
    enum es_status status = es_stream_reset(&pipeline->stream, &pipeline->options.stream, error);
    if (status != ES_OK) {
        return status;
    }
    return push_silence(pipeline, (size_t)ES_LEFT_PAD_POSITIONS * ES_POSITION_SAMPLES, error);
}

enum es_status es_pipeline_push(struct es_pipeline *pipeline, const float *pcm, size_t sample_count,
                                struct es_error *error) {
    while (sample_count > 0) {
        size_t block =
            sample_count < pipeline->block_samples ? sample_count : pipeline->block_samples;
        pipeline->sample_count += block;
        size_t frame_count = es_mel_push(pipeline->mel, pcm, block, pipeline->frames);
        ES_ASSERT(frame_count <= frame_count_max(pipeline->block_samples));
        enum es_status status = pass_on(pipeline, frame_count, error);
        if (status != ES_OK) {
            return status;
        }
        pcm += block;
        sample_count -= block;
    }
    return ES_OK;
}

enum es_status es_pipeline_finish(struct es_pipeline *pipeline, struct es_error *error) {
    uint64_t over = pipeline->sample_count % ES_POSITION_SAMPLES;
    size_t to_whole_position = over > 0 ? (size_t)(ES_POSITION_SAMPLES - over) : 0;
    size_t position_count = pipeline->options.stream.delay_positions + ES_RIGHT_PAD_EXTRA_POSITIONS;
    enum es_status status = push_silence(
        pipeline, to_whole_position + position_count * ES_POSITION_SAMPLES + LAST_FRAME_SAMPLES,
        error);
    return status == ES_OK ? es_stream_flush(&pipeline->stream, error) : status;
}
