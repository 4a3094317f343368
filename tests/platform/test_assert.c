#include "platform/assert.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <signal.h>

static void fail_plainly(void) {
    int row_count = 5;
    ES_ASSERT(row_count <= 4);
}

static void say_hook(void) {
    ssize_t written = write(STDERR_FILENO, "hook\n", 5);
    (void)written;
}

static void fail_with_hook(void) {
    es_assert_set_hook(say_hook);
    ES_ASSERT(1 > 2);
}

static void failing_hook(void) {
    say_hook();
    ES_ASSERT(2 > 3);
}

static void fail_in_hook(void) {
    es_assert_set_hook(failing_hook);
    ES_ASSERT(1 > 2);
}

static void fail_with_long_condition(void) {
    char condition[2000];
    memset(condition, 'c', sizeof condition - 1);
    condition[sizeof condition - 1] = '\0';
    es_assert_failed(condition, "a.c", 2147483647);
}

static void fail_nothing(void) {
    ES_ASSERT(2 > 1);
}

ES_TEST("a failed assert names file, line and condition, and aborts") {
    struct child_result result = child_run(fail_plainly);
    ES_EXPECT(WIFSIGNALED(result.wait_status));
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    ES_EXPECT_CONTAINS(result.text, "earshot: fault: ");
    ES_EXPECT_CONTAINS(result.text, "test_assert.c:9: not true: row_count <= 4\n");
}

ES_TEST("the fault hook runs first") {
    struct child_result result = child_run(fail_with_hook);
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    ES_EXPECT(strncmp(result.text, "hook\nearshot: fault: ", 21) == 0);
}

ES_TEST("a hook that fails itself runs once") {
    struct child_result result = child_run(fail_in_hook);
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    ES_EXPECT(strncmp(result.text, "hook\nearshot: fault: ", 21) == 0);
    ES_EXPECT_CONTAINS(result.text, "2 > 3");
}

ES_TEST("a condition that is too long is cut, and the line still ends") {
    struct child_result result = child_run(fail_with_long_condition);
    ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT);
    ES_EXPECT_CONTAINS(result.text, "a.c:2147483647: not true: ccc");
    ES_EXPECT(result.text[strlen(result.text) - 1] == '\n');
}

ES_TEST("a condition that holds costs nothing") {
    struct child_result result = child_run(fail_nothing);
    ES_EXPECT_EQ(result.wait_status, 0);
    ES_EXPECT_TEXT(result.text, "");
}
