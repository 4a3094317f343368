#include "engine/json.h"
#include "engine/model.h"
#include "tests/support/model_files.h"
#include "tests/support/test.h"
#include "tools/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct es_error error;

static enum es_status parse(struct es_model *model, const char *text, size_t bytes) {
    memset(&error, 0, sizeof error);
    return es_model_parse(model, "params.json", text, bytes, &error);
}

/* The small model's params.json with one text replaced must be refused in these words. */
static void expect_refused(const char *old, const char *replacement, const char *said) {
    static uint32_t count;
    char name[32];
    snprintf(name, sizeof name, "refused%u", count++);
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model(name));
    es_test_replace(directory, "params.json", old, replacement);
    struct es_model model;
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, said);
    ES_EXPECT_CONTAINS(error.text, "params.json");
}

static void expect_read(const char *old, const char *replacement, struct es_model *model) {
    static uint32_t count;
    char name[32];
    snprintf(name, sizeof name, "read%u", count++);
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model(name));
    es_test_replace(directory, "params.json", old, replacement);
    if (es_model_read(model, directory, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
}

static void expect_same_stack(const struct es_stack *read, const struct es_stack *written) {
    ES_EXPECT_EQ(read->dim, written->dim);
    ES_EXPECT_EQ(read->layer_count, written->layer_count);
    ES_EXPECT_EQ(read->head_dim, written->head_dim);
    ES_EXPECT_EQ(read->hidden_dim, written->hidden_dim);
    ES_EXPECT_EQ(read->head_count, written->head_count);
    ES_EXPECT_EQ(read->kv_head_count, written->kv_head_count);
    ES_EXPECT_EQ(read->window, written->window);
    ES_EXPECT_NEAR(read->rope_theta, written->rope_theta, 0.0);
    ES_EXPECT_NEAR(read->norm_eps, written->norm_eps, 0.0);
}

ES_TEST("every dimension comes from the file") {
    struct es_model model;
    ES_EXPECT_EQ(es_model_read(&model, es_test_model("small"), &error), ES_OK);
    expect_same_stack(&model.encoder, &es_test_model_small.encoder);
    expect_same_stack(&model.decoder, &es_test_model_small.decoder);
    ES_EXPECT(model.encoder_biases);
    ES_EXPECT_EQ(model.mel_bin_count, 128);
    ES_EXPECT_EQ(model.downsample, 4);
    ES_EXPECT_EQ(model.frames_per_position, 8);
    ES_EXPECT_NEAR(model.log_mel_max, 1.5, 0.0);
    ES_EXPECT_EQ(model.ada_dim, 32);
    ES_EXPECT_EQ(model.vocab_size, 1300);
}

ES_TEST("the bring-up model's file, which another program wrote, is read") {
    struct es_model model;
    ES_EXPECT_EQ(es_model_read(&model, ES_SOURCE_DIR "/models/bringup", &error), ES_OK);
    expect_same_stack(&model.encoder, &es_model_bringup.encoder);
    expect_same_stack(&model.decoder, &es_model_bringup.decoder);
    ES_EXPECT_EQ(model.vocab_size, 1408);
}

ES_TEST("the dimensions of the 4B model are within the bounds") {
    char directory[256];
    snprintf(directory, sizeof directory, "%s/4b", es_test_directory());
    ES_EXPECT(mkdir(directory, 0755) == 0);
    ES_EXPECT_EQ(es_params_write(directory, &es_model_4b, &error), ES_OK);
    struct es_model model;
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_OK);
    expect_same_stack(&model.encoder, &es_model_4b.encoder);
    expect_same_stack(&model.decoder, &es_model_4b.decoder);
    ES_EXPECT_EQ(model.vocab_size, 131072);
}

ES_TEST("a window may be a number, a string of digits or a list of equal ones") {
    struct es_model model;
    expect_read("\"sliding_window\": 24", "\"sliding_window\": \"31\"", &model);
    ES_EXPECT_EQ(model.decoder.window, 31);
    expect_read("\"sliding_window\": 24", "\"sliding_window\": [32, \"32\", 32]", &model);
    ES_EXPECT_EQ(model.decoder.window, 32);
    expect_read("\"sliding_window\": 24", "\"sliding_window\": 33.0", &model);
    ES_EXPECT_EQ(model.decoder.window, 33);
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": [24, 25]", "different windows");
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": []", "1..1048576");
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": null", "sliding_window is null");
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": \"24x\"", "is \"24x\"");
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": \"\"", "is \"\"");
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": 0", "is 0; give");
    expect_refused("\"sliding_window\": 24", "\"sliding_window\": 2.5", "is 2.5; give");
}

ES_TEST("whole numbers may be written as floats, floats as whole numbers") {
    struct es_model model;
    expect_read("\"dim\": 64", "\"dim\": 64.0", &model);
    ES_EXPECT_EQ(model.decoder.dim, 64);
    expect_read("\"rope_theta\": 1000000", "\"rope_theta\": 5e5", &model);
    ES_EXPECT_NEAR(model.decoder.rope_theta, 5e5, 0.0);
    expect_refused("\"dim\": 64", "\"dim\": 64.5", "dim is 64.5; give a whole number 2..65536");
}

ES_TEST("what transformers assumes for an encoder without the key is assumed here") {
    struct es_model model;
    expect_read("\"sliding_window\": 20", "\"x\": 20", &model);
    ES_EXPECT_EQ(model.encoder.window, 750);
    expect_read("\"n_kv_heads\": 3, ", "", &model);
    ES_EXPECT_EQ(model.encoder.kv_head_count, 6);
}

ES_TEST(
    "a missing or impossible value is named with its path, what was found and what is allowed") {
    const char *encoder = "params.json: multimodal.whisper_model_args.encoder_args.";
    char said[160];
    snprintf(said, sizeof said, "%sdim is missing; give a whole number 2..65536", encoder);
    expect_refused("\"dim\": 48", "\"mid\": 48", said);
    snprintf(said, sizeof said, "%sdim is -3; give", encoder);
    expect_refused("\"dim\": 48", "\"dim\": -3", said);
    snprintf(said, sizeof said, "%sdim is \"48\"; give", encoder);
    expect_refused("\"dim\": 48", "\"dim\": \"48\"", said);
    expect_refused("\"n_layers\": 3", "\"n_layers\": 257",
                   "n_layers is 257; give a whole number 1..256");
    expect_refused("\"multimodal\"", "\"multimedia\"", "encoder_args.dim is missing");
    expect_refused("\"norm_eps\": 9.99999975e-06", "\"norm_eps\": 0", "norm_eps is 0; give");
    expect_refused("\"vocab_size\": 1300", "\"vocab_size\": 33", "vocab_size is 33; give");
    expect_refused("\"head_dim\": 16", "\"head_dim\": 15", "head_dim is 15; rotary");
    expect_refused("\"n_kv_heads\": 2", "\"n_kv_heads\": 3",
                   "n_kv_heads is 3; it must divide n_heads, which is 4");
    expect_refused("\"dim\": 64", "\"dim\": 9223372036854775807", "dim is 9223372036854775807");
    expect_refused("\"dim\": 64", "\"dim\": 9223372036854775808", "line 1, column");
}

ES_TEST("what this engine does not compute is refused by name") {
    expect_refused("\"use_biases\": false", "\"use_biases\": true",
                   "use_biases is true; only false");
    expect_refused("\"tied_embeddings\": true", "\"tied_embeddings\": false",
                   "tied_embeddings is false");
    expect_refused("\"causal\": true", "\"causal\": false", "causal is false; only true");
    expect_refused("\"ada_rms_norm_t_cond\": true", "\"ada_rms_norm_t_cond\": false",
                   "Voxtral Realtime");
    expect_refused("\"ada_rms_norm_t_cond\": true,", "", "ada_rms_norm_t_cond is missing");
    expect_refused("\"rms_norm\"", "\"layer_norm\"",
                   "norm_type is \"layer_norm\"; only \"rms_norm\"");
    expect_refused("\"swiglu\"", "\"gelu\"", "ffn_type is \"gelu\"");
    expect_refused("\"rope\"", "\"sinusoidal\"", "pos_embed is \"sinusoidal\"");
    expect_refused("\"streaming\"", "\"instruct\"", "transcription_format is \"instruct\"");
    expect_refused("\"sampling_rate\": 16000", "\"sampling_rate\": 8000", "is 8000; only 16000");
    expect_refused("\"hop_length\": 160", "\"hop_length\": 161", "hop_length is 161; only 160");
    expect_refused("\"window_size\": 400", "\"window_size\": 512", "window_size is 512; only 400");
    expect_refused("\"frame_rate\": 12.5", "\"frame_rate\": 25",
                   "frame_rate is 25; downsample_factor 4 makes it 12.5");
    expect_refused("\"downsample_factor\": 4", "\"downsample_factor\": 2", "is 2; only 4");
}

ES_TEST("duplicate keys, deep nesting, bad text and wrong roots are refused with their place") {
    struct es_model model;
    static char deep[200000];
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    ES_EXPECT_EQ(parse(&model, deep, sizeof deep), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "maximum parsing depth");
    const char *twice = "{\"dim\": 1,\n \"dim\": 2}";
    ES_EXPECT_EQ(parse(&model, twice, strlen(twice)), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "params.json: line 2, column");
    ES_EXPECT_CONTAINS(error.text, "duplicate");
    const char *bad_text = "{\"dim\": \"\xff\xfe\"}";
    ES_EXPECT_EQ(parse(&model, bad_text, strlen(bad_text)), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "unable to decode byte 0xff");
    ES_EXPECT_EQ(parse(&model, "[1, 2]", 6), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "is not a JSON object");
    ES_EXPECT_EQ(parse(&model, "{} {}", 5), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "line 1, column");
    ES_EXPECT_EQ(parse(&model, "{\"dim\": 1e999}", 14), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "overflow");
}

ES_TEST("any text cut anywhere is refused, not read wrongly") {
    char directory[256];
    snprintf(directory, sizeof directory, "%s", es_test_model("cut"));
    size_t bytes = 0;
    char *text = es_test_read(directory, "params.json", &bytes);
    struct es_model model;
    uint32_t accepted = 0;
    for (size_t cut = 0; cut + 2 < bytes; cut++) {
        accepted += parse(&model, text, cut) == ES_OK;
    }
    free(text);
    ES_EXPECT_EQ(accepted, 0);
}

ES_TEST("a file that is missing, empty, too big, a directory or a pipe is named") {
    char directory[256];
    struct es_model model;
    snprintf(directory, sizeof directory, "%s", es_test_model("files"));
    es_test_write(directory, "params.json", "", 0);
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "/files/params.json: is empty");
    char *big = calloc(1, ES_PARAMS_JSON_BYTES_MAX + 1);
    es_test_write(directory, "params.json", big, ES_PARAMS_JSON_BYTES_MAX + 1);
    free(big);
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "has 1048577 bytes, more than the 1048576");
    ES_EXPECT(unlink(es_test_path(directory, "params.json")) == 0);
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "No such file");
    ES_EXPECT(mkdir(es_test_path(directory, "params.json"), 0755) == 0);
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "not a regular file");
    ES_EXPECT(rmdir(es_test_path(directory, "params.json")) == 0);
    ES_EXPECT(mkfifo(es_test_path(directory, "params.json"), 0644) == 0);
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "not a regular file");
    ES_EXPECT(unlink(es_test_path(directory, "params.json")) == 0);
    es_test_write(directory, "params.json", "{}", 2);
    ES_EXPECT(chmod(es_test_path(directory, "params.json"), 0) == 0);
    if (geteuid() == 0) {
        es_test_note("root reads what it may not: the missing permission is not tried");
        return;
    }
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "Permission denied; make it readable");
}
