#include "tests/support/allocation_watch.h"

#include "audio/pcm.h"
#include "platform/arena.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EARLY_READS 4u /* of five seconds each, from a file */

static atomic_bool is_watching;
static _Thread_local bool is_in_decoder;
static _Atomic uint64_t product_count, decoder_count;
static _Atomic size_t product_bytes;
static _Atomic(void *) product_caller;
static _Atomic int64_t held_bytes; /* by the heap, since the watch began */
static uint64_t read_count;
static int64_t first_bytes, early_bytes_max, late_bytes_max;

static void count_call(size_t bytes, void *caller) {
    if (!atomic_load(&is_watching) || !es_is_frozen()) {
        return;
    }
    if (is_in_decoder) {
        atomic_fetch_add(&decoder_count, 1);
    } else if (atomic_fetch_add(&product_count, 1) == 0) {
        atomic_store(&product_bytes, bytes);
        atomic_store(&product_caller, caller);
    }
}

static void count_held(int64_t bytes) {
    if (atomic_load(&is_watching)) {
        atomic_fetch_add(&held_bytes, bytes);
    }
}

void es_allocation_watch_start(void) {
    atomic_store(&is_watching, true);
}

struct es_allocation_counts es_allocation_watch_counts(void) {
    return (struct es_allocation_counts){
        .product_count = product_count,
        .product_bytes = product_bytes,
        .product_caller = product_caller,
        .decoder_count = decoder_count,
        .read_count = read_count,
        .early_bytes_max = early_bytes_max,
        .late_bytes_max = late_bytes_max,
    };
}

/* -- the scope of the decoders ---------------------------------------------------------------- */

int __real_es_pcm_read(struct es_pcm *source, float *samples, size_t count, struct es_error *error);
int __wrap_es_pcm_read(struct es_pcm *source, float *samples, size_t count, struct es_error *error);

int __wrap_es_pcm_read(struct es_pcm *source, float *samples, size_t count,
                       struct es_error *error) {
    is_in_decoder = true;
    int result = __real_es_pcm_read(source, samples, count, error);
    is_in_decoder = false;
    if (!atomic_load(&is_watching)) {
        return result;
    }
    int64_t bytes = atomic_load(&held_bytes);
    if (read_count == 0) {
        first_bytes = bytes;
    } else if (read_count < EARLY_READS) {
        early_bytes_max =
            bytes - first_bytes > early_bytes_max ? bytes - first_bytes : early_bytes_max;
    } else {
        late_bytes_max =
            bytes - first_bytes > late_bytes_max ? bytes - first_bytes : late_bytes_max;
    }
    read_count++;
    return result;
}

/* -- the place of malloc ---------------------------------------------------------------------- */

#ifdef ES_UNDER_SANITIZER

void __sanitizer_malloc_hook(const volatile void *block, size_t bytes);
void __sanitizer_free_hook(const volatile void *block);
size_t __sanitizer_get_allocated_size(const volatile void *block);
void __sanitizer_print_stack_trace(void);

/* The caller is the sanitizer itself, so the first one that counts says where it came from. */
void __sanitizer_malloc_hook(const volatile void *block, size_t bytes) {
    (void)block;
    bool is_new = atomic_load(&product_count) == 0;
    count_call(bytes, __builtin_return_address(0));
    count_held((int64_t)bytes);
    if (is_new && atomic_load(&product_count) == 1) {
        __sanitizer_print_stack_trace();
    }
}

void __sanitizer_free_hook(const volatile void *block) {
    if (block != NULL && atomic_load(&is_watching)) {
        count_held(-(int64_t)__sanitizer_get_allocated_size(block));
    }
}

#else

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *block);

static void *counted(void *block, size_t bytes, void *caller) {
    count_call(bytes, caller);
    if (block != NULL) {
        count_held((int64_t)malloc_usable_size(block));
    }
    return block;
}

void *malloc(size_t bytes) {
    return counted(__libc_malloc(bytes), bytes, __builtin_return_address(0));
}

void *calloc(size_t count, size_t bytes) {
    return counted(__libc_calloc(count, bytes), count * bytes, __builtin_return_address(0));
}

void *realloc(void *block, size_t bytes) {
    if (block != NULL) {
        count_held(-(int64_t)malloc_usable_size(block));
    }
    return counted(__libc_realloc(block, bytes), bytes, __builtin_return_address(0));
}

void free(void *block) {
    if (block != NULL) {
        count_held(-(int64_t)malloc_usable_size(block));
    }
    __libc_free(block);
}

void *memalign(size_t alignment, size_t bytes) {
    return counted(__libc_memalign(alignment, bytes), bytes, __builtin_return_address(0));
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    return counted(__libc_memalign(alignment, bytes), bytes, __builtin_return_address(0));
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    void *made = __libc_memalign(alignment, bytes);
    if (made == NULL) {
        return ENOMEM;
    }
    *block = counted(made, bytes, __builtin_return_address(0));
    return 0;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    count_call(bytes, __builtin_return_address(0));
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

void *mremap(void *address, size_t old_bytes, size_t bytes, int flags, ...) {
    count_call(bytes, __builtin_return_address(0));
    return (void *)syscall(SYS_mremap, address, old_bytes, bytes, flags, NULL);
}

#endif
