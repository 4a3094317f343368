#include "tests/support/test.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct es_test_case *first_test;
static struct es_test_case **last_link = &first_test;
static jmp_buf leave_test;
static char directory[64];
static char notes[16384];

enum outcome { PASSED, FAILED, SKIPPED };

void es_test_register(struct es_test_case *test) {
    *last_link = test;
    last_link = &test->next;
}

static void add_note(const char *prefix, const char *format, va_list args) {
    size_t used = strlen(notes);
    int n = snprintf(notes + used, sizeof notes - used, "    %s", prefix);
    used = (n < 0 || used + (size_t)n >= sizeof notes) ? sizeof notes - 1 : used + (size_t)n;
    n = vsnprintf(notes + used, sizeof notes - used, format, args);
    used = (n < 0 || used + (size_t)n >= sizeof notes) ? sizeof notes - 1 : used + (size_t)n;
    snprintf(notes + used, sizeof notes - used, "\n");
}

void es_test_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_note("", format, args);
    va_end(args);
}

void es_test_fail(const char *file, int line, const char *format, ...) {
    char where[256];
    snprintf(where, sizeof where, "%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    add_note(where, format, args);
    va_end(args);
    longjmp(leave_test, FAILED);
}

void es_test_skip(const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_note("skipped: ", format, args);
    va_end(args);
    longjmp(leave_test, SKIPPED);
}

void es_test_expect_text(const char *file, int line, const char *what, const char *actual,
                         const char *expected) {
    if (strcmp(actual, expected) != 0) {
        es_test_fail(file, line, "%s is \"%s\", expected \"%s\"", what, actual, expected);
    }
}

void es_test_expect_contains(const char *file, int line, const char *what, const char *text,
                             const char *part) {
    if (strstr(text, part) == NULL) {
        es_test_fail(file, line, "%s is \"%s\", which does not contain \"%s\"", what, text, part);
    }
}

const char *es_test_directory(void) {
    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "/tmp/earshot-test-XXXXXX");
        if (mkdtemp(directory) == NULL) {
            perror("mkdtemp");
            exit(1);
        }
    }
    return directory;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

int main(int argc, char **argv) {
    unsigned counts[3] = {0, 0, 0};
    static const char *const words[] = {"ok", "FAILED", "skipped"};
    for (struct es_test_case *volatile test = first_test; test != NULL; test = test->next) {
        if (argc > 1 && strstr(test->name, argv[1]) == NULL) {
            continue;
        }
        notes[0] = '\0';
        volatile int outcome = setjmp(leave_test);
        if (outcome == PASSED) {
            test->run();
        }
        counts[outcome]++;
        printf("%-7s %s\n%s", words[outcome], test->name, notes);
        fflush(stdout);
    }
    if (directory[0] != '\0') {
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    const char *slash = strrchr(argv[0], '/');
    printf("%s: %u passed, %u failed, %u skipped\n", slash != NULL ? slash + 1 : argv[0],
           counts[PASSED], counts[FAILED], counts[SKIPPED]);
    return counts[FAILED] > 0 || counts[PASSED] + counts[SKIPPED] == 0 ? 1 : 0;
}
