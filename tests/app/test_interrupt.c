#include "app/interrupt.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

#include <signal.h>

static void act(void) {
    static const char text[] = "dark";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1u);
    (void)written;
}

static void raise_it(int number, bool is_for_ever, int graceful_count) {
    es_interrupt_install();
    if (is_for_ever) {
        es_interrupt_set_last_act(act);
    }
    if (graceful_count > 0) {
        es_interrupt_make_graceful();
    }
    for (int i = 0; i <= graceful_count; i++) {
        (void)raise(number);
    }
}

static void terminate_while_it_starts(void) {
    raise_it(SIGTERM, true, 0);
}

static void interrupt_while_it_starts(void) {
    raise_it(SIGINT, true, 0);
}

static void terminate_a_command(void) {
    raise_it(SIGTERM, false, 0);
}

static void terminate_twice(void) {
    raise_it(SIGTERM, true, 1);
}

static void hang_up(void) {
    es_interrupt_install();
    es_interrupt_set_last_act(act);
    (void)raise(SIGHUP);
    bool is_first = es_interrupt_take_hangup();
    _exit(is_first && !es_interrupt_take_hangup() ? 7 : 1);
}

static void expect_end(void (*function)(void), int code, const char *text) {
    struct child_result result = child_run(function);
    ES_EXPECT(WIFEXITED(result.wait_status));
    ES_EXPECT_EQ(WEXITSTATUS(result.wait_status), code);
    ES_EXPECT_TEXT(result.text, text);
}

ES_TEST("SIGTERM while an appliance starts ends it at once, dark, and is no failure") {
    expect_end(terminate_while_it_starts, 0, "dark");
    expect_end(interrupt_while_it_starts, 130, "dark");
}

ES_TEST("a command that is told to end before it has anything to write out ends with 130") {
    expect_end(terminate_a_command, 130, "");
}

ES_TEST("the second signal does not wait for the words") {
    expect_end(terminate_twice, 130, "dark");
}

ES_TEST("SIGHUP is a flag that is taken once") {
    expect_end(hang_up, 7, "");
}
