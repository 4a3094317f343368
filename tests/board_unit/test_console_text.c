#include "board/console_text.h"

#include "board/ascii.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

static struct es_console_text text;

static const char *cleaned(const char *bytes, size_t byte_count, bool is_ascii) {
    static char out[ES_CONSOLE_TEXT_BYTES_MAX + 1u];
    struct es_utf8 utf8 = {0};
    text.used_bytes = 0;
    es_console_text_add(&text, &utf8, bytes, (uint32_t)byte_count, is_ascii);
    es_console_text_finish(&text, &utf8, is_ascii);
    memcpy(out, text.bytes, text.used_bytes);
    out[text.used_bytes] = '\0';
    return out;
}

ES_TEST("whatever bytes come, what goes out is printable: every pair of them") {
    for (int first = 0; first < 256; first++) {
        for (int second = 0; second < 256; second++) {
            const char bytes[2] = {(char)first, (char)second};
            for (const char *at = cleaned(bytes, 2, true); *at != '\0'; at++) {
                ES_EXPECT(*at >= 0x20 && *at < 0x7F);
            }
            for (const char *at = cleaned(bytes, 2, false); *at != '\0'; at++) {
                ES_EXPECT((uint8_t)*at >= 0x20 && *at != 0x7F);
                /* U+0080 to U+009F drive some terminals */
                ES_EXPECT((uint8_t)*at != 0xC2 || (uint8_t)at[1] >= 0xA0);
            }
        }
    }
}

ES_TEST("text that is in order passes as it is") {
    static const char fine[] = "caf\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x99\x82 ok";
    ES_EXPECT_TEXT(cleaned(fine, sizeof fine - 1, false), fine);
    ES_EXPECT_TEXT(cleaned("a\tb\nc", 5, false), "a b c");
}

ES_TEST("ASCII has a letter for each of Latin's, and '?' for what it cannot say") {
    char out[ES_ASCII_BYTES_MAX];
    uint32_t unknown_count = 0;
    for (uint32_t codepoint = 0; codepoint < 0x3000; codepoint++) {
        uint32_t count = es_ascii_of(codepoint, out);
        ES_EXPECT(count >= 1 && count <= ES_ASCII_BYTES_MAX);
        for (uint32_t i = 0; i < count; i++) {
            ES_EXPECT(out[i] >= 0x20 && out[i] < 0x7F);
        }
        if (codepoint >= 0xC0 && codepoint < 0x180) {
            unknown_count += out[0] == '?';
        }
    }
    ES_EXPECT_EQ(unknown_count, 0);
    static const char german[] =
        "\xC3\x84pfel \xC3\xBC\xC3\x9F \xE2\x80\x9Eja\xE2\x80\x9C \xE2\x82\xAC";
    ES_EXPECT_TEXT(cleaned(german, sizeof german - 1, true), "Aepfel uess \"ja\" EUR");
    static const char polish[] = "\xC5\x81\xC3\xB3"
                                 "d\xC5\xBA \xC5\xBF";
    ES_EXPECT_TEXT(cleaned(polish, sizeof polish - 1, true), "Lodz s");
}

ES_TEST("stamps count hours on, or wrap with the day") {
    char stamp[ES_CONSOLE_STAMP_BYTES];
    ES_EXPECT_EQ(es_console_stamp(stamp, 3723999, false), 10);
    ES_EXPECT_TEXT(stamp, "[01:02:03]");
    es_console_stamp(stamp, 90000000, false);
    ES_EXPECT_TEXT(stamp, "[25:00:00]");
    es_console_stamp(stamp, 90000000, true);
    ES_EXPECT_TEXT(stamp, "[01:00:00]");
    ES_EXPECT(es_console_stamp(stamp, UINT64_MAX, false) < ES_CONSOLE_STAMP_BYTES);
}

ES_TEST("JSON for ASCII escapes by UTF-16 units") {
    char line[4096] = "{\"a\":\"\xC3\x9F\xE6\x97\xA5\xF0\x9F\x99\x82z\"}";
    size_t bytes = es_console_json_ascii(line, strlen(line));
    line[bytes] = '\0';
    ES_EXPECT_TEXT(line, "{\"a\":\"\\u00df\\u65e5\\ud83d\\ude42z\"}");
    ES_EXPECT_EQ(es_console_json_ascii(line, 0), 0);
}
