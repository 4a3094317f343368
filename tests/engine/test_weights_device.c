#include "engine/weights.h"
#include "tests/support/model_files.h"
#include "tests/support/moody_disk.h"
#include "tests/support/test.h"
#include "tools/random_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT "consolidated.safetensors"
#define EMBEDDING "mm_streams_embeddings.embedding_module."
#define WHISPER EMBEDDING "whisper_encoder."
#define SMALL_REGION_BYTES 16384u /* the small model needs dozens of them */

static struct es_error error;
static struct es_plan plan;
static struct es_plan host_plan;
static struct es_arena arena;
static struct es_arena host_arena;
static struct es_weights weights;
static struct es_weights host_weights;

/* -- a device made of host memory, whose copies are late --------------------------------------- */

static struct {
    struct {
        void *target;
        const void *source;
        size_t bytes;
    } waiting[4096];
    uint32_t waiting_count;
    uint32_t done_count;
    uint32_t marks[ES_SINK_SLOT_COUNT];
    uint32_t put_count;
    size_t put_bytes;
    uint32_t fail_index; /* the put that fails; 0: none */
} device;

static enum es_status sink_put(void *context, void *target, const void *source, size_t bytes,
                               struct es_error *said) {
    (void)context;
    device.put_count++;
    device.put_bytes += bytes;
    if (device.put_count == device.fail_index) {
        return es_fail(said, ES_ERR_HARDWARE, "device: copy %u failed", device.put_count);
    }
    ES_EXPECT(device.waiting_count < 4096);
    device.waiting[device.waiting_count].target = target;
    device.waiting[device.waiting_count].source = source;
    device.waiting[device.waiting_count++].bytes = bytes;
    return ES_OK;
}

static enum es_status sink_mark(void *context, uint32_t slot, struct es_error *said) {
    (void)context;
    (void)said;
    device.marks[slot] = device.waiting_count;
    return ES_OK;
}

static void run_until(uint32_t count) {
    for (; device.done_count < count; device.done_count++) {
        memcpy(device.waiting[device.done_count].target, device.waiting[device.done_count].source,
               device.waiting[device.done_count].bytes);
    }
}

static enum es_status sink_wait(void *context, uint32_t slot, struct es_error *said) {
    (void)context;
    (void)said;
    run_until(device.marks[slot]);
    return ES_OK;
}

static enum es_status sink_finish(void *context, struct es_error *said) {
    (void)context;
    (void)said;
    run_until(device.waiting_count);
    return ES_OK;
}

static const struct es_weights_sink sink = {
    .put = sink_put, .mark = sink_mark, .wait = sink_wait, .finish = sink_finish};

static enum es_status take(void *context, enum es_mem_kind kind, size_t bytes, void **memory,
                           struct es_error *said) {
    (void)context;
    (void)said;
    ES_EXPECT(kind == ES_MEM_DEVICE || kind == ES_MEM_SHARED);
    *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    ES_EXPECT(*memory != NULL);
    memset(*memory, 0x5a, bytes); /* what is not written shows */
    return ES_OK;
}

static enum es_status settle(void *context, struct es_error *said) {
    (void)context;
    (void)said;
    return ES_OK;
}

static void give_back(void *context, enum es_mem_kind kind, void *memory) {
    (void)context;
    (void)kind;
    free(memory);
}

static enum es_status available(void *context, size_t *bytes, struct es_error *said) {
    (void)context;
    (void)said;
    *bytes = (size_t)1 << 40;
    return ES_OK;
}

/* Plans, takes and loads; the arena is the caller's to release on ES_OK. */
static enum es_status load(const struct es_model *model, const char *directory,
                           size_t region_bytes_max) {
    static const struct es_memory_provider provider = {
        .take = take, .settle = settle, .give_back = give_back, .available = available};
    struct es_weights_layout layout;
    es_plan_init(&plan);
    enum es_status status =
        es_weights_layout_device(model, ES_DTYPE_BF16, region_bytes_max, &plan, &layout, &error);
    if (status != ES_OK) {
        return status;
    }
    if (es_arena_reserve_with(&arena, &plan, &provider, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    memset(&device, 0, offsetof(__typeof__(device), fail_index));
    status = es_weights_load_device(&weights, model, &layout, &arena, &sink, directory, &error);
    ES_EXPECT_EQ(device.done_count, device.waiting_count);
    if (status != ES_OK) {
        es_arena_release(&arena);
    }
    return status;
}

static const char *fresh(void) {
    static uint32_t count;
    static char directory[256];
    char name[32];
    snprintf(name, sizeof name, "model%u", count++);
    snprintf(directory, sizeof directory, "%s", es_test_model(name));
    memset(&moody_disk, 0, sizeof moody_disk);
    device.fail_index = 0;
    return directory;
}

/* -- comparing with what the host loads -------------------------------------------------------- */

static uint16_t device_value(const struct es_weight *weight, const struct es_matrix *matrix,
                             uint32_t row, uint32_t column) {
    const uint16_t *data = matrix->data;
    if (weight->part == ES_WEIGHT_EMBEDDING) {
        const struct es_row_blocks *blocks = &weights.embedding_blocks;
        data = blocks->blocks[row / blocks->rows_per_block];
        row %= blocks->rows_per_block;
    }
    return data[(size_t)row * matrix->stride + column];
}

static enum es_status visit_compare(void *context, const struct es_weight *weight) {
    uint32_t *count = context;
    (*count)++;
    const char *field = (const char *)&weights + weight->field_offset;
    const char *host_field = (const char *)&host_weights + weight->field_offset;
    if (!weight->is_matrix) {
        const float *vector;
        const float *host_vector;
        memcpy(&vector, field, sizeof vector);
        memcpy(&host_vector, host_field, sizeof host_vector);
        ES_EXPECT_EQ((uintptr_t)vector % 64, 0);
        ES_EXPECT_EQ(memcmp(vector, host_vector, weight->shape[0] * sizeof *vector), 0);
        return ES_OK;
    }
    struct es_matrix matrix;
    struct es_matrix host;
    memcpy(&matrix, field, sizeof matrix);
    memcpy(&host, host_field, sizeof host);
    ES_EXPECT_EQ(matrix.out_dim, host.out_dim);
    ES_EXPECT_EQ(matrix.in_dim, host.in_dim);
    ES_EXPECT_EQ(matrix.stride, (host.in_dim + 31) / 32 * 32);
    ES_EXPECT_EQ((uintptr_t)matrix.data % 64, 0);
    const uint16_t *host_data = host.data;
    for (uint32_t r = 0; r < host.out_dim; r++) {
        for (uint32_t c = 0; c < matrix.stride; c++) {
            uint32_t in_dim = host.in_dim / 3;
            uint32_t from = weight->rank == 3 ? c % in_dim * 3 + c / in_dim : c;
            uint16_t expected = c < host.in_dim ? host_data[(size_t)r * host.in_dim + from] : 0;
            if (device_value(weight, &matrix, r, c) != expected) {
                es_test_fail(__FILE__, __LINE__, "%s [%u, %u]", weight->name, r, c);
            }
        }
    }
    return ES_OK;
}

static void expect_same_as_host(const struct es_model *model, const char *directory) {
    struct es_weights_layout layout;
    es_plan_init(&host_plan);
    es_weights_layout(model, ES_DTYPE_BF16, &host_plan, &layout);
    if (es_arena_reserve(&host_arena, &host_plan, &error) != ES_OK ||
        es_weights_load(&host_weights, model, &layout, &host_arena, directory, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    uint32_t count = 0;
    ES_EXPECT_EQ(es_weights_walk(model, visit_compare, &count), ES_OK);
    ES_EXPECT(count > 50);
    es_arena_release(&host_arena);
}

static void expect_loads(const struct es_model *model, const char *directory,
                         size_t region_bytes_max) {
    if (load(model, directory, region_bytes_max) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    expect_same_as_host(model, directory);
    es_arena_release(&arena);
}

ES_TEST("a device holds what the host holds, rows padded with zeros and taps first") {
    const char *directory = fresh();
    expect_loads(&es_test_model_small, directory, ES_CHUNK_BYTES_MAX);
    ES_EXPECT_EQ(weights.embedding_blocks.block_count, 1);
    ES_EXPECT(weights.embedding.data != NULL);
}

ES_TEST("small regions: tensors in many, the embedding in blocks of rows") {
    const char *directory = fresh();
    expect_loads(&es_test_model_small, directory, SMALL_REGION_BYTES * 3);
    ES_EXPECT_EQ(weights.embedding_blocks.block_count, 4);
    ES_EXPECT_EQ(weights.embedding_blocks.rows_per_block, 328); /* 1300 rows in four, rounded up */
    ES_EXPECT(weights.embedding.data == NULL);
    for (uint32_t i = 0; i < plan.region_count; i++) {
        ES_EXPECT(plan.regions[i].kind == ES_MEM_SHARED ||
                  plan.regions[i].bytes <= SMALL_REGION_BYTES * 3);
    }
}

ES_TEST("the bring-up model loads with regions of a megabyte") {
    struct es_model model;
    const char *directory = ES_SOURCE_DIR "/models/bringup";
    memset(&moody_disk, 0, sizeof moody_disk);
    device.fail_index = 0;
    ES_EXPECT_EQ(es_model_read(&model, directory, &error), ES_OK);
    expect_loads(&model, directory, 1u << 20);
}

ES_TEST("data that begins at an odd byte, and tensors over several blocks, arrive whole") {
    struct es_model model = es_test_model_small;
    model.vocab_size = 100000; /* 12.8 MB of BF16: four blocks of the file */
    char directory[256];
    (void)fresh();
    snprintf(directory, sizeof directory, "%s", es_test_model_of("big", &model, ES_DTYPE_BF16, 4));
    for (int pass = 0; pass < 2; pass++) {
        expect_loads(&model, directory, 1u << 20);
        ES_EXPECT_EQ(weights.embedding_blocks.block_count, 13);
        es_test_replace_header(directory, "{\"", "{ \"");
    }
}

ES_TEST("what O_DIRECT refuses is read through the page cache") {
    const char *directory = fresh();
    expect_loads(&es_test_model_small, directory, 1u << 20);
    es_test_note("here: %u direct reads, %u others", moody_disk.direct_count,
                 moody_disk.buffered_count);
    moody_disk.refuses_flag = true;
    expect_loads(&es_test_model_small, directory, 1u << 20);
    static const int causes[] = {EINVAL, EFAULT, EOPNOTSUPP};
    for (int i = 0; i < 3; i++) {
        directory = fresh();
        moody_disk.refuses_read = causes[i];
        expect_loads(&es_test_model_small, directory, 1u << 20);
        ES_EXPECT(moody_disk.buffered_count > 0);
    }
}

ES_TEST("reads that give little are gone on with") {
    static const size_t sizes[] = {1000, 4096, 12288, 100001};
    for (int i = 0; i < 4; i++) {
        const char *directory = fresh();
        moody_disk.bytes_max = sizes[i];
        expect_loads(&es_test_model_small, directory, 1u << 20);
    }
}

ES_TEST("a file that became shorter, and a disk that fails, are named with the byte") {
    const char *directory = fresh();
    moody_disk.end_offset = 200000;
    ES_EXPECT_EQ(load(&es_test_model_small, directory, 1u << 20), ES_ERR_INPUT);
    es_test_note("%s", error.text);
    ES_EXPECT_CONTAINS(error.text, "reading stopped at byte 200000: the file became shorter");
    directory = fresh();
    moody_disk.bad_offset = 150000;
    moody_disk.bytes_max = 4096;
    ES_EXPECT_EQ(load(&es_test_model_small, directory, 1u << 20), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "reading stopped at byte");
    ES_EXPECT_CONTAINS(error.text, "Input/output error; copy it again");
}

/* Overwrites one 16-bit value of a tensor whose data starts at `begin` of the file's data. */
static void poke(const char *directory, const char *name, uint64_t index, uint16_t half) {
    size_t bytes = 0;
    char *data = es_test_read(directory, CHECKPOINT, &bytes);
    uint64_t header_bytes = 0;
    memcpy(&header_bytes, data, sizeof header_bytes);
    char quoted[200];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *entry = strstr(data + 8, quoted);
    ES_EXPECT(entry != NULL);
    const char *offsets = strstr(entry, "\"data_offsets\":[");
    ES_EXPECT(offsets != NULL);
    uint64_t begin = strtoull(offsets + 16, NULL, 10);
    memcpy(data + 8 + header_bytes + begin + index * 2, &half, sizeof half);
    es_test_write(directory, CHECKPOINT, data, bytes);
    free(data);
}

ES_TEST("a weight that is not finite is named with its index, wherever it stands") {
    static const struct {
        const char *name;
        uint64_t index;
        uint16_t half;
        const char *said;
    } cases[] = {
        {"norm.weight", 63, 0x7fc0, "tensor norm.weight: value 63 is nan"},
        {"layers.0.attention.wq.weight", 4095, 0xff80,
         "tensor layers.0.attention.wq.weight: value 4095 is -inf"},
        {WHISPER "conv_layers.0.conv.weight", 0, 0x7f80, "conv.weight: value 0 is inf"},
        {EMBEDDING "tok_embeddings.weight", 83199, 0x7f80, "value 83199 is inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *directory = fresh();
        poke(directory, cases[i].name, cases[i].index, cases[i].half);
        ES_EXPECT_EQ(load(&es_test_model_small, directory, SMALL_REGION_BYTES * 3), ES_ERR_INPUT);
        ES_EXPECT_CONTAINS(error.text, cases[i].said);
    }
}

ES_TEST("whichever copy fails, loading ends with its words") {
    const char *directory = fresh();
    expect_loads(&es_test_model_small, directory, SMALL_REGION_BYTES * 3);
    const uint32_t put_count = device.put_count;
    for (uint32_t i = 1; i <= put_count; i++) {
        device.fail_index = i;
        ES_EXPECT_EQ(load(&es_test_model_small, directory, SMALL_REGION_BYTES * 3),
                     ES_ERR_HARDWARE);
        char said[64];
        snprintf(said, sizeof said, "device: copy %u failed", i);
        ES_EXPECT_TEXT(error.text, said);
    }
    es_test_note("%u copies", put_count);
}

ES_TEST("types and dimensions that a device does not take are refused with the remedy") {
    struct es_weights_layout layout;
    es_plan_init(&plan);
    ES_EXPECT_EQ(es_weights_layout_device(&es_test_model_small, ES_DTYPE_F16, ES_CHUNK_BYTES_MAX,
                                          &plan, &layout, &error),
                 ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "F16 and the GPU engine takes BF16; use --backend cpu");
    const char *directory = fresh();
    ES_EXPECT_EQ(load(&es_test_model_small, directory, 4096), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "at most 4096; use --backend cpu");
    struct es_model model = es_test_model_small;
    model.vocab_size = 100000;
    ES_EXPECT_EQ(load(&model, directory, 1u << 19), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "tok_embeddings.weight would need more than 16 regions");
    model = es_test_model_small;
    model.decoder.layer_count = 256;
    ES_EXPECT_EQ(load(&model, directory, 40960), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "more than 192 regions");
    model.decoder.hidden_dim = 65536;
    ES_EXPECT_EQ(load(&model, directory, 1u << 20), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "w1.weight takes 8388608 bytes");
}

ES_TEST("a checkpoint of another type than planned is refused before it is read") {
    (void)fresh();
    char directory[256];
    snprintf(directory, sizeof directory, "%s",
             es_test_model_of("wide", &es_test_model_small, ES_DTYPE_F32, 1));
    ES_EXPECT_EQ(load(&es_test_model_small, directory, 1u << 20), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "holds F32 matrices, but memory is planned for BF16");
}

ES_TEST("the 4B model lies in chunks of at most 256 MiB, and nothing of it is padding") {
    struct es_weights_layout layout;
    es_plan_init(&plan);
    ES_EXPECT_EQ(es_weights_layout_device(&es_model_4b, ES_DTYPE_BF16, ES_CHUNK_BYTES_MAX, &plan,
                                          &layout, &error),
                 ES_OK);
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan.region_count; i++) {
        const struct es_plan_region *region = &plan.regions[i];
        ES_EXPECT(region->bytes <= ES_CHUNK_BYTES_MAX);
        bytes += region->kind == ES_MEM_DEVICE ? region->bytes : 0;
    }
    es_test_note("%u regions in %u chunks, %zu bytes of device memory", plan.region_count,
                 plan.chunk_count, bytes);
    ES_EXPECT(bytes > 8859000000u);
    ES_EXPECT(bytes < 8861000000u);
    ES_EXPECT(es_plan_total_bytes(&plan, ES_MEM_SHARED) < 10u << 20);
}
