#include "engine/model.h"

#include "engine/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENCODER_PREFIX "multimodal.whisper_model_args.encoder_args."
#define AUDIO_PREFIX ENCODER_PREFIX "audio_encoding_args."
#define DOWNSAMPLE_PREFIX "multimodal.whisper_model_args.downsample_args."

/* Of the architecture, not of a checkpoint: the conv stem halves the frame rate, and the stream's
 * schedule counts in positions of 80 ms (bounds.h). */
#define CONV_STRIDE 2u
#define HOP_SAMPLES 160u
#define WINDOW_SAMPLES 400u

/* What transformers assumes for an encoder whose params.json lacks the key: its converter never
 * copies the two, so checkpoints without them exist. */
#define ENCODER_WINDOW_DEFAULT 750u
#define ENCODER_NORM_EPS_DEFAULT 1e-5

/* A key with one supported value; absent means that value: the architecture has no other. */
static void expect_bool(struct es_json_reader *reader, const char *path, bool expected) {
    const json_t *value = es_json_find(reader, path);
    if (value != NULL && es_json_bool(reader, path) != expected) {
        es_json_reject(reader, path, "only %s is supported", expected ? "true" : "false");
    }
}

static void expect_text(struct es_json_reader *reader, const char *path, const char *expected) {
    const json_t *value = es_json_find(reader, path);
    if (value != NULL &&
        (!json_is_string(value) || strcmp(json_string_value(value), expected) != 0)) {
        es_json_reject(reader, path, "only \"%s\" is supported", expected);
    }
}

static void expect_u32(struct es_json_reader *reader, const char *path, uint32_t expected) {
    if (es_json_u32(reader, path, 0, UINT32_MAX) != expected) {
        es_json_reject(reader, path, "only %u is supported", expected);
    }
}

/* One window size in one of its spellings: a number, or a number as a string. 0 when neither. */
static uint32_t window_of(const json_t *value) {
    double number = 0.0;
    if (json_is_number(value)) {
        number = json_number_value(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t digits = strspn(text, "0123456789");
        number = digits > 0 && digits < 10 && text[digits] == '\0' ? (double)atol(text) : 0.0;
    }
    bool is_valid = number >= 1.0 && number <= ES_WINDOW_MAX;
    uint32_t window = is_valid ? (uint32_t)number : 0;
    return (double)window == number ? window : 0;
}

/* sliding_window: also a list, one per layer, as long as all its layers agree. */
static uint32_t read_window(struct es_json_reader *reader) {
    const json_t *value = es_json_find(reader, "sliding_window");
    uint32_t window = window_of(value);
    if (json_is_array(value)) {
        window = window_of(json_array_get(value, 0));
        for (size_t i = 1; i < json_array_size(value); i++) {
            if (window_of(json_array_get(value, i)) != window) {
                es_json_reject(reader, "sliding_window",
                               "with different windows; one window for all layers is supported");
                return 0;
            }
        }
    }
    if (window == 0) {
        es_json_reject(reader, "sliding_window", "give a whole number 1..%u", ES_WINDOW_MAX);
    }
    return window;
}

static void read_stack(struct es_json_reader *reader, struct es_stack *stack) {
    stack->dim = es_json_u32(reader, "dim", 2, ES_DIM_MAX);
    stack->layer_count = es_json_u32(reader, "n_layers", 1, ES_LAYER_COUNT_MAX);
    stack->head_dim = es_json_u32(reader, "head_dim", 2, ES_HEAD_DIM_MAX);
    stack->hidden_dim = es_json_u32(reader, "hidden_dim", 1, ES_DIM_MAX);
    stack->head_count = es_json_u32(reader, "n_heads", 1, ES_HEAD_COUNT_MAX);
    stack->kv_head_count = es_json_find(reader, "n_kv_heads") == NULL
                               ? stack->head_count
                               : es_json_u32(reader, "n_kv_heads", 1, ES_HEAD_COUNT_MAX);
    stack->rope_theta = es_json_number(reader, "rope_theta", 1.0, 1e12);
    expect_text(reader, "norm_type", "rms_norm");
    expect_text(reader, "ffn_type", "swiglu");
    expect_text(reader, "pos_embed", "rope");
    if (reader->status == ES_OK && stack->head_dim % 2 != 0) {
        es_json_reject(reader, "head_dim", "rotary positions need an even number");
    }
    if (reader->status == ES_OK && stack->head_count % stack->kv_head_count != 0) {
        es_json_reject(reader, "n_kv_heads", "it must divide n_heads, which is %u",
                       stack->head_count);
    }
}

static void read_encoder(struct es_json_reader *reader, struct es_model *model) {
    reader->prefix = ENCODER_PREFIX;
    read_stack(reader, &model->encoder);
    model->encoder.window = es_json_find(reader, "sliding_window") == NULL ? ENCODER_WINDOW_DEFAULT
                                                                           : read_window(reader);
    model->encoder.norm_eps = es_json_find(reader, "norm_eps") == NULL
                                  ? (float)ENCODER_NORM_EPS_DEFAULT
                                  : (float)es_json_number(reader, "norm_eps", 1e-12, 1.0);
    model->encoder_biases = es_json_bool(reader, "use_biases");
    if (!es_json_bool(reader, "causal")) {
        es_json_reject(reader, "causal", "only true is supported: a stream cannot see the future");
    }
}

static void read_audio(struct es_json_reader *reader, struct es_model *model) {
    reader->prefix = AUDIO_PREFIX;
    expect_u32(reader, "sampling_rate", ES_SAMPLE_RATE);
    expect_u32(reader, "hop_length", HOP_SAMPLES);
    expect_u32(reader, "window_size", WINDOW_SAMPLES);
    expect_text(reader, "transcription_format", "streaming");
    model->mel_bin_count = es_json_u32(reader, "num_mel_bins", 1, ES_MEL_BIN_COUNT_MAX);
    model->log_mel_max = (float)es_json_number(reader, "global_log_mel_max", -20.0, 20.0);
    double frame_rate = es_json_number(reader, "frame_rate", 0.1, 100.0);

    reader->prefix = DOWNSAMPLE_PREFIX;
    model->downsample = es_json_u32(reader, "downsample_factor", 1, 64);
    model->frames_per_position = CONV_STRIDE * model->downsample;
    if (model->frames_per_position * HOP_SAMPLES != ES_POSITION_SAMPLES) {
        es_json_reject(reader, "downsample_factor", "only %u is supported: positions of %u ms",
                       ES_POSITION_SAMPLES / HOP_SAMPLES / CONV_STRIDE, ES_POSITION_MS);
    }
    reader->prefix = AUDIO_PREFIX;
    if (frame_rate * model->frames_per_position * HOP_SAMPLES != (double)ES_SAMPLE_RATE) {
        es_json_reject(reader, "frame_rate", "downsample_factor %u makes it %g", model->downsample,
                       (double)ES_SAMPLE_RATE / HOP_SAMPLES / model->frames_per_position);
    }
}

static void read_decoder(struct es_json_reader *reader, struct es_model *model) {
    reader->prefix = "";
    read_stack(reader, &model->decoder);
    model->decoder.window = read_window(reader);
    model->decoder.norm_eps = (float)es_json_number(reader, "norm_eps", 1e-12, 1.0);
    model->vocab_size = es_json_u32(reader, "vocab_size", ES_VOCAB_SIZE_MIN, ES_VOCAB_SIZE_MAX);
    expect_bool(reader, "use_biases", false);
    expect_bool(reader, "causal", true);
    expect_bool(reader, "tied_embeddings", true);
    if (!es_json_bool(reader, "ada_rms_norm_t_cond")) {
        es_json_reject(reader, "ada_rms_norm_t_cond",
                       "only true is supported: give a Voxtral Realtime model");
    }
    model->ada_dim = es_json_u32(reader, "ada_rms_norm_t_cond_dim", 1, ES_DIM_MAX);
    if (reader->status == ES_OK && model->decoder.dim % 2 != 0) {
        es_json_reject(reader, "dim", "the time embedding needs an even number");
    }
}

enum es_status es_model_parse(struct es_model *model, const char *label, const char *text,
                              size_t text_bytes, struct es_error *error) {
    json_t *root = NULL;
    enum es_status status = es_json_parse(label, text, text_bytes, &root, error);
    if (status != ES_OK) {
        return status;
    }
    struct es_json_reader reader = {root, label, "", error, ES_OK};
    struct es_model read = {0};
    if (!json_is_object(root)) {
        reader.status = es_fail(error, ES_ERR_INPUT,
                                "%s: is not a JSON object; give the model's params.json", label);
    }
    read_decoder(&reader, &read);
    read_encoder(&reader, &read);
    read_audio(&reader, &read);
    json_decref(root);
    if (reader.status == ES_OK) {
        *model = read;
    }
    return reader.status;
}

enum es_status es_model_read(struct es_model *model, const char *directory,
                             struct es_error *error) {
    char path[ES_FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s/params.json", directory);
    char *text = NULL;
    size_t text_bytes = 0;
    enum es_status status = es_file_read(path, ES_PARAMS_JSON_BYTES_MAX, &text, &text_bytes, error);
    if (status != ES_OK) {
        return status;
    }
    status = es_model_parse(model, path, text, text_bytes, error);
    free(text);
    return status;
}
