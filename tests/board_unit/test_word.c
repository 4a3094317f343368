#include "board/word.h"

#include "tests/support/test.h"

#include <string.h>

static char line[ES_WORD_JSON_BYTES_MAX + 1];

ES_TEST("a word is one JSON object, as transcribe prints it") {
    const struct es_word word = {"seven up", 5, 1450, 2000};
    line[es_word_json(&word, line)] = '\0';
    ES_EXPECT_TEXT(line, "{\"start_ms\":1450,\"end_ms\":2000,\"text\":\"seven\"}");
}

ES_TEST("an event is one JSON object, and its name and text are escaped") {
    const struct es_event event = {"state", "a \"b\"\n", 5210};
    line[es_event_json(&event, line)] = '\0';
    ES_EXPECT_TEXT(line, "{\"event\":\"state\",\"at_ms\":5210,\"text\":\"a \\\"b\\\"\\u000a\"}");
}

ES_TEST("the longest word and the longest event fit, each byte escaped") {
    char text[ES_WORD_BYTES_MAX + 100];
    memset(text, 1, sizeof text);
    text[sizeof text - 1] = '\0';
    const struct es_word word = {text, ES_WORD_BYTES_MAX, UINT64_MAX, UINT64_MAX};
    size_t bytes = es_word_json(&word, line);
    es_test_note("%zu of %u bytes", bytes, ES_WORD_JSON_BYTES_MAX);
    ES_EXPECT(bytes <= ES_WORD_JSON_BYTES_MAX);
    char name[100];
    memset(name, 1, sizeof name);
    name[sizeof name - 1] = '\0';
    const struct es_event event = {name, text, UINT64_MAX};
    bytes = es_event_json(&event, line);
    es_test_note("%zu of %u bytes", bytes, ES_WORD_JSON_BYTES_MAX);
    ES_EXPECT(bytes <= ES_WORD_JSON_BYTES_MAX);
}
