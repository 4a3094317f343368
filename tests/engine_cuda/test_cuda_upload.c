#include "engine/cuda/upload.h"
#include "tests/support/fake_cuda.h"
#include "tests/support/model_files.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#define REGION_BYTES 49152u /* the small model lies in dozens of regions and four blocks */

static struct es_cuda cuda;
static struct es_plan plan;
static struct es_weights_layout layout;
static struct es_weights weights;
static struct es_error error;

static const char *small_model(void) {
    static char directory[256];
    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "%s", es_test_model("small"));
        es_plan_init(&plan);
        if (es_weights_layout_device(&es_test_model_small, ES_DTYPE_BF16, REGION_BYTES, &plan,
                                     &layout, &error) != ES_OK) {
            es_test_fail(__FILE__, __LINE__, "%s", error.text);
        }
        es_plan_add(&plan, ES_MEM_UNIFIED, "kv ring", 100000);
    }
    return directory;
}

/* Boot in small: device, memory, weights, a graph that reads them; and the end of it all. `look`
 * sees what is there at the end. */
static enum es_status boot(const struct es_cuda_calls *calls, const char *directory,
                           void (*look)(const struct es_arena *arena)) {
    static const char kernel_function = 0;
    static struct es_arena arena;
    const struct es_cuda_kernel kernel = {&kernel_function, "kernel"};
    const struct es_cuda_grid grid = {.block_count = 8, .thread_count = 64};
    struct es_memory_provider provider;
    struct es_cuda_upload upload = {0};
    struct es_weights_sink sink;
    struct es_cuda_graph graph = {0};
    enum es_status status = es_cuda_open(&cuda, calls, &error);
    if (status != ES_OK) {
        es_cuda_close(&cuda);
        return status;
    }
    es_cuda_provider(&cuda, &provider);
    status = es_arena_reserve_with(&arena, &plan, &provider, &error);
    if (status == ES_OK) {
        status = es_cuda_upload_open(&upload, &cuda, &sink, &error);
    }
    if (status == ES_OK) {
        status = es_weights_load_device(&weights, &es_test_model_small, &layout, &arena, &sink,
                                        directory, &error);
        es_cuda_upload_close(&upload);
    }
    if (status == ES_OK) {
        status = es_cuda_graph_begin(&cuda, &error);
    }
    if (status == ES_OK) {
        status = es_cuda_launch(&cuda, &kernel, &grid, NULL, &error);
        if (status == ES_OK) {
            status = es_cuda_graph_end(&cuda, &graph, "step", &error);
        } else {
            es_cuda_graph_abandon(&cuda);
        }
    }
    if (status == ES_OK) {
        status = es_cuda_graph_launch(&cuda, &graph, &error);
    }
    if (status == ES_OK) {
        status = es_cuda_wait(&cuda, &error);
    }
    if (status == ES_OK && look != NULL) {
        look(&arena);
    }
    es_cuda_graph_close(&cuda, &graph);
    es_arena_release(&arena);
    es_cuda_close(&cuda);
    return status;
}

static void look_at_weights(const struct es_arena *arena) {
    ES_EXPECT_EQ(fake_cuda_kind_of(weights.decoder[2].w2.data), ES_MEM_DEVICE);
    ES_EXPECT_EQ(fake_cuda_kind_of(weights.decoder_norm), ES_MEM_DEVICE);
    ES_EXPECT_EQ(weights.encoder[0].wq.stride, 64); /* 48 wide */
    ES_EXPECT_EQ(weights.embedding_blocks.block_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ES_EXPECT_EQ(fake_cuda_kind_of(weights.embedding_blocks.blocks[i]), ES_MEM_DEVICE);
    }
    const uint16_t *row = weights.encoder[0].wq.data; /* the fake's memory is the host's */
    bool is_zero = true;
    for (uint32_t i = 0; i < 48; i++) {
        is_zero = is_zero && row[i] == 0;
    }
    ES_EXPECT(!is_zero);
    for (uint32_t i = 48; i < 64; i++) {
        ES_EXPECT_EQ(row[i], 0);
    }
    ES_EXPECT_EQ(fake_cuda_asked_bytes(ES_MEM_DEVICE), es_plan_total_bytes(&plan, ES_MEM_DEVICE));
    ES_EXPECT_EQ(fake_cuda_asked_bytes(ES_MEM_SHARED), es_plan_total_bytes(&plan, ES_MEM_SHARED));
    ES_EXPECT_EQ(fake_cuda_asked_bytes(ES_MEM_UNIFIED), es_plan_total_bytes(&plan, ES_MEM_UNIFIED));
    (void)arena;
}

ES_TEST("weights lie in device memory, padded, and what was asked for is the plan") {
    const char *directory = small_model();
    ES_EXPECT_EQ(boot(fake_cuda_start(NULL), directory, look_at_weights), ES_OK);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    ES_EXPECT_EQ(boot(fake_cuda_start(&fake_cuda_integrated), directory, look_at_weights), ES_OK);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

static bool is_giving_back(const char *call) {
    return strstr(call, "destroy") != NULL || strstr(call, "free") != NULL;
}

static uint32_t fail_each_call(const struct fake_cuda_device *device, cudaError_t result) {
    const char *directory = small_model();
    uint32_t index = 1;
    for (;; index++) {
        const struct es_cuda_calls *calls = fake_cuda_start(device);
        fake_cuda_fail(index, result);
        enum es_status status = boot(calls, directory, NULL);
        const char *call = fake_cuda_failed_call();
        if (call[0] == '\0') {
            ES_EXPECT_EQ(status, ES_OK); /* all calls were tried */
            break;
        }
        ES_EXPECT_EQ(fake_cuda_calls_when_lost(), 0);
        if (is_giving_back(call)) {
            continue;
        }
        if (status != ES_ERR_HARDWARE || strstr(error.text, "CUDA: ") == NULL) {
            es_test_fail(__FILE__, __LINE__, "call %u, %s: status %d, %s", index, call, status,
                         error.text);
        }
        if (result == cudaErrorInvalidValue) {
            ES_EXPECT_EQ(fake_cuda_open_count(), 0);
        }
    }
    (void)fake_cuda_start(NULL); /* frees what a dead device kept */
    return index - 1;
}

ES_TEST("whichever call of a boot fails, it is a status that names it, and nothing leaks") {
    es_test_note("%u calls, discrete", fail_each_call(NULL, cudaErrorInvalidValue));
    es_test_note("%u calls, integrated",
                 fail_each_call(&fake_cuda_integrated, cudaErrorInvalidValue));
}

ES_TEST("a device that dies at any call of a boot is not called again") {
    fail_each_call(NULL, cudaErrorIllegalAddress);
    fail_each_call(&fake_cuda_integrated, cudaErrorUnknown);
}

ES_TEST("out of memory at each chunk of a boot names the chunk") {
    const char *directory = small_model();
    for (uint32_t i = 1; i <= plan.chunk_count; i++) {
        const struct es_cuda_calls *calls = fake_cuda_start(NULL);
        fake_cuda_fail_allocation(i);
        ES_EXPECT_EQ(boot(calls, directory, NULL), ES_ERR_HARDWARE);
        char said[64];
        snprintf(said, sizeof said, "memory chunk %u of %u (", i, plan.chunk_count);
        ES_EXPECT_CONTAINS(error.text, said);
        ES_EXPECT_CONTAINS(error.text, "out of memory: asked for");
        ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    }
    (void)fake_cuda_start(NULL);
}
