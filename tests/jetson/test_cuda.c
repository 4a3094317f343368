#include "platform/jetson/cuda.h"
#include "tests/support/fake_cuda.h"
#include "tests/support/test.h"

#include <string.h>

static struct es_cuda cuda;
static struct es_error error;

static void expect_refused(const struct fake_cuda_device *device, const char *said) {
    const struct es_cuda_calls *calls = fake_cuda_start(device);
    ES_EXPECT_EQ(es_cuda_open(&cuda, calls, &error), ES_ERR_HARDWARE);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, said);
    ES_EXPECT_CONTAINS(error.text, "--backend cpu");
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("what is missing for CUDA is said with its remedy") {
    struct fake_cuda_device device = fake_cuda_discrete;
    device.driver_version = 0;
    expect_refused(&device, "no NVIDIA driver here");
    device.driver_version = 12040;
    expect_refused(&device, "knows CUDA up to 12.4 and this program needs 13.0");
    device = fake_cuda_discrete;
    device.device_count = 0;
    expect_refused(&device, "has no GPU");
    device = fake_cuda_discrete;
    device.name = "Xavier";
    device.compute_capability = 72;
    expect_refused(&device, "Xavier has compute capability 7.2 and no BF16; 8.0");
}

ES_TEST("an open device knows what it is, and waits without spinning") {
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(&fake_cuda_integrated), &error), ES_OK);
    ES_EXPECT_TEXT(cuda.name, "Fake Orin");
    ES_EXPECT_EQ(cuda.compute_capability, 87);
    ES_EXPECT_EQ(cuda.sm_count, 8);
    ES_EXPECT(cuda.is_integrated);
    ES_EXPECT(!cuda.has_concurrent_access);
    ES_EXPECT(!cuda.has_dependent_launch);
    ES_EXPECT_EQ(fake_cuda_device_flags(), cudaDeviceScheduleBlockingSync);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(NULL), &error), ES_OK);
    ES_EXPECT(!cuda.is_integrated);
    ES_EXPECT(cuda.has_dependent_launch);
    es_cuda_close(&cuda);
    es_cuda_close(&cuda); /* twice is no mistake */
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("a part of the GPU has at least the multiprocessors that were asked for") {
    ES_EXPECT_EQ(es_cuda_open_partly(&cuda, fake_cuda_start(NULL), 12, &error), ES_OK);
    ES_EXPECT_EQ(cuda.sm_count, 16);
    ES_EXPECT(cuda.stream != NULL);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    struct fake_cuda_device device = fake_cuda_discrete;
    device.has_green_contexts = false;
    ES_EXPECT_EQ(es_cuda_open_partly(&cuda, fake_cuda_start(&device), 12, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "12.5");
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

/* Everything that the device offers, once; what was opened is closed whatever failed. */
static enum es_status use_all(const struct es_cuda_calls *calls, uint32_t sm_count) {
    static const char kernel_function = 0;
    const struct es_cuda_kernel kernel = {&kernel_function, "kernel"};
    const struct es_cuda_grid grid = {.block_count = 3, .thread_count = 64, .is_dependent = true};
    struct es_cuda_graph graph = {0};
    struct es_cuda_event events[2] = {{0}};
    void *memory[3] = {0};
    const enum es_mem_kind kinds[3] = {ES_MEM_DEVICE, ES_MEM_SHARED, ES_MEM_UNIFIED};
    char text[100] = "";
    float elapsed_ms = 0.0f;
    size_t available_bytes = 0;
    enum es_status status = sm_count > 0 ? es_cuda_open_partly(&cuda, calls, sm_count, &error)
                                         : es_cuda_open(&cuda, calls, &error);
#define THEN(call) status = status == ES_OK ? (call) : status
    for (int i = 0; i < 3; i++) {
        THEN(es_cuda_memory_take(&cuda, kinds[i], 100, &memory[i], &error));
    }
    THEN(es_cuda_memory_available(&cuda, &available_bytes, &error));
    THEN(es_cuda_event_open(&cuda, &events[0], true, &error));
    THEN(es_cuda_event_open(&cuda, &events[1], true, &error));
    THEN(es_cuda_kernel_load(&cuda, &kernel, &error));
    THEN(es_cuda_kernel_allow(&cuda, &kernel, 100000, &error));
    THEN(es_cuda_fill(&cuda, memory[0], 7, 100, &error));
    THEN(es_cuda_event_record(&cuda, &events[0], &error));
    THEN(es_cuda_graph_begin(&cuda, &error));
    if (status == ES_OK) {
        status = es_cuda_launch(&cuda, &kernel, &grid, NULL, &error);
        THEN(es_cuda_copy(&cuda, memory[1], memory[0], 100, ES_CUDA_WITHIN_DEVICE, &error));
        if (status == ES_OK) {
            status = es_cuda_graph_end(&cuda, &graph, "frame", &error);
        } else {
            es_cuda_graph_abandon(&cuda);
        }
    }
    THEN(es_cuda_graph_launch(&cuda, &graph, &error));
    THEN(es_cuda_event_record(&cuda, &events[1], &error));
    THEN(es_cuda_event_wait(&cuda, &events[1], &error));
    THEN(es_cuda_event_elapsed_ms(&cuda, &events[0], &events[1], &elapsed_ms, &error));
    THEN(es_cuda_copy(&cuda, text, memory[1], 100, ES_CUDA_TO_HOST, &error));
    THEN(es_cuda_wait(&cuda, &error));
#undef THEN
    if (status == ES_OK) {
        ES_EXPECT_EQ(graph.node_count, 2);
        for (int i = 0; i < 100; i++) {
            ES_EXPECT_EQ(text[i], 7);
        }
    }
    es_cuda_event_close(&cuda, &events[0]);
    es_cuda_event_close(&cuda, &events[1]);
    es_cuda_graph_close(&cuda, &graph);
    for (int i = 0; i < 3; i++) {
        es_cuda_memory_give_back(&cuda, kinds[i], memory[i]);
    }
    es_cuda_close(&cuda);
    return status;
}

/* Calls that give back may fail in silence: nobody could do anything about it. */
static bool is_giving_back(const char *call) {
    return strstr(call, "destroy") != NULL || strstr(call, "free") != NULL ||
           strstr(call, "Destroy") != NULL;
}

static uint32_t fail_each_call(const struct fake_cuda_device *device, uint32_t sm_count,
                               cudaError_t result) {
    uint32_t index = 1;
    for (;; index++) {
        const struct es_cuda_calls *calls = fake_cuda_start(device);
        fake_cuda_fail(index, result);
        enum es_status status = use_all(calls, sm_count);
        const char *call = fake_cuda_failed_call();
        if (call[0] == '\0') {
            ES_EXPECT_EQ(status, ES_OK); /* all calls were tried */
            break;
        }
        ES_EXPECT_EQ(fake_cuda_calls_when_lost(), 0);
        if (is_giving_back(call) || strcmp(call, "set_device") == 0) {
            continue;
        }
        if (status != ES_ERR_HARDWARE || strncmp(error.text, "CUDA: ", 6) != 0) {
            es_test_fail(__FILE__, __LINE__, "call %u, %s: status %d, %s", index, call, status,
                         error.text);
        }
        if (result == cudaErrorInvalidValue) {
            ES_EXPECT_EQ(fake_cuda_open_count(), 0);
        }
    }
    return index;
}

ES_TEST("whichever call fails, it is a status, and nothing leaks") {
    es_test_note("%u calls, discrete", fail_each_call(NULL, 0, cudaErrorInvalidValue) - 1);
    es_test_note("%u calls, integrated",
                 fail_each_call(&fake_cuda_integrated, 0, cudaErrorInvalidValue) - 1);
    es_test_note("%u calls, a part", fail_each_call(NULL, 8, cudaErrorInvalidValue) - 1);
}

ES_TEST("after an error that CUDA keeps, no call is made any more") {
    fail_each_call(NULL, 0, cudaErrorIllegalAddress);
    fail_each_call(&fake_cuda_integrated, 0, cudaErrorECCUncorrectable);
    fail_each_call(NULL, 8, cudaErrorUnknown);
}

ES_TEST("an error names the operation, its size, CUDA's words and what to do") {
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(NULL), &error), ES_OK);
    void *memory = NULL;
    ES_EXPECT_EQ(es_cuda_memory_take(&cuda, ES_MEM_DEVICE, 4096, &memory, &error), ES_OK);
    fake_cuda_fail(1, cudaErrorIllegalAddress);
    ES_EXPECT_EQ(es_cuda_fill(&cuda, memory, 0, 4096, &error), ES_ERR_HARDWARE);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, "filling 4096 bytes: an illegal memory access was encountered "
                                   "(cudaErrorIllegalAddress); ");
    ES_EXPECT_CONTAINS(error.text, "start it anew");
    ES_EXPECT(cuda.is_lost);
    ES_EXPECT_EQ(es_cuda_wait(&cuda, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "waiting for the GPU: not tried");
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_calls_when_lost(), 0);
}

ES_TEST("a kernel that wants more shared memory than there is is refused with both numbers") {
    static const char function = 0;
    const struct es_cuda_kernel kernel = {&function, "attention"};
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(&fake_cuda_integrated), &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_kernel_allow(&cuda, &kernel, 200000, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "attention wants 200000 bytes");
    ES_EXPECT_CONTAINS(error.text, "166912");
    es_cuda_close(&cuda);
}

ES_TEST("managed memory belongs to the stream where CPU and GPU cannot both touch it") {
    void *memory = NULL;
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(&fake_cuda_integrated), &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_memory_take(&cuda, ES_MEM_UNIFIED, 100, &memory, &error), ES_OK);
    ES_EXPECT(fake_cuda_is_attached(memory));
    es_cuda_memory_give_back(&cuda, ES_MEM_UNIFIED, memory);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(NULL), &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_memory_take(&cuda, ES_MEM_UNIFIED, 100, &memory, &error), ES_OK);
    ES_EXPECT(!fake_cuda_is_attached(memory));
    es_cuda_memory_give_back(&cuda, ES_MEM_UNIFIED, memory);
    es_cuda_close(&cuda);
    struct fake_cuda_device device = fake_cuda_discrete;
    device.has_managed_memory = false;
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(&device), &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_memory_take(&cuda, ES_MEM_UNIFIED, 100, &memory, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "has no managed memory");
    es_cuda_close(&cuda);
}
