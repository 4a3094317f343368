#include "tests/golden/golden.h"

#include "tests/support/test.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stage_names[ES_GOLDEN_STAGE_COUNT] = {
    [ES_STAGE_CONV0] = "conv0",
    [ES_STAGE_CONV1] = "conv1",
    [ES_STAGE_ENCODER_LAYER] = "encoder_layer",
    [ES_STAGE_ENCODER] = "encoder",
    [ES_STAGE_ADAPTER] = "adapter",
    [ES_STAGE_DECODER_INPUT] = "decoder_input",
    [ES_STAGE_DECODER_LAYER] = "decoder_layer",
    [ES_STAGE_DECODER] = "decoder",
    [ES_STAGE_LOGITS] = "logits",
    [ES_GOLDEN_STAGE_MEL] = "mel",
};

const char *es_golden_stage_name(uint32_t stage) {
    ES_EXPECT(stage < ES_GOLDEN_STAGE_COUNT);
    return stage_names[stage];
}

static uint32_t stage_of(const char *name) {
    for (uint32_t stage = 0; stage < ES_GOLDEN_STAGE_COUNT; stage++) {
        if (strcmp(stage_names[stage], name) == 0) {
            return stage;
        }
    }
    es_test_fail(__FILE__, __LINE__, "unknown stage %s", name);
}

static void read_data(struct es_golden *golden, const char *path) {
    FILE *file = fopen(path, "rb");
    ES_EXPECT(file != NULL); /* tools/golden/make.py writes it */
    ES_EXPECT_EQ(fseek(file, 0, SEEK_END), 0);
    golden->data_bytes = (size_t)ftell(file);
    rewind(file);
    golden->data = malloc(golden->data_bytes);
    ES_EXPECT(golden->data != NULL);
    ES_EXPECT_EQ(fread(golden->data, 1, golden->data_bytes, file), golden->data_bytes);
    fclose(file);
}

/* count elements of four bytes at the offset. */
static const void *data_at(const struct es_golden *golden, size_t offset, size_t count) {
    ES_EXPECT(offset % 4 == 0 && offset <= golden->data_bytes);
    ES_EXPECT(count <= (golden->data_bytes - offset) / 4);
    return golden->data + offset;
}

static void add_block(struct es_golden *golden, const char *line) {
    ES_EXPECT(golden->block_count < ES_GOLDEN_BLOCK_COUNT_MAX);
    struct es_golden_block *block = &golden->blocks[golden->block_count];
    char stage[ES_GOLDEN_NAME_BYTES];
    size_t offset;
    ES_EXPECT_EQ(sscanf(line, "rows %47s %47s %" SCNu32 " %" SCNu64 " %" SCNu32 " %" SCNu32 " %zu",
                        block->variant, stage, &block->layer, &block->first_row, &block->row_count,
                        &block->dim, &offset),
                 7);
    block->stage = stage_of(stage);
    size_t count = (size_t)block->row_count * block->dim;
    ES_EXPECT(count > 0);
    block->rows = data_at(golden, offset, count);
    block->engine_rows = malloc(count * sizeof *block->engine_rows);
    ES_EXPECT(block->engine_rows != NULL);
    golden->block_count++;
}

static void read_line(struct es_golden *golden, const char *line) {
    char key[ES_GOLDEN_NAME_BYTES];
    char text[ES_GOLDEN_NAME_BYTES];
    ES_EXPECT_EQ(sscanf(line, "%47s %47s", key, text), 2);
    unsigned long number = strtoul(text, NULL, 10);
    if (strcmp(key, "rows") == 0) {
        add_block(golden, line);
    } else if (strcmp(key, "model") == 0) {
        memcpy(golden->model, text, sizeof text);
    } else if (strcmp(key, "audio") == 0) {
        memcpy(golden->audio, text, sizeof text);
    } else if (strcmp(key, "sample_count") == 0) {
        golden->sample_count = (uint32_t)number;
    } else if (strcmp(key, "delay_positions") == 0) {
        golden->delay_positions = (uint32_t)number;
    } else if (strcmp(key, "position_count") == 0) {
        golden->position_count = (uint32_t)number;
    } else if (strcmp(key, "id_count") == 0) {
        golden->id_count = (uint32_t)number;
    } else if (strcmp(key, "ids") == 0) {
        golden->ids = data_at(golden, number, golden->id_count);
    } else if (strcmp(key, "margins") == 0) {
        golden->margins = data_at(golden, number, golden->id_count);
    } else {
        es_test_fail(__FILE__, __LINE__, "unknown line: %s", line);
    }
}

struct es_golden *es_golden_open(const char *name) {
    struct es_golden *golden = calloc(1, sizeof *golden);
    ES_EXPECT(golden != NULL);
    char path[512];
    snprintf(path, sizeof path, "%s/golden/cases/%s.bin", ES_TEST_DATA, name);
    read_data(golden, path);
    snprintf(path, sizeof path, "%s/golden/cases/%s.txt", ES_TEST_DATA, name);
    FILE *file = fopen(path, "r");
    ES_EXPECT(file != NULL);
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        read_line(golden, line);
    }
    fclose(file);
    ES_EXPECT(golden->id_count > 0 && golden->ids != NULL && golden->margins != NULL);
    ES_EXPECT(golden->block_count > 0);
    return golden;
}

void es_golden_close(struct es_golden *golden) {
    for (uint32_t i = 0; i < golden->block_count; i++) {
        free(golden->blocks[i].engine_rows);
    }
    free(golden->data);
    free(golden);
}

void es_golden_reset(struct es_golden *golden) {
    for (uint32_t i = 0; i < golden->block_count; i++) {
        golden->blocks[i].came_count = 0;
    }
}

void es_golden_take(struct es_golden *golden, uint32_t stage, uint32_t layer, uint64_t first_row,
                    const float *rows, uint32_t row_count, uint32_t dim) {
    for (uint32_t i = 0; i < golden->block_count; i++) {
        struct es_golden_block *block = &golden->blocks[i];
        if (block->stage != stage || block->layer != layer) {
            continue;
        }
        ES_EXPECT_EQ(dim, block->dim);
        for (uint32_t r = 0; r < row_count; r++) {
            uint64_t row = first_row + r;
            if (row >= block->first_row && row - block->first_row < block->row_count) {
                memcpy(block->engine_rows + (row - block->first_row) * dim, rows + (size_t)r * dim,
                       dim * sizeof *rows);
                block->came_count++;
            }
        }
    }
}

struct sums {
    double difference; /* squared */
    double engine;
    double golden;
    double product;
};

static void add_row(const struct es_golden_block *block, uint32_t row, struct sums *total,
                    struct es_golden_error *error) {
    struct sums own = {0};
    for (uint32_t i = 0; i < block->dim; i++) {
        double g = (double)block->rows[(size_t)row * block->dim + i];
        double e = (double)block->engine_rows[(size_t)row * block->dim + i];
        own.difference += (e - g) * (e - g);
        own.engine += e * e;
        own.golden += g * g;
        own.product += e * g;
        error->max_abs = fmax(error->max_abs, fabs(e - g));
    }
    double l2 = sqrt(own.difference / own.golden);
    if (error->row_count == 0 || l2 > error->worst_row_l2) {
        error->worst_row = block->first_row + row;
        error->worst_row_l2 = l2;
    }
    error->row_count++;
    total->difference += own.difference;
    total->engine += own.engine;
    total->golden += own.golden;
    total->product += own.product;
}

bool es_golden_compare(const struct es_golden *golden, const char *variant, uint32_t stage,
                       uint32_t layer, struct es_golden_error *error) {
    struct sums total = {0};
    memset(error, 0, sizeof *error);
    for (uint32_t i = 0; i < golden->block_count; i++) {
        const struct es_golden_block *block = &golden->blocks[i];
        if (block->stage != stage || block->layer != layer ||
            strcmp(block->variant, variant) != 0) {
            continue;
        }
        ES_EXPECT_EQ(block->came_count, block->row_count);
        for (uint32_t row = 0; row < block->row_count; row++) {
            add_row(block, row, &total, error);
        }
    }
    error->relative_l2 = sqrt(total.difference / total.golden);
    error->cosine = total.product / sqrt(total.engine * total.golden);
    return error->row_count > 0;
}
