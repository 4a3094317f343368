/* The two JSON files of a random model. */
#include "tools/random_model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_ID_COUNT 1000u
#define BYTE_PIECE_COUNT 256u
#define PIECE_TEXT_BYTES 24u

const struct es_model es_model_4b = {
    .encoder = {1280, 32, 64, 5120, 32, 32, 750, 1e6, 1e-5f},
    .decoder = {3072, 26, 128, 9216, 32, 8, 8192, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 128,
    .downsample = 4,
    .frames_per_position = 8,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 131072,
};

const struct es_model es_model_bringup = {
    .encoder = {256, 5, 64, 512, 4, 4, 96, 1e6, 1e-5f},
    .decoder = {256, 2, 128, 512, 4, 2, 128, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 128,
    .downsample = 4,
    .frames_per_position = 8,
    .log_mel_max = 1.5f,
    .ada_dim = 32,
    .vocab_size = 1408,
};

static enum es_status open_new(const char *directory, const char *name, FILE **file, char *path,
                               size_t path_bytes, struct es_error *error) {
    snprintf(path, path_bytes, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (*file == NULL) {
        return es_fail(error, ES_ERR_OUTPUT, "%s: cannot be made: %s; give a new directory", path,
                       strerror(errno));
    }
    return ES_OK;
}

static enum es_status close_new(FILE *file, const char *path, struct es_error *error) {
    int failed = ferror(file);
    if (fclose(file) != 0 || failed != 0) {
        return es_fail(error, ES_ERR_OUTPUT, "%s: cannot be written: %s; make room", path,
                       strerror(errno));
    }
    return ES_OK;
}

static void print_stack(FILE *file, const struct es_stack *stack) {
    fprintf(file,
            "\"dim\": %u, \"n_layers\": %u, \"head_dim\": %u, \"hidden_dim\": %u, \"n_heads\": %u, "
            "\"n_kv_heads\": %u, \"rope_theta\": %.9g, \"norm_eps\": %.9g, \"sliding_window\": %u, "
            "\"causal\": true",
            stack->dim, stack->layer_count, stack->head_dim, stack->hidden_dim, stack->head_count,
            stack->kv_head_count, stack->rope_theta, (double)stack->norm_eps, stack->window);
}

enum es_status es_params_write(const char *directory, const struct es_model *model,
                               struct es_error *error) {
    FILE *file = NULL;
    char path[ES_FILE_PATH_BYTES];
    enum es_status status = open_new(directory, "params.json", &file, path, sizeof path, error);
    if (status != ES_OK) {
        return status;
    }
    fputs("{", file);
    print_stack(file, &model->decoder);
    fprintf(file,
            ", \"use_biases\": false, \"vocab_size\": %u, \"model_parallel\": 1,\n"
            " \"tied_embeddings\": true, \"model_max_length\": 131072,\n"
            " \"ada_rms_norm_t_cond\": true, \"ada_rms_norm_t_cond_dim\": %u,\n"
            " \"multimodal\": {\"whisper_model_args\": {\"encoder_args\": {",
            model->vocab_size, model->ada_dim);
    print_stack(file, &model->encoder);
    fprintf(file,
            ", \"use_biases\": %s, \"vocab_size\": %u, \"use_cache\": false,\n"
            "  \"pos_embed\": \"rope\", \"ffn_type\": \"swiglu\", \"norm_type\": \"rms_norm\", "
            "\"max_source_positions\": null,\n"
            "  \"audio_encoding_args\": {\"sampling_rate\": %u, \"frame_rate\": %.9g, "
            "\"num_mel_bins\": %u, \"hop_length\": 160,\n"
            "   \"window_size\": 400, \"chunk_length_s\": null, \"global_log_mel_max\": %.9g, "
            "\"transcription_format\": \"streaming\"}},\n"
            "  \"downsample_args\": {\"downsample_factor\": %u}}}}\n",
            model->encoder_biases ? "true" : "false", model->vocab_size, ES_SAMPLE_RATE,
            100.0 / model->frames_per_position, model->mel_bin_count, (double)model->log_mel_max,
            model->downsample);
    return close_new(file, path, error);
}

/* The bytes of a piece: a single byte, or a made-up word of three syllables and its space. */
static size_t piece_text(uint32_t index, uint8_t *text) {
    if (index < BYTE_PIECE_COUNT) {
        text[0] = (uint8_t)index;
        return 1;
    }
    static const char consonants[] = "bdfghjklmnprstvwxyzc";
    static const char vowels[] = "aeiou";
    size_t length = 0;
    text[length++] = ' ';
    for (uint32_t rest = index - BYTE_PIECE_COUNT, i = 0; i < 3; i++, rest /= 100) {
        text[length++] = (uint8_t)consonants[rest % 100 / 5];
        text[length++] = (uint8_t)vowels[rest % 5];
    }
    return length;
}

static void print_base64(FILE *file, const uint8_t *data, size_t bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                         (left > 2 ? data[i + 2] : 0u);
        fputc(digits[group >> 18], file);
        fputc(digits[group >> 12 & 63], file);
        fputc(left > 1 ? digits[group >> 6 & 63] : '=', file);
        fputc(left > 2 ? digits[group & 63] : '=', file);
    }
}

enum es_status es_tekken_write(const char *directory, const struct es_model *model,
                               struct es_error *error) {
    FILE *file = NULL;
    char path[ES_FILE_PATH_BYTES];
    enum es_status status = open_new(directory, "tekken.json", &file, path, sizeof path, error);
    if (status != ES_OK) {
        return status;
    }
    uint32_t used = model->vocab_size > CONTROL_ID_COUNT ? model->vocab_size - CONTROL_ID_COUNT : 0;
    used = used < BYTE_PIECE_COUNT ? BYTE_PIECE_COUNT : used;
    uint32_t piece_count = used + used * 3 / 20; /* more than the vocabulary, as in the real file */
    fprintf(file,
            "{\n \"config\": {\"pattern\": \"[^\\\\s]+|\\\\s+\", \"num_vocab_tokens\": %u, "
            "\"default_vocab_size\": %u,\n  \"default_num_special_tokens\": %u, \"version\": "
            "\"v13\"},\n"
            " \"vocab\": [\n",
            piece_count, model->vocab_size, CONTROL_ID_COUNT);
    for (uint32_t i = 0; i < piece_count; i++) {
        uint8_t text[PIECE_TEXT_BYTES];
        size_t text_bytes = piece_text(i, text);
        fprintf(file, "  {\n   \"rank\": %u,\n   \"token_bytes\": \"", i);
        print_base64(file, text, text_bytes);
        if (i >= 0x80 && i < BYTE_PIECE_COUNT) {
            fputs("\",\n   \"token_str\": null\n  }", file);
        } else if (i < 0x80) {
            fprintf(file, "\",\n   \"token_str\": \"\\u%04x\"\n  }", i);
        } else {
            fprintf(file, "\",\n   \"token_str\": \"%.*s\"\n  }", (int)text_bytes,
                    (const char *)text);
        }
        fputs(i + 1 < piece_count ? ",\n" : "\n", file);
    }
    fputs(" ],\n \"special_tokens\": [\n  {\"rank\": 0, \"token_str\": \"<unk>\", \"is_control\": "
          "true},\n"
          "  {\"rank\": 1, \"token_str\": \"<s>\", \"is_control\": true},\n"
          "  {\"rank\": 2, \"token_str\": \"</s>\", \"is_control\": true}\n ]\n}\n",
          file);
    return close_new(file, path, error);
}
