#include "tests/simt/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#endif

#define GUARD_BYTES 64u
#define POISON 0xff

namespace simt {

static const char dynamic_key = 0;

void shared_open(block &block) {
    void *memory = mmap(nullptr, SIMT_SHARED_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "simulated GPU: no memory for a block's shared memory\n");
        abort();
    }
    block.shared = static_cast<char *>(memory);
}

/* NULL: there is no room. */
static void *add(block &block, const void *key, size_t bytes, size_t align_bytes) {
    const size_t align = align_bytes > 16u ? align_bytes : 16u;
    const size_t offset = (block.shared_used_bytes + GUARD_BYTES + align - 1u) / align * align;
    if (offset + bytes > SIMT_SHARED_BYTES || block.variable_count == SIMT_SHARED_COUNT_MAX) {
        return nullptr;
    }
    char *memory = block.shared + offset;
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    memset(memory, POISON, bytes);
    block.variables[block.variable_count++] = {key, memory, bytes};
    block.shared_used_bytes = offset + bytes;
    return memory;
}

void shared_begin(block &block, size_t dynamic_bytes) {
    ASAN_POISON_MEMORY_REGION(block.shared, SIMT_SHARED_BYTES);
    block.shared_used_bytes = 0;
    block.variable_count = 0;
    (void)add(block, &dynamic_key, dynamic_bytes, 16); /* the launch has checked its size */
}

void *shared_memory(const void *key, size_t bytes, size_t align_bytes) {
    block &block = *current->block;
    for (uint32_t i = 0; i < block.variable_count; i++) {
        if (block.variables[i].key == key) {
            return block.variables[i].memory;
        }
    }
    void *memory = add(block, key, bytes, align_bytes);
    if (memory == nullptr) {
        fail("more than %zu bytes, or %u variables, of shared memory", SIMT_SHARED_BYTES,
             SIMT_SHARED_COUNT_MAX);
    }
    return memory;
}

void *shared_dynamic() {
    return current->block->variables[0].memory;
}

size_t shared_offset(const void *memory) {
    const block &block = *current->block;
    const char *at = static_cast<const char *>(memory);
    if (at < block.shared || at >= block.shared + SIMT_SHARED_BYTES) {
        fail("an address that is not this block's shared memory is taken for one");
    }
    return (size_t)(at - block.shared);
}

void *shared_at(uint32_t offset, size_t bytes, const char *what) {
    const block &block = *current->block;
    char *at = block.shared + offset;
    for (uint32_t i = 0; i < block.variable_count; i++) {
        const shared_variable &variable = block.variables[i];
        if (at >= variable.memory && at + bytes <= variable.memory + variable.bytes) {
            if (offset % bytes != 0) {
                fail("%s: shared address %u is not aligned to %zu bytes", what, offset, bytes);
            }
            return at;
        }
    }
    fail("%s: %zu bytes at shared address %u lie in no variable", what, bytes, offset);
}

} // namespace simt
