/* tekken.json for a vocabulary as small as that of the bring-up model; of what is accepted every
 * piece lies in the arena (AddressSanitizer reads them all). */
#include "engine/tokenizer.h"
#include "tests/fuzz/fuzz.h"

#define VOCAB_SIZE 1408

static struct es_plan plan;
static struct es_model model = {.vocab_size = VOCAB_SIZE};
static struct es_tokenizer_layout layout;

/* In place of es_arena_reserve: a heap block has AddressSanitizer's guards around it. */
static struct es_arena reserve(void) {
    es_plan_init(&plan);
    es_tokenizer_layout(&model, &plan, &layout);
    size_t bytes = es_plan_total_bytes(&plan, ES_MEM_HOST);
    struct es_arena arena = {.plan = &plan};
    arena.base[ES_MEM_HOST] = aligned_alloc(ES_PAGE_BYTES, bytes);
    arena.reserved_bytes[ES_MEM_HOST] = bytes;
    if (arena.base[ES_MEM_HOST] == NULL) {
        abort();
    }
    memset(arena.base[ES_MEM_HOST], 0, bytes);
    return arena;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct es_arena arena = reserve();
    struct es_tokenizer tokenizer;
    struct es_error error = {""};
    enum es_status status = es_tokenizer_parse(&tokenizer, &model, &layout, &arena, "tekken.json",
                                               (const char *)data, bytes, &error);
    fuzz_expect_verdict(status, &error);
    if (status == ES_OK) {
        const char *text_end = (const char *)arena.base[ES_MEM_HOST] + arena.reserved_bytes[0];
        for (int32_t id = 0; id < VOCAB_SIZE; id++) {
            const char *piece = NULL;
            uint32_t piece_bytes = es_tokenizer_piece(&tokenizer, id, &piece);
            if (piece_bytes > 0 && (size_t)(text_end - piece) < piece_bytes) {
                abort();
            }
        }
    }
    free(arena.base[ES_MEM_HOST]);
    return 0;
}
