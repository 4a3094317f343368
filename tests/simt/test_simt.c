/* The simulated GPU finds what is wrong with a kernel. What right ones do is in test_ptx_cuda.c. */
#include "tests/simt/simt.h"
#include "tests/simt/wrong_kernels.h"
#include "tests/support/test.h"

#include <math.h>

static struct es_cuda cuda;
static float *numbers; /* device [64]; the host sees them, too */

static void open_gpu(const struct simt_setup *setup) {
    struct es_error error;
    void *memory = NULL;
    ES_EXPECT_EQ(es_cuda_open(&cuda, simt_start(setup), &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_memory_take(&cuda, ES_MEM_DEVICE, 64u * sizeof *numbers, &memory, &error),
                 ES_OK);
    numbers = memory;
    for (uint32_t i = 0; i < 64; i++) {
        numbers[i] = (float)i;
    }
}

static void close_gpu(void) {
    es_cuda_memory_give_back(&cuda, ES_MEM_DEVICE, numbers);
    es_cuda_close(&cuda);
}

static enum es_status launch(enum wrong_kernel_id id, bool is_dependent, struct es_error *error) {
    const struct es_cuda_grid grid = {
        .block_count = 1, .thread_count = 64, .is_dependent = is_dependent};
    void *args[] = {&numbers};
    return es_cuda_launch(&cuda, wrong_kernel(id), &grid, args, error);
}

/* It fails where it is waited for, in these words, and the device is lost. */
static void expect_found(enum wrong_kernel_id id, bool is_dependent, const char *kernel,
                         const char *words) {
    struct es_error error;
    open_gpu(NULL);
    ES_EXPECT_EQ(launch(id, is_dependent, &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_wait(&cuda, &error), ES_ERR_HARDWARE);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, kernel);
    ES_EXPECT_CONTAINS(error.text, words);
    ES_EXPECT(cuda.is_lost);
    close_gpu();
}

ES_TEST("threads that wait for each other at two barriers are told, with barrier and place") {
    expect_found(WRONG_BARRIER, false, "kernel wrong_barrier, block (0, 0): nobody can go on",
                 "threads from 32 on: 32 wait at bar.sync 2 (wrong_kernels.cu:10)");
}

ES_TEST("a thread that ended before a barrier is told") {
    expect_found(WRONG_RETURN, false, "kernel wrong_return", "threads from 5 on: 1 ended");
}

ES_TEST("lanes that meet in different instructions are told") {
    expect_found(WRONG_SHUFFLE, false, "kernel wrong_shuffle, block (0, 0), thread",
                 "wait in __shfl_xor_sync");
}

ES_TEST("an address beyond a variable of shared memory is told") {
    expect_found(WRONG_ADDRESS, false, "kernel wrong_address", "lie in no variable");
}

ES_TEST("asynchronous copies that nobody waits for are told") {
    expect_found(WRONG_COPY, false, "kernel wrong_copy", "1 of its asynchronous copies");
}

ES_TEST("polling for ever is told") {
    expect_found(WRONG_POLL, false, "kernel wrong_poll", "polls for ever");
}

ES_TEST("a kernel that is launched as dependent and does not wait is told") {
    expect_found(WRONG_INDEPENDENT, true, "kernel wrong_independent", "es_grid_wait");
}

static void run(enum wrong_kernel_id id, bool is_backward) {
    struct es_error error;
    open_gpu(&(struct simt_setup){.is_backward = is_backward});
    ES_EXPECT_EQ(launch(id, false, &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_wait(&cuda, &error), ES_OK);
}

ES_TEST("a barrier that lacks shows in one order of the warps or the other") {
    run(WRONG_NEIGHBOUR, false);
    ES_EXPECT(isnan(numbers[0]) && numbers[63] == 31.0f);
    close_gpu();
    run(WRONG_NEIGHBOUR, true);
    ES_EXPECT(numbers[0] == 32.0f && isnan(numbers[63]));
    close_gpu();
}

ES_TEST("shared memory that nobody wrote is no number, and a copy on its way is not there") {
    run(WRONG_UNSET, false);
    ES_EXPECT(isnan(numbers[0]) && isnan(numbers[63]));
    close_gpu();
    run(WRONG_UNWAITED, false);
    ES_EXPECT(isnan(numbers[0]) && isnan(numbers[63]));
    close_gpu();
}

/* On a chip without dependent launch the mistake does not show. */
ES_TEST("a dependent kernel that reads too early reads what was there before") {
    static const uint32_t capabilities[] = {90, 87};
    for (uint32_t i = 0; i < 2; i++) {
        struct es_error error;
        open_gpu(&(struct simt_setup){.compute_capability = capabilities[i]});
        ES_EXPECT_EQ(launch(FIRST_OF_TWO, false, &error), ES_OK);
        ES_EXPECT_EQ(launch(WRONG_EARLY, true, &error), ES_OK);
        ES_EXPECT_EQ(es_cuda_wait(&cuda, &error), ES_OK);
        ES_EXPECT_NEAR(numbers[7], i == 0 ? 14.0 : 16.0, 0.0);
        close_gpu();
    }
}

ES_TEST("a replayed graph runs its kernels again, each with its own parameters") {
    struct es_error error;
    struct es_cuda_graph graph;
    open_gpu(NULL);
    ES_EXPECT_EQ(es_cuda_graph_begin(&cuda, &error), ES_OK);
    ES_EXPECT_EQ(launch(FIRST_OF_TWO, false, &error), ES_OK);
    ES_EXPECT_EQ(launch(FIRST_OF_TWO, true, &error), ES_OK);
    ES_EXPECT_EQ(es_cuda_graph_end(&cuda, &graph, "twice", &error), ES_OK);
    ES_EXPECT_NEAR(numbers[7], 7.0, 0.0);
    for (uint32_t i = 0; i < 3; i++) {
        ES_EXPECT_EQ(es_cuda_graph_launch(&cuda, &graph, &error), ES_OK);
    }
    ES_EXPECT_EQ(es_cuda_wait(&cuda, &error), ES_OK);
    ES_EXPECT_NEAR(numbers[7], 13.0, 0.0);
    es_cuda_graph_close(&cuda, &graph);
    close_gpu();
}
