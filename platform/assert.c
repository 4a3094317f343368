#include "platform/assert.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static void (*fault_hook)(void);
static atomic_flag hook_entered = ATOMIC_FLAG_INIT;

void es_assert_set_hook(void (*hook)(void)) {
    fault_hook = hook;
}

static size_t append(char *line, size_t used, size_t line_bytes, const char *text) {
    while (*text != '\0' && used < line_bytes) {
        line[used++] = *text++;
    }
    return used;
}

/* By hand and not with printf, which is not async-signal-safe and may be what failed. */
static const char *decimal(char digits[12], int value) {
    char *at = digits + 11;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 && at > digits);
    return at;
}

_Noreturn void es_assert_failed(const char *condition, const char *file, int line) {
    /* A hook that itself asserts must not run again. */
    if (fault_hook != NULL && !atomic_flag_test_and_set(&hook_entered)) {
        fault_hook();
    }
    char text[512];
    char digits[12];
    size_t used = append(text, 0, sizeof text - 1, "earshot: fault: ");
    used = append(text, used, sizeof text - 1, file);
    used = append(text, used, sizeof text - 1, ":");
    used = append(text, used, sizeof text - 1, decimal(digits, line));
    used = append(text, used, sizeof text - 1, ": not true: ");
    used = append(text, used, sizeof text - 1, condition);
    text[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, text, used);
    (void)written; /* dying anyway */
    abort();
}
