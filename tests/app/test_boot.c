#include "app/boot.h"

#include "board/board.h"
#include "tests/support/test.h"

#define BRINGUP ES_SOURCE_DIR "/models/bringup"
#define REAL ES_SOURCE_DIR "/models/voxtral-mini-4b-realtime"

static struct es_boot boot;
static struct es_error error;

static enum es_status plan(const char *directory, uint32_t thread_count) {
    struct es_boot_options options = {.model_directory = directory,
                                      .backend = ES_BACKEND_CPU,
                                      .thread_count = thread_count,
                                      .encode_positions_max = ES_ENCODE_POSITIONS_MAX};
    return es_boot_plan(&boot, &options, &error);
}

static size_t host_bytes(void) {
    return es_plan_total_bytes(&boot.plan, ES_MEM_HOST);
}

static size_t region_sum(void) {
    size_t sum = 0;
    for (uint32_t i = 0; i < boot.plan.region_count; i++) {
        sum += (boot.plan.regions[i].bytes + ES_REGION_ALIGN_BYTES - 1u) / ES_REGION_ALIGN_BYTES *
               ES_REGION_ALIGN_BYTES;
    }
    return (sum + ES_PAGE_BYTES - 1u) / ES_PAGE_BYTES * ES_PAGE_BYTES;
}

ES_TEST("what is planned for the bring-up model is what is reserved, to the byte") {
    ES_EXPECT_EQ(plan(BRINGUP, 2), ES_OK);
    size_t planned = host_bytes();
    ES_EXPECT_EQ(region_sum(), planned);
    ES_EXPECT(!boot.is_dtype_assumed);
    ES_EXPECT_EQ(es_boot_start(&boot, &error), ES_OK);
    ES_EXPECT_EQ(host_bytes(), planned); /* starting adds no region */
    ES_EXPECT_EQ(boot.arena.reserved_bytes[ES_MEM_HOST], planned);
    ES_EXPECT(es_is_frozen());
    es_test_note("%zu bytes in %u regions", planned, boot.plan.region_count);
    es_boot_stop(&boot);
}

ES_TEST("the 4B model is planned from params.json alone, and its plan is the sum of its regions") {
    ES_EXPECT_EQ(plan(REAL, 6), ES_OK);
    ES_EXPECT(boot.is_dtype_assumed);
    ES_EXPECT_EQ(boot.dtype, ES_DTYPE_BF16);
    ES_EXPECT_EQ(region_sum(), host_bytes());
    /* 8.86 GB of weights in the published file; rings and buffers come on top. */
    uint64_t weights = 0;
    for (uint32_t i = 0; i < boot.plan.region_count; i++) {
        weights += i == boot.weights_layout.encoder_region ||
                           i == boot.weights_layout.decoder_region ||
                           i == boot.weights_layout.embedding_region
                       ? boot.plan.regions[i].bytes
                       : 0;
    }
    ES_EXPECT(weights > 8850000000u && weights < 8870000000u);
    const struct es_board *nano = es_board_find("orin-nano-8gb");
    const struct es_board *nx = es_board_find("orin-nx-16gb");
    ES_EXPECT(nano != NULL && nx != NULL);
    ES_EXPECT(host_bytes() + ES_PROCESS_ALLOWANCE_BYTES > nano->usable_bytes);
    ES_EXPECT(host_bytes() + ES_PROCESS_ALLOWANCE_BYTES < nx->usable_bytes);
    es_boot_stop(&boot);
}

ES_TEST("boards are found by name, and others are not") {
    ES_EXPECT(es_board_find("thor-128gb")->is_estimate);
    ES_EXPECT(!es_board_find("orin-nano-8gb")->is_estimate);
    ES_EXPECT(es_board_find("orin-nano-8gb")->usable_bytes < (7ull << 30));
    ES_EXPECT(es_board_find("agx-orin-64gb") != NULL);
    ES_EXPECT(es_board_find("raspberry-pi") == NULL);
}

ES_TEST("a directory that is no model is refused, and can be followed by one that is") {
    ES_EXPECT_EQ(plan("/nowhere", 1), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "/nowhere");
    es_boot_stop(&boot);
    ES_EXPECT_EQ(plan(REAL, 1), ES_OK);
    ES_EXPECT_EQ(es_boot_start(&boot, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "consolidated.safetensors");
    ES_EXPECT_EQ(boot.arena.reserved_bytes[ES_MEM_HOST], 0); /* named before 10 GB are reserved */
    es_boot_stop(&boot);
}
