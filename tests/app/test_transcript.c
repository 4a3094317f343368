#include "app/transcript.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A vocabulary of a few pieces: id = 1000 + index. */
static const char *const pieces[] = {" yes", " no",      "\xC3", "\xA9", " New York", "caf",
                                     " a",   " \"q\"\\", "b",    "\x80", "\n",        " x y zz"};
#define PIECE_COUNT ((uint32_t)(sizeof pieces / sizeof pieces[0]))
enum { YES = 1000, NO, C3, A9, NEW_YORK, CAF, A, QUOTE, B, X80, LINE_FEED, XYZ };
#define PAD ES_ID_STREAMING_PAD
#define WORD ES_ID_STREAMING_WORD
#define DELAY 6u

static uint32_t offsets[1000 + PIECE_COUNT + 1];
static char text[256];
static struct es_tokenizer tokenizer;
static struct es_transcript transcript;
static struct es_output output;
static int ends[2];
static uint64_t position;

static void begin(enum es_transcript_format format) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < PIECE_COUNT; i++) {
        offsets[1000 + i] = used;
        memcpy(text + used, pieces[i], strlen(pieces[i]));
        used += (uint32_t)strlen(pieces[i]);
    }
    offsets[1000 + PIECE_COUNT] = used;
    tokenizer = (struct es_tokenizer){
        .offsets = offsets, .text = text, .vocab_size = 1000 + PIECE_COUNT, .special_count = 1000};
    ES_EXPECT(pipe(ends) == 0);
    es_output_init(&output, ends[1], "the pipe");
    struct es_transcript_config config = {
        .format = format, .delay_positions = DELAY, .tokenizer = &tokenizer, .output = &output};
    es_transcript_start(&transcript, &config);
    transcript.audio_ms = 1000000;
    position = 32 + DELAY; /* of the first decision */
}

static void give(int32_t id) {
    struct es_token token = {.id = id, .fed_id = id, .margin = 2.5f, .position = position++};
    es_transcript_token(&transcript, &token);
}

/* What was written since the last look. */
static const char *seen(void) {
    static char got[8192];
    ES_EXPECT(write(ends[1], "", 1) == 1); /* so that the read never waits */
    ssize_t count = read(ends[0], got, sizeof got - 1);
    ES_EXPECT(count >= 1);
    got[count - 1] = '\0';
    return got;
}

static const char *finish(void) {
    es_transcript_finish(&transcript);
    const char *got = seen();
    close(ends[0]);
    close(ends[1]);
    return got;
}

ES_TEST("text comes out piece by piece, trimmed at the front, ended by a line feed") {
    begin(ES_TRANSCRIPT_TEXT);
    give(PAD);
    give(WORD);
    ES_EXPECT_TEXT(seen(), "");
    give(YES);
    ES_EXPECT_TEXT(seen(), "yes");
    give(PAD);
    give(WORD);
    give(NO);
    ES_EXPECT_TEXT(seen(), " no");
    ES_EXPECT_TEXT(finish(), "\n");
}

ES_TEST("a recording without words is an empty line") {
    begin(ES_TRANSCRIPT_TEXT);
    give(PAD);
    give(PAD);
    ES_EXPECT_TEXT(finish(), "\n");
}

ES_TEST("a character split over tokens comes out whole, with control ids between its parts") {
    begin(ES_TRANSCRIPT_TEXT);
    give(WORD);
    give(CAF);
    give(C3);
    ES_EXPECT_TEXT(seen(), "caf");
    give(PAD);
    give(ES_ID_EOS);
    give(WORD);
    ES_EXPECT_TEXT(seen(), "");
    give(A9);
    ES_EXPECT_TEXT(seen(), "\xC3\xA9");
    ES_EXPECT_TEXT(finish(), "\n");
    ES_EXPECT_EQ(transcript.counters.replaced_count, 0);
}

ES_TEST("bytes that are no character are replaced and counted") {
    begin(ES_TRANSCRIPT_TEXT);
    give(X80);
    give(C3);
    give(B);
    give(C3);
    ES_EXPECT_TEXT(finish(), "\xEF\xBF\xBD\xEF\xBF\xBD"
                             "b\xEF\xBF\xBD\n");
    ES_EXPECT_EQ(transcript.counters.replaced_count, 3);
}

ES_TEST("a word ends 80 ms times the positions that the mark lies beyond padding and delay") {
    begin(ES_TRANSCRIPT_JSONL);
    for (uint32_t i = 0; i < 9; i++) {
        give(PAD);
    }
    give(WORD); /* decided at position 32 + 6 + 9, fed at the next: k = 10 */
    give(YES);
    give(WORD); /* two positions later */
    ES_EXPECT_TEXT(seen(), "{\"start_ms\":500,\"end_ms\":800,\"text\":\"yes\"}\n");
    give(NO);
    ES_EXPECT_CONTAINS(finish(), "{\"start_ms\":800,\"end_ms\":960,\"text\":\"no\"}\n");
}

ES_TEST("a word is given out after four pads, or at the end") {
    begin(ES_TRANSCRIPT_JSONL);
    give(WORD);
    give(YES);
    give(PAD);
    give(PAD);
    give(PAD);
    ES_EXPECT_TEXT(seen(), "");
    give(PAD);
    ES_EXPECT_CONTAINS(seen(), "\"text\":\"yes\"}\n");
    give(WORD);
    give(CAF);
    give(C3);
    ES_EXPECT_TEXT(seen(), "");
    ES_EXPECT_CONTAINS(finish(), "\"text\":\"caf\xEF\xBF\xBD\"}\n{\"event\":\"end\",");
}

ES_TEST("a mark inside of a character waits for the rest of the character") {
    begin(ES_TRANSCRIPT_JSONL);
    give(WORD);
    give(CAF);
    give(C3);
    give(WORD);
    give(A9);
    ES_EXPECT_CONTAINS(seen(), "\"text\":\"caf\xC3\xA9\"}\n");
    give(NO);
    /* The mark was the fourth decision: k = 4. */
    ES_EXPECT_CONTAINS(finish(), "\"end_ms\":320,\"text\":\"no\"}\n");
    ES_EXPECT_EQ(transcript.counters.word_count, 2);
}

ES_TEST("words of one group share its time by their characters") {
    begin(ES_TRANSCRIPT_JSONL);
    for (uint32_t i = 0; i < 19; i++) {
        give(PAD);
    }
    give(WORD); /* ends at 1600, starts a nominal word before that */
    give(XYZ);
    ES_EXPECT_CONTAINS(finish(), "{\"start_ms\":1300,\"end_ms\":1375,\"text\":\"x\"}\n"
                                 "{\"start_ms\":1375,\"end_ms\":1450,\"text\":\"y\"}\n"
                                 "{\"start_ms\":1450,\"end_ms\":1600,\"text\":\"zz\"}\n");
    ES_EXPECT_EQ(transcript.counters.word_count, 3);
}

ES_TEST("text without a mark is words all the same, parted at spaces") {
    begin(ES_TRANSCRIPT_JSONL);
    give(PAD);
    give(YES); /* as if the mark had been the decision before: k = 1 */
    give(B);
    give(A);
    const char *got = seen();
    ES_EXPECT_CONTAINS(got, "\"end_ms\":80,\"text\":\"yesb\"}\n");
    got = finish();
    ES_EXPECT_CONTAINS(got, "\"end_ms\":240,\"text\":\"a\"}\n");
    ES_EXPECT_EQ(transcript.counters.word_count, 2);
}

ES_TEST("no word ends after the audio, and none before the word in front of it") {
    begin(ES_TRANSCRIPT_JSONL);
    transcript.audio_ms = 130;
    give(WORD);
    give(YES);
    give(WORD); /* would end at 240 */
    give(NO);
    ES_EXPECT_CONTAINS(finish(), "{\"start_ms\":0,\"end_ms\":80,\"text\":\"yes\"}\n"
                                 "{\"start_ms\":80,\"end_ms\":130,\"text\":\"no\"}\n");
}

ES_TEST("text in JSON is escaped") {
    begin(ES_TRANSCRIPT_JSONL);
    give(WORD);
    give(QUOTE);
    ES_EXPECT_CONTAINS(finish(), "\"text\":\"\\\"q\\\"\\\\\"}\n");
}

ES_TEST("a group longer than its bound is cut into words, and nothing is lost") {
    begin(ES_TRANSCRIPT_JSONL);
    give(WORD);
    for (uint32_t i = 0; i < ES_WORD_BYTES_MAX + 10u; i++) {
        give(B);
    }
    const char *got = finish();
    uint32_t letters = 0;
    for (const char *c = strstr(got, "\"b"); c != NULL && *c != '\0' && *c != 'v'; c++) {
        letters += *c == 'b';
    }
    ES_EXPECT_EQ(letters, ES_WORD_BYTES_MAX + 10u);
    ES_EXPECT_EQ(transcript.counters.word_count, 2);
}

ES_TEST("the end event counts tokens, words and blanks") {
    begin(ES_TRANSCRIPT_JSONL);
    transcript.audio_ms = 4321;
    give(PAD);
    give(PAD);
    give(PAD);
    give(WORD);
    give(NEW_YORK);
    give(PAD);
    ES_EXPECT_CONTAINS(
        finish(), "{\"event\":\"end\",\"audio_ms\":4321,\"delay_ms\":480,\"positions\":44,"
                  "\"tokens\":6,\"words\":2,\"blanks\":4,\"longest_blank_run\":3,"
                  "\"min_margin\":2.500000,\"replaced_characters\":0,\"interrupted\":false}\n");
}

ES_TEST("tokens are one id per line, control ids included") {
    begin(ES_TRANSCRIPT_TOKENS);
    give(PAD);
    give(WORD);
    give(YES);
    give(ES_ID_EOS);
    ES_EXPECT_TEXT(finish(), "32\n33\n1000\n2\n");
}

ES_TEST("with margins a line is the id, a tab and six decimals") {
    begin(ES_TRANSCRIPT_MARGINS);
    give(PAD);
    give(YES);
    ES_EXPECT_TEXT(finish(), "32\t2.500000\n1000\t2.500000\n");
}

static char words_seen[256];

static void on_word(void *context, const char *word, uint32_t byte_count, uint64_t start_ms,
                    uint64_t end_ms) {
    ES_EXPECT(context == words_seen);
    ES_EXPECT(start_ms <= end_ms);
    size_t used = strlen(words_seen);
    (void)snprintf(words_seen + used, sizeof words_seen - used, "%.*s@%llu ", (int)byte_count, word,
                   (unsigned long long)end_ms);
}

ES_TEST("words are told beside the text that is printed") {
    begin(ES_TRANSCRIPT_TEXT);
    transcript.config.on_word = on_word;
    transcript.config.context = words_seen;
    give(WORD);
    give(YES);
    give(WORD);
    give(NEW_YORK);
    ES_EXPECT_TEXT(finish(), "yes New York\n");
    ES_EXPECT_TEXT(words_seen, "yes@80 New@148 York@240 ");
}
