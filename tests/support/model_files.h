/* model_files.h - model directories for tests: written small, then spoiled.
 *
 *   const char *directory = es_test_model("name");                     a good one, bf16
 *   es_test_replace(directory, "params.json", "\"dim\": 64", "\"dim\": -3");
 *   es_test_replace_header(directory, "\"BF16\"", "\"I16\"");
 *   es_test_write(directory, "tekken.json", "", 0);
 *
 * Any failure ends the test. The directories lie in es_test_directory. */
#pragma once

#include "engine/model.h"
#include "engine/weights.h"

#include <stddef.h>
#include <stdint.h>

/* A model with dimensions unlike each other, all small: a few 100 KB. */
extern const struct es_model es_test_model_small;

/* Writes es_test_model_small under `name` into a fresh directory. Static storage until the next
 * call. */
const char *es_test_model(const char *name);

/* The same with other dimensions or type. */
const char *es_test_model_of(const char *name, const struct es_model *model, enum es_dtype dtype,
                             uint64_t seed);

/* Path of a file in a directory; static storage until the next call. */
const char *es_test_path(const char *directory, const char *file);

/* The whole file; the caller frees. */
char *es_test_read(const char *directory, const char *file, size_t *bytes);
void es_test_write(const char *directory, const char *file, const void *data, size_t bytes);

/* Replaces the first `old` in a text file by `replacement`; it must be there. */
void es_test_replace(const char *directory, const char *file, const char *old,
                     const char *replacement);

/* The same in the header of consolidated.safetensors, whose length is set anew. */
void es_test_replace_header(const char *directory, const char *old, const char *replacement);
