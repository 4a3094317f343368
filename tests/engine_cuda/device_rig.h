/* device_rig.h - what the tests of kernels share: the GPU, its memory, and numbers.
 *
 *   struct es_cuda *cuda = device_rig_open();            skips the test where there is no GPU
 *   float *x = device_rig_put(host, bytes);              a copy on the device
 *   float *y = device_rig_take(bytes);                   poisoned: every float is a NaN
 *   device_rig_get(host, y, bytes);                      waits for the stream
 *   device_rig_drop();                                   gives all of it back */
#pragma once

#include "engine/cuda/ops.h"
#include "tests/engine_cuda/gpu.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_RIG_BLOCK_COUNT_MAX 256u

struct device_rig {
    struct es_cuda cuda;
    bool is_open;
    void *blocks[DEVICE_RIG_BLOCK_COUNT_MAX];
    uint32_t block_count;
    uint64_t state; /* of the numbers */
};

static struct device_rig device_rig = {.state = 1};

static inline void device_rig_ok(enum es_status status, const struct es_error *error) {
    if (status != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error->text);
    }
}

static inline struct es_cuda *device_rig_open(void) {
    struct es_error error;
    if (!device_rig.is_open) {
        if (gpu_open(&device_rig.cuda, 0, &error) != ES_OK) {
            es_test_skip("no GPU to run on: %s", error.text);
        }
        device_rig.is_open = true;
    }
    return &device_rig.cuda;
}

/* A simulated GPU takes one of `every` cases, all kinds of them in turn. */
static inline bool device_rig_skips(uint32_t case_index, uint32_t every) {
    return gpu_is_simulated() && case_index % every != 0;
}

static inline void *device_rig_take(size_t bytes) {
    struct es_error error;
    void *memory = NULL;
    ES_EXPECT(device_rig.block_count < DEVICE_RIG_BLOCK_COUNT_MAX);
    device_rig_ok(es_cuda_memory_take(&device_rig.cuda, ES_MEM_DEVICE, bytes, &memory, &error),
                  &error);
    device_rig.blocks[device_rig.block_count++] = memory;
    device_rig_ok(es_cuda_fill(&device_rig.cuda, memory, 0xff, bytes, &error), &error);
    return memory;
}

static inline void device_rig_write(void *device, const void *host, size_t bytes) {
    struct es_error error;
    device_rig_ok(es_cuda_copy(&device_rig.cuda, device, host, bytes, ES_CUDA_TO_DEVICE, &error),
                  &error);
    device_rig_ok(es_cuda_wait(&device_rig.cuda, &error), &error);
}

static inline void *device_rig_put(const void *host, size_t bytes) {
    void *device = device_rig_take(bytes);
    device_rig_write(device, host, bytes);
    return device;
}

static inline void *device_rig_zeros(size_t bytes) {
    struct es_error error;
    void *device = device_rig_take(bytes);
    device_rig_ok(es_cuda_fill(&device_rig.cuda, device, 0, bytes, &error), &error);
    return device;
}

static inline void device_rig_get(void *host, const void *device, size_t bytes) {
    struct es_error error;
    device_rig_ok(es_cuda_copy(&device_rig.cuda, host, device, bytes, ES_CUDA_TO_HOST, &error),
                  &error);
    device_rig_ok(es_cuda_wait(&device_rig.cuda, &error), &error);
}

static inline void device_rig_drop(void) {
    while (device_rig.block_count > 0) {
        es_cuda_memory_give_back(&device_rig.cuda, ES_MEM_DEVICE,
                                 device_rig.blocks[--device_rig.block_count]);
    }
}

/* Uniform in -1 .. 1 (Knuth's MMIX generator, upper bits). */
static inline float device_rig_number(void) {
    device_rig.state = device_rig.state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(device_rig.state >> 40) / (double)(1u << 23) - 1.0);
}

static inline float *device_rig_numbers(size_t count, float scale) {
    float *numbers = malloc((count + 1u) * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = scale * device_rig_number();
    }
    return numbers;
}

/* A number in -1 .. 1 as BF16, and what it is. */
static inline uint16_t device_rig_bf16(double *value) {
    float number = device_rig_number();
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits &= 0xffff0000u;
    memcpy(&number, &bits, sizeof number);
    *value = (double)number;
    return (uint16_t)(bits >> 16);
}

static inline double device_rig_f16_value(uint16_t half) {
    static double values[1u << 16]; /* all of them: references ask often */
    static bool is_filled;
    if (!is_filled) {
        for (uint32_t i = 0; i < 1u << 16; i++) {
            int exponent = (int)(i >> 10 & 31u);
            double fraction = (double)(i & 1023u) / 1024.0;
            double value =
                exponent == 0 ? ldexp(fraction, -14) : ldexp(1.0 + fraction, exponent - 15);
            if (exponent == 31) {
                value = (i & 1023u) != 0 ? NAN : INFINITY;
            }
            values[i] = (i & 0x8000u) != 0 ? -value : value;
        }
        is_filled = true;
    }
    return values[half];
}

/* Uniform among f16 bit patterns from 2^-10 to below 2, both signs. */
static inline uint16_t device_rig_f16(void) {
    device_rig.state = device_rig.state * 6364136223846793005u + 1442695040888963407u;
    uint16_t bits = (uint16_t)(device_rig.state >> 48);
    return (uint16_t)((bits & 0x83ffu) | (6u + (bits >> 10 & 31u) % 10u) << 10);
}

/* Of a row: |actual - expected| / |expected|; infinite where a number is none. */
static inline double device_rig_error(const float *actual, const double *expected, size_t count) {
    double off = 0.0;
    double all = 0.0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)actual[i] - expected[i];
        off += difference * difference;
        all += expected[i] * expected[i];
    }
    double error = sqrt(off / (all > 0.0 ? all : 1.0));
    return isfinite(error) ? error : INFINITY;
}

/* Microseconds of one of `count` runs, events around all of them. */
static inline double device_rig_time_us(void (*run)(void *context, uint32_t index), void *context,
                                        uint32_t count) {
    struct es_error error;
    struct es_cuda_event first;
    struct es_cuda_event last;
    float elapsed_ms = 0.0f;
    device_rig_ok(es_cuda_event_open(&device_rig.cuda, &first, true, &error), &error);
    device_rig_ok(es_cuda_event_open(&device_rig.cuda, &last, true, &error), &error);
    for (uint32_t i = 0; i < 20; i++) {
        run(context, i);
    }
    device_rig_ok(es_cuda_event_record(&device_rig.cuda, &first, &error), &error);
    for (uint32_t i = 0; i < count; i++) {
        run(context, i);
    }
    device_rig_ok(es_cuda_event_record(&device_rig.cuda, &last, &error), &error);
    device_rig_ok(es_cuda_wait(&device_rig.cuda, &error), &error);
    device_rig_ok(es_cuda_event_elapsed_ms(&device_rig.cuda, &first, &last, &elapsed_ms, &error),
                  &error);
    es_cuda_event_close(&device_rig.cuda, &first);
    es_cuda_event_close(&device_rig.cuda, &last);
    return (double)elapsed_ms * 1000.0 / count;
}
