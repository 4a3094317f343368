#include "platform/bounds.h"
#include "platform/log.h"
#include "tests/platform/child.h"
#include "tests/support/test.h"

static void log_three_lines(void) {
    es_log(ES_LOG_ERROR, "%s: is gone", "card");
    es_log(ES_LOG_WARNING, "memory is not locked: %d", 7);
    es_log(ES_LOG_INFO, "ready");
}

static void log_control_characters(void) {
    es_log(ES_LOG_INFO, "%s", "a\nearshot: error: b\x1b[0m");
}

static void log_a_long_line(void) {
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    es_log(ES_LOG_WARNING, "%s", text);
}

ES_TEST("an event is one line with its level") {
    ES_EXPECT_TEXT(child_run(log_three_lines).text, "earshot: error: card: is gone\n"
                                                    "earshot: warning: memory is not locked: 7\n"
                                                    "earshot: ready\n");
}

ES_TEST("an argument cannot start a line of its own") {
    ES_EXPECT_TEXT(child_run(log_control_characters).text, "earshot: a?earshot: error: b?[0m\n");
}

ES_TEST("a line is cut at its bound and still ends") {
    struct child_result result = child_run(log_a_long_line);
    size_t length = strlen(result.text);
    ES_EXPECT(length <= ES_LOG_LINE_BYTES && length > ES_LOG_LINE_BYTES - 4);
    ES_EXPECT(result.text[length - 1] == '\n');
}
