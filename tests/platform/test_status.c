#include "platform/status.h"
#include "tests/support/test.h"

#include <string.h>

ES_TEST("a failure keeps its status and writes one line") {
    struct es_error error;
    ES_EXPECT_EQ(es_fail(&error, ES_ERR_INPUT, "%s: has %d bytes; expected %d", "a.wav", 3, 44),
                 ES_ERR_INPUT);
    ES_EXPECT_TEXT(error.text, "a.wav: has 3 bytes; expected 44");
}

ES_TEST("a failure without a place for its text still returns the status") {
    ES_EXPECT_EQ(es_fail(NULL, ES_ERR_OUTPUT, "%s", "gone"), ES_ERR_OUTPUT);
}

ES_TEST("the control characters beyond ASCII, in their UTF-8 form, cannot either") {
    struct es_error error;
    es_fail(&error, ES_ERR_INPUT, "%s", "a\xc2\x9b[2J b\xc2\x80 \xc2\xa0 \xc3\xa9");
    ES_EXPECT_TEXT(error.text, "a??[2J b?? \xc2\xa0 \xc3\xa9");
}

ES_TEST("control characters of an argument cannot reach the terminal") {
    struct es_error error;
    es_fail(&error, ES_ERR_INPUT, "%s: is empty", "\x1b[2J\r\n\t\x7f name");
    ES_EXPECT_TEXT(error.text, "?[2J???? name: is empty");
    char every[34];
    for (int c = 1; c < 33; c++) {
        every[c - 1] = (char)c;
    }
    every[32] = '\0';
    es_fail(&error, ES_ERR_INPUT, "%s", every);
    ES_EXPECT_TEXT(error.text, "??????????????????????????????? ");
}

ES_TEST("a name in UTF-8 stays readable") {
    struct es_error error;
    es_fail(&error, ES_ERR_INPUT, "%s", "Gr\u00fc\u00dfe \u65e5\u672c \U0001f399");
    ES_EXPECT_TEXT(error.text, "Gr\u00fc\u00dfe \u65e5\u672c \U0001f399");
}

ES_TEST("a text that is too long is cut, terminated, and never inside a character") {
    for (size_t shift = 0; shift < 4; shift++) {
        char argument[700];
        memset(argument, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof argument; i += 4) {
            memcpy(argument + i, "\U0001f399", 4);
        }
        argument[shift + 4 * 160] = '\0';
        struct es_error error;
        es_fail(&error, ES_ERR_INPUT, "%s", argument);
        size_t length = strlen(error.text);
        ES_EXPECT(length < sizeof error.text && length + 4 >= sizeof error.text);
        ES_EXPECT_EQ((length - shift) % 4, 0);
        ES_EXPECT(memcmp(error.text, argument, length) == 0);
    }
}

ES_TEST("every status has the exit code that the README promises") {
    ES_EXPECT_EQ(es_status_exit_code(ES_OK), 0);
    ES_EXPECT_EQ(es_status_exit_code(ES_ERR_NO), 1);
    ES_EXPECT_EQ(es_status_exit_code(ES_ERR_USAGE), 2);
    ES_EXPECT_EQ(es_status_exit_code(ES_ERR_INPUT), 3);
    ES_EXPECT_EQ(es_status_exit_code(ES_ERR_HARDWARE), 4);
    ES_EXPECT_EQ(es_status_exit_code(ES_ERR_OUTPUT), 5);
    ES_EXPECT_EQ(es_status_exit_code(ES_ERR_INTERRUPTED), 130);
}
