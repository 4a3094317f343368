#include "platform/utf8.h"

#include "tests/support/test.h"

#include <string.h>

/* Feeds bytes and joins what comes out; `finish` says whether the end comes after them. */
static const char *through(const char *bytes, bool finish) {
    static char joined[256];
    struct es_utf8 utf8 = {0};
    struct es_utf8_character characters[ES_UTF8_CHARACTERS_PER_BYTE];
    size_t used = 0;
    size_t byte_count = strlen(bytes);
    for (size_t i = 0; i < byte_count + (finish ? 1u : 0u); i++) {
        uint32_t count = i < byte_count ? es_utf8_push(&utf8, (uint8_t)bytes[i], characters)
                                        : es_utf8_finish(&utf8, characters);
        for (uint32_t c = 0; c < count; c++) {
            memcpy(joined + used, characters[c].bytes, characters[c].byte_count);
            used += characters[c].byte_count;
        }
    }
    joined[used] = '\0';
    return joined;
}

#define FFFD "\xEF\xBF\xBD"

ES_TEST("whole characters of one to four bytes come through unchanged") {
    const char *text = "a\x7F\xC2\x80 \xC3\xA9 \xDF\xBF \xE0\xA0\x80 \xE2\x82\xAC \xED\x9F\xBF "
                       "\xEF\xBF\xBF \xF0\x90\x80\x80 \xF0\x9F\x99\x82 \xF4\x8F\xBF\xBF";
    ES_EXPECT_TEXT(through(text, true), text);
}

ES_TEST("a part of a character is held back until the rest is there") {
    struct es_utf8 utf8 = {0};
    struct es_utf8_character characters[ES_UTF8_CHARACTERS_PER_BYTE];
    ES_EXPECT_EQ(es_utf8_push(&utf8, 0xF0, characters), 0);
    ES_EXPECT_EQ(es_utf8_push(&utf8, 0x9F, characters), 0);
    ES_EXPECT_EQ(es_utf8_push(&utf8, 0x99, characters), 0);
    ES_EXPECT_EQ(es_utf8_push(&utf8, 0x82, characters), 1);
    ES_EXPECT_EQ(characters[0].byte_count, 4);
    ES_EXPECT(!characters[0].is_replacement);
    ES_EXPECT_EQ(es_utf8_finish(&utf8, characters), 0);
}

/* The Unicode Standard, table 3-8: one U+FFFD for each maximal part. */
ES_TEST("bytes that are no character become one U+FFFD for each maximal part") {
    ES_EXPECT_TEXT(through("a\xF1\x80\x80\xE1\x80\xC2"
                           "b\x80"
                           "c\x80\xBF"
                           "d",
                           true),
                   "a" FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d");
}

ES_TEST("overlong forms, surrogates and values beyond U+10FFFF are no characters") {
    ES_EXPECT_TEXT(through("\xC0\xAF", true), FFFD FFFD);
    ES_EXPECT_TEXT(through("\xE0\x9F\x80", true), FFFD FFFD FFFD);
    ES_EXPECT_TEXT(through("\xED\xA0\x80", true), FFFD FFFD FFFD);
    ES_EXPECT_TEXT(through("\xF0\x8F\x80\x80", true), FFFD FFFD FFFD FFFD);
    ES_EXPECT_TEXT(through("\xF4\x90\x80\x80", true), FFFD FFFD FFFD FFFD);
    ES_EXPECT_TEXT(through("\xF5\xFF", true), FFFD FFFD);
}

ES_TEST("what the end cuts off becomes one U+FFFD, and only at the end") {
    ES_EXPECT_TEXT(through("yes \xE2\x82", false), "yes ");
    ES_EXPECT_TEXT(through("yes \xE2\x82", true), "yes " FFFD);
}
