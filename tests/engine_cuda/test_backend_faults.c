/* The GPU backend over a fake CUDA, whose kernels do nothing: every call fails in turn. */
#include "engine/cuda/backend_cuda.h"
#include "engine/cuda/ops.h"
#include "tests/support/cuda_rig.h"
#include "tests/support/fake_blas.h"
#include "tests/support/fake_cuda.h"
#include "tests/support/random_weights.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#define POSITION_COUNT 44u

static const struct es_model model = {
    .encoder = {32, 1, 8, 40, 2, 1, 9, 1e6, 1e-5f},
    .decoder = {32, 1, 16, 48, 2, 1, 20, 1e6, 1e-5f},
    .encoder_biases = true,
    .mel_bin_count = 16,
    .downsample = 1,
    .frames_per_position = 2,
    .log_mel_max = 1.5f,
    .ada_dim = 4,
    .vocab_size = 50,
};

static struct es_cuda cuda;
static struct es_rig rig;
static struct es_rig_device device;
static struct es_error error;
static float mel[POSITION_COUNT * 2u * 16u];

static struct es_rig_setup setup_of(uint32_t encode_positions_max) {
    const struct es_rig_setup setup = {.dtype = ES_DTYPE_BF16,
                                       .seed = 5,
                                       .thread_count = 1,
                                       .encode_positions_max = encode_positions_max,
                                       .has_no_tap = true,
                                       .device = &device};
    return setup;
}

/* Boot, two streams behind silence and one from nothing, the end: all that the product does. */
static enum es_status use_all(const struct es_cuda_calls *calls, enum es_mem_kind kv_kind) {
    error.text[0] = '\0';
    enum es_status status = es_cuda_open(&cuda, calls, &error);
    if (status != ES_OK) {
        return status;
    }
    es_cuda_rig_device(&device, &cuda, kv_kind);
    device.blas = fake_blas_start();
    const struct es_rig_setup setup = setup_of(9);
    status = es_rig_try_open(&rig, es_backend_cuda(), &model, &setup, &error);
    if (status == ES_OK) {
        struct es_rig_input input = {.mel = mel,
                                     .position_count = POSITION_COUNT,
                                     .delay_positions = 6,
                                     .begins_with_silence = true};
        status = es_rig_try_run(&rig, &input, 9, &error);
        input.has_prompt_steps = true;
        if (status == ES_OK) {
            status = es_rig_try_run(&rig, &input, 1, &error);
        }
        input.begins_with_silence = false;
        if (status == ES_OK) {
            status = es_rig_try_run(&rig, &input, 7, &error);
        }
        es_rig_close(&rig);
    }
    es_cuda_close(&cuda);
    return status;
}

/* Calls that give something back: nobody could do anything about a failure of theirs. */
static bool is_giving_back(const char *call) {
    return strstr(call, "destroy") != NULL || strstr(call, "free") != NULL;
}

static void fail_every_call(const struct fake_cuda_device *made, enum es_mem_kind kv_kind,
                            cudaError_t result) {
    uint32_t index = 1;
    for (;; index++) {
        const struct es_cuda_calls *calls = fake_cuda_start(made);
        fake_cuda_fail(index, result);
        enum es_status status = use_all(calls, kv_kind);
        const char *call = fake_cuda_failed_call();
        ES_EXPECT_EQ(fake_blas_open_count(), 0);
        if (call[0] == '\0') {
            ES_EXPECT_EQ(status, ES_OK); /* all calls were tried */
            ES_EXPECT_EQ(fake_cuda_open_count(), 0);
            break;
        }
        ES_EXPECT_EQ(fake_cuda_calls_when_lost(), 0);
        if (is_giving_back(call)) {
            continue;
        }
        if (status != ES_OK && (status != ES_ERR_HARDWARE || strlen(error.text) < 20)) {
            es_test_fail(__FILE__, __LINE__, "call %u, %s: status %d, \"%s\"", index, call, status,
                         error.text);
        }
        if (result == cudaErrorInvalidValue && fake_cuda_open_count() != 0) {
            es_test_fail(__FILE__, __LINE__, "call %u, %s: %u things were left open", index, call,
                         fake_cuda_open_count());
        }
    }
    es_test_note("%u calls, each failed once", index - 1u);
}

ES_TEST("a stream runs over the fake device and leaves nothing behind") {
    ES_EXPECT_EQ(use_all(fake_cuda_start(NULL), ES_MEM_DEVICE), ES_OK);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    ES_EXPECT_EQ(fake_blas_open_count(), 0);
    ES_EXPECT_EQ(use_all(fake_cuda_start(&fake_cuda_integrated), ES_MEM_UNIFIED), ES_OK);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
    ES_EXPECT_EQ(use_all(fake_cuda_start(NULL), ES_MEM_SHARED), ES_OK);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("every call to CUDA that is refused is a status, and nothing leaks") {
    fail_every_call(NULL, ES_MEM_DEVICE, cudaErrorInvalidValue);
}

ES_TEST("every call to CUDA that loses the device is a status, and the last one that is made") {
    fail_every_call(&fake_cuda_integrated, ES_MEM_UNIFIED, cudaErrorIllegalAddress);
}

ES_TEST("every call to cuBLASLt that fails is a status, and nothing leaks") {
    const struct es_cuda_calls *calls = fake_cuda_start(NULL);
    uint32_t index = 1;
    for (;; index++) {
        calls = fake_cuda_start(NULL);
        ES_EXPECT_EQ(es_cuda_open(&cuda, calls, &error), ES_OK);
        es_cuda_rig_device(&device, &cuda, ES_MEM_DEVICE);
        device.blas = fake_blas_start();
        fake_blas_fail(index);
        const struct es_rig_setup setup = setup_of(9);
        enum es_status status = es_rig_try_open(&rig, es_backend_cuda(), &model, &setup, &error);
        bool is_over = fake_blas_call_count() < index;
        if (status == ES_OK) {
            es_rig_close(&rig);
        }
        es_cuda_close(&cuda);
        ES_EXPECT_EQ(fake_blas_open_count(), 0);
        ES_EXPECT_EQ(fake_cuda_open_count(), 0);
        if (is_over) {
            ES_EXPECT_EQ(status, ES_OK);
            break;
        }
        ES_EXPECT_EQ(status, ES_ERR_HARDWARE);
        ES_EXPECT_CONTAINS(error.text, "cuBLASLt");
    }
    es_test_note("%u calls, each failed once", index - 1u);
}

ES_TEST("memory that runs out at any region of the plan is a refusal that leaves nothing") {
    uint32_t index = 1;
    for (;; index++) {
        const struct es_cuda_calls *calls = fake_cuda_start(NULL);
        fake_cuda_fail_allocation(index);
        enum es_status status = use_all(calls, ES_MEM_UNIFIED);
        ES_EXPECT_EQ(fake_cuda_open_count(), 0);
        if (status == ES_OK) {
            break;
        }
        ES_EXPECT_EQ(status, ES_ERR_HARDWARE);
        ES_EXPECT_CONTAINS(error.text, "memory");
    }
    ES_EXPECT(index > 3); /* weights and buffers, rings, shared blocks */
}

/* -- what the fake device shows of a run ------------------------------------------------------- */

static void open_fake(uint32_t encode_positions_max) {
    const struct es_rig_setup setup = setup_of(encode_positions_max);
    ES_EXPECT_EQ(es_cuda_open(&cuda, fake_cuda_start(NULL), &error), ES_OK);
    es_cuda_rig_device(&device, &cuda, ES_MEM_DEVICE);
    device.blas = fake_blas_start();
    es_rig_open(&rig, es_backend_cuda(), &model, &setup);
}

static void close_fake(void) {
    es_rig_close(&rig);
    es_cuda_close(&cuda);
    ES_EXPECT_EQ(fake_cuda_open_count(), 0);
}

ES_TEST("nothing is allocated once the backend is up, and a frame is few calls") {
    struct es_choice choice;
    uint32_t silent_count = 0;
    open_fake(8);
    uint32_t allocation_count = fake_cuda_allocation_count();
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 6, &silent_count, &error), ES_OK);
    ES_EXPECT_EQ(silent_count, ES_SILENT_POSITIONS);
    const struct es_step forced = {.id = 32};
    for (uint32_t frame = 0; frame < 3; frame++) {
        fake_cuda_fail(0, cudaSuccess); /* counts from here */
        ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 1, &error), 1);
        ES_EXPECT_EQ(rig.ops->decode(rig.backend, &forced, &choice, &error), ES_OK);
        ES_EXPECT_EQ(fake_cuda_call_count(), 3); /* two graphs, one wait */
    }
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 12, &silent_count, &error), ES_OK);
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 12, &silent_count, &error), ES_OK);
    ES_EXPECT_EQ(fake_cuda_allocation_count(), allocation_count);
    close_fake();
}

ES_TEST("positions that have no graph of their own are made of those that have") {
    open_fake(16);
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 1, NULL, &error), ES_OK);
    fake_cuda_fail(0, cudaSuccess);
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 7, &error), 7);
    ES_EXPECT_EQ(fake_cuda_call_count(), 3); /* 4, 2 and 1: none waits for another */
    fake_cuda_fail(0, cudaSuccess);
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 8, &error), 15);
    ES_EXPECT_EQ(fake_cuda_call_count(),
                 2); /* the frames of the last call are still read: a wait */
    close_fake();
}

ES_TEST("a flag of a kernel is an error with its position, until reset") {
    struct es_choice choice;
    open_fake(8);
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 1, NULL, &error), ES_OK);
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 4, &error), 4);
    struct es_cuda_step_output *output = NULL;
    for (uint32_t i = 0; i < rig.plan.region_count; i++) {
        if (strcmp(rig.plan.regions[i].name, "step input and output, mel frames") == 0) {
            /* Input first, a line each. */
            output = (struct es_cuda_step_output *)(void *)((char *)es_arena_region(&rig.arena, i) +
                                                            ES_REGION_ALIGN_BYTES);
        }
    }
    ES_EXPECT(output != NULL);
    static const int32_t ids[3] = {1, 32, 32};
    output->flags = ES_CUDA_FLAG_LOGIT_NOT_FINITE;
    ES_EXPECT_EQ(rig.ops->prefill(rig.backend, ids, 3, 0.0f, &choice, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "position 2");
    output->flags = ES_CUDA_FLAG_KV_OUT_OF_RANGE;
    const struct es_step step = {.id = 32};
    ES_EXPECT_EQ(rig.ops->decode(rig.backend, &step, &choice, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "position 3");
    output->flags = 0;
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 1, NULL, &error), ES_OK);
    close_fake();
}

ES_TEST("an id outside the vocabulary is refused by name and consumes nothing") {
    struct es_choice choice;
    open_fake(8);
    ES_EXPECT_EQ(rig.ops->reset(rig.backend, 1, NULL, &error), ES_OK);
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 3, &error), 3);
    static const int32_t bad[2] = {1, 50};
    ES_EXPECT_EQ(rig.ops->prefill(rig.backend, bad, 2, 0.0f, &choice, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "id 50 at position 1");
    ES_EXPECT_EQ(rig.ops->encode(rig.backend, mel, 1, &error), 4);
    close_fake();
}

ES_TEST("models that the kernels are not made for are refused with the reason") {
    struct es_model other = model;
    ES_EXPECT_EQ(es_backend_cuda_check(&model, ES_DTYPE_BF16, &error), ES_OK);
    ES_EXPECT_EQ(es_backend_cuda_check(&model, ES_DTYPE_F32, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "F32; use --backend cpu");
    other.encoder.head_dim = 130;
    ES_EXPECT_EQ(es_backend_cuda_check(&other, ES_DTYPE_BF16, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "encoder's have 130");
}
