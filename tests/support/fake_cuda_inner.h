/* fake_cuda_inner.h - what the files of the fake CUDA share: its state.
 *
 *   if (!fake_enter("memcpy_async", &result)) { return result; }     first thing in every call */
#pragma once

#include "tests/support/fake_cuda.h"

#define FAKE_ALLOCATION_COUNT_MAX 512u
#define FAKE_OBJECT_COUNT_MAX 512u

struct fake_allocation {
    uint8_t *memory; /* NULL: this entry is free */
    size_t bytes;
    enum es_mem_kind kind;
    bool is_attached;
};

/* A copy, a fill (no source), a kernel (function), work of a test (run) or the record of an event
 * (none of these). */
struct fake_operation {
    void *target;
    const void *source;
    size_t bytes;
    int byte;
    const void *function;
    void (*run)(void *work, void *next);
    void *work; /* owned, of `bytes` */
};

struct fake_list {
    struct fake_operation *operations; /* owned */
    size_t count;
    size_t room;
    uint64_t after_count; /* an event: done when this many operations are */
    bool is_recorded;
};

struct fake_cuda {
    struct fake_cuda_device device;
    uint32_t call_count;
    uint32_t fail_index;
    cudaError_t fail_result;
    bool fail_is_sticky;
    const char *failed_call;
    bool is_lost;
    uint32_t lost_call_count;
    uint32_t allocation_count;
    uint32_t fail_allocation_index;
    struct fake_allocation allocations[FAKE_ALLOCATION_COUNT_MAX];
    /* Streams, events, graphs and contexts, each a list that most leave empty; NULL: free. */
    struct fake_list *objects[FAKE_OBJECT_COUNT_MAX];
    uint32_t launch_count;
    unsigned int device_flags;
    void (*kernel)(const void *function, void **args);
    /* the stream */
    struct fake_list waiting;
    uint64_t enqueued_count; /* since the start */
    uint64_t done_count;
    struct fake_list *recording; /* while capturing; else NULL */
};

extern struct fake_cuda fake;

/* False when this call is to fail: with `result`. */
bool fake_enter(const char *call, cudaError_t *result);
void *fake_new_object(void);
void fake_drop_object(const void *object);
struct fake_allocation *fake_find(const void *memory);
void fake_enqueue(struct fake_operation operation); /* takes its work over */
void fake_drop_operations(struct fake_list *list);
void fake_run_until(uint64_t enqueued_count); /* the stream, up to that operation */
void fake_forget_stream(void);
void fake_add_stream_calls(struct es_cuda_calls *calls);
void fake_add_green_calls(struct es_cuda_calls *calls);
