/* test.h - a test program is a list of sentences.
 *
 *   ES_TEST("a plan adds regions without overlap") {
 *       ES_EXPECT(plan.region_count == 2);
 *       ES_EXPECT_EQ(es_plan_total_bytes(&plan, ES_MEM_HOST), 4096);
 *   }
 *
 * The runner (main is in test.c) runs every test, prints one line each ("ok", "FAILED", "skipped")
 * and a closing line `program: N passed, N failed, N skipped`; the exit code is the verdict (0, or
 * 1 when any failed). An argument selects tests that contain it. A failed expectation prints file,
 * line and values, and ends that test. */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct es_test_case {
    const char *name;
    void (*run)(void);
    struct es_test_case *next;
};

void es_test_register(struct es_test_case *test);
_Noreturn void es_test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the test as skipped: loud, counted, with the reason and the command that would run it. */
_Noreturn void es_test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a figure of the running test (margins, errors) below its line. */
void es_test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A fresh directory for files of this test, removed at the end of the program. Static storage. */
const char *es_test_directory(void);

#define ES_TEST_JOIN_(a, b) a##b
#define ES_TEST_JOIN(a, b) ES_TEST_JOIN_(a, b)
#define ES_TEST(sentence) ES_TEST_(sentence, __COUNTER__)
#define ES_TEST_(sentence, id)                                                                     \
    static void ES_TEST_JOIN(es_test_run_, id)(void);                                              \
    static struct es_test_case ES_TEST_JOIN(es_test_case_, id) = {                                 \
        sentence, ES_TEST_JOIN(es_test_run_, id), NULL};                                           \
    __attribute__((constructor)) static void ES_TEST_JOIN(es_test_add_, id)(void) {                \
        es_test_register(&ES_TEST_JOIN(es_test_case_, id));                                        \
    }                                                                                              \
    static void ES_TEST_JOIN(es_test_run_, id)(void)

#define ES_EXPECT(condition)                                                                       \
    ((condition) ? (void)0 : es_test_fail(__FILE__, __LINE__, "%s", #condition))
#define ES_EXPECT_EQ(actual, expected)                                                             \
    do {                                                                                           \
        long long es_actual = (long long)(actual);                                                 \
        long long es_expected = (long long)(expected);                                             \
        if (es_actual != es_expected) {                                                            \
            es_test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #actual, es_actual,      \
                         es_expected);                                                             \
        }                                                                                          \
    } while (0)
#define ES_EXPECT_NEAR(actual, expected, tolerance)                                                \
    do {                                                                                           \
        double es_actual = (double)(actual);                                                       \
        double es_expected = (double)(expected);                                                   \
        double es_off = es_actual - es_expected;                                                   \
        if (!(es_off <= (tolerance) && -es_off <= (tolerance))) {                                  \
            es_test_fail(__FILE__, __LINE__, "%s is %.9g, expected %.9g within %.3g", #actual,     \
                         es_actual, es_expected, (double)(tolerance));                             \
        }                                                                                          \
    } while (0)
#define ES_EXPECT_TEXT(actual, expected)                                                           \
    es_test_expect_text(__FILE__, __LINE__, #actual, actual, expected)
/* The text contains the part: for error messages, which name the thing. */
#define ES_EXPECT_CONTAINS(text, part)                                                             \
    es_test_expect_contains(__FILE__, __LINE__, #text, text, part)

void es_test_expect_text(const char *file, int line, const char *what, const char *actual,
                         const char *expected);
void es_test_expect_contains(const char *file, int line, const char *what, const char *text,
                             const char *part);
