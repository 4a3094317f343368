#include "board/journal.h"

#include "board/crc32c.h"
#include "tests/board_unit/journal_rig.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct journal_rig rig;

#define SLOT_COUNT ((ES_JOURNAL_BYTES_MIN - ES_JOURNAL_HEAD_BYTES) / ES_JOURNAL_SLOT_BYTES)

static void start_new(void) {
    unlink(journal_rig_path());
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
}

ES_TEST("the CRC is Castagnoli's") {
    ES_EXPECT_EQ(es_crc32c("123456789", 9), 0xE3069283u);
    uint8_t zeros[32] = {0};
    ES_EXPECT_EQ(es_crc32c(zeros, sizeof zeros), 0x8A9136AAu); /* RFC 3720, B.4 */
    ES_EXPECT_EQ(es_crc32c("", 0), 0);
}

ES_TEST("what was said is read again, in order, for this user alone") {
    struct stat info;
    start_new();
    ES_EXPECT_EQ(stat(journal_rig_path(), &info), 0);
    ES_EXPECT_EQ(info.st_mode & 0777, 0600);
    ES_EXPECT_EQ(info.st_size, ES_JOURNAL_BYTES_MIN);
    ES_EXPECT(info.st_blocks * 512 >= (off_t)ES_JOURNAL_BYTES_MIN); /* allocated, and no hole */
    journal_rig_word(&rig, "seven");
    journal_rig_event(&rig, "state", "muted");
    journal_rig_word(&rig, "up");
    journal_rig_stop(&rig);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; 1 state=muted; 2 up; ");
    ES_EXPECT_EQ(journal_rig_summary.slot_count, SLOT_COUNT);
    ES_EXPECT_EQ(journal_rig_summary.entry_count, 3);
    ES_EXPECT_EQ(journal_rig_summary.damaged_slots, 0);
    ES_EXPECT_EQ(journal_rig_summary.missing_slots, 0);
    /* and goes on */
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
    journal_rig_word(&rig, "again");
    journal_rig_stop(&rig);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()),
                   "0 seven; 1 state=muted; 2 up; 3 again; ");
}

static struct es_journal_entry last_entry;

static void keep_last(void *context, const struct es_journal_entry *entry, uint64_t number,
                      uint64_t count) {
    (void)context;
    (void)number;
    (void)count;
    last_entry = *entry;
}

ES_TEST("times, boot id and, once it is known, the time of day are kept") {
    struct es_error error;
    start_new();
    journal_rig_word(&rig, "a");
    journal_rig_poll(&rig);
    ES_EXPECT_EQ(
        es_journal_file_print(journal_rig_path(), keep_last, NULL, &journal_rig_summary, &error),
        ES_OK);
    ES_EXPECT_EQ(last_entry.unix_ms, 0);
    ES_EXPECT_EQ(last_entry.boot_id, 7);
    ES_EXPECT_EQ(last_entry.start_ms, 100);
    ES_EXPECT_EQ(last_entry.end_ms, 350);
    ES_EXPECT(last_entry.monotonic_ms > 0);
    es_journal_set_clock(&rig.journal, 1764000000000);
    journal_rig_word(&rig, "b");
    journal_rig_stop(&rig);
    ES_EXPECT_EQ(
        es_journal_file_print(journal_rig_path(), keep_last, NULL, &journal_rig_summary, &error),
        ES_OK);
    ES_EXPECT_EQ(last_entry.unix_ms, 1764000000000 + (int64_t)last_entry.monotonic_ms);
}

ES_TEST("the longest word and the longest event come back whole") {
    char text[ES_WORD_BYTES_MAX + 1];
    char wanted[2 * ES_WORD_BYTES_MAX + 64];
    memset(text, 'x', sizeof text);
    text[ES_WORD_BYTES_MAX] = '\0';
    start_new();
    journal_rig_word(&rig, text);
    journal_rig_event(&rig, "a-name-of-15-ch", text);
    journal_rig_stop(&rig);
    snprintf(wanted, sizeof wanted, "0 %s; 8 a-name-of-15-ch=%s; ", text, text);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), wanted);
}

ES_TEST("a full ring forgets the oldest, slot by slot") {
    start_new();
    uint64_t count = SLOT_COUNT * 3u + 11u;
    for (uint64_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "w%llu", (unsigned long long)i);
        journal_rig_word(&rig, text);
        if (i % 20u == 0) {
            journal_rig_poll(&rig);
        }
    }
    journal_rig_stop(&rig);
    const char *text = journal_rig_print(journal_rig_path());
    char first[64];
    snprintf(first, sizeof first, "%llu w%llu; ", (unsigned long long)(count - SLOT_COUNT),
             (unsigned long long)(count - SLOT_COUNT));
    ES_EXPECT_EQ(strncmp(text, first, strlen(first)), 0);
    ES_EXPECT_EQ(journal_rig_summary.entry_count, SLOT_COUNT);
    ES_EXPECT_EQ(journal_rig_summary.missing_slots, 0);
    ES_EXPECT_EQ(journal_rig_summary.next_number, count);
}

/* -- power cuts -------------------------------------------------------------------------------- */

static uint8_t before[ES_JOURNAL_BYTES_MIN];
static uint8_t after[ES_JOURNAL_BYTES_MIN];
static uint8_t torn[ES_JOURNAL_BYTES_MIN];

static void keep(uint8_t *copy) {
    size_t byte_count;
    const uint8_t *bytes = journal_rig_load(&byte_count);
    ES_EXPECT_EQ(byte_count, ES_JOURNAL_BYTES_MIN);
    memcpy(copy, bytes, byte_count);
}

/* What a torn image must still say, and that the writer goes on. */
static void expect_survival(const char *says_before) {
    journal_rig_save(torn, sizeof torn);
    const char *text = journal_rig_print(journal_rig_path());
    ES_EXPECT_EQ(strncmp(text, says_before, strlen(says_before)), 0);
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
    journal_rig_word(&rig, "goes on");
    journal_rig_stop(&rig);
    text = journal_rig_print(journal_rig_path());
    ES_EXPECT_EQ(strncmp(text, says_before, strlen(says_before)), 0);
    ES_EXPECT_CONTAINS(text, " goes on; ");
    ES_EXPECT_TEXT(strstr(text, " goes on; "), " goes on; "); /* and nothing after it */
}

/* Writes to `first_count` words, keeps the image, writes a long word and two short ones, and tears
 * that write at every byte; `junk` is what a torn sector holds. */
static void tear_everywhere(uint64_t first_count) {
    static char says[1u << 16];
    char text[200];
    start_new();
    for (uint64_t i = 0; i < first_count; i++) {
        snprintf(text, sizeof text, "w%llu", (unsigned long long)i);
        journal_rig_word(&rig, text);
        journal_rig_poll(&rig);
    }
    keep(before);
    snprintf(says, sizeof says, "%s", journal_rig_print(journal_rig_path()));
    memset(text, 'y', sizeof text);
    text[199] = '\0';
    journal_rig_word(&rig, text);
    journal_rig_word(&rig, "short");
    journal_rig_word(&rig, "end");
    journal_rig_stop(&rig);
    keep(after);
    uint32_t cut_count = 0;
    /* A ring that is full has to forget the oldest five for these five slots. */
    const char *still_there = says;
    for (uint64_t i = 0; first_count >= SLOT_COUNT && i < 5; i++) {
        still_there = strstr(still_there, "; ") + 2;
    }
    for (size_t at = 0; at < sizeof after; at++) {
        if (before[at] == after[at] && (at % 512u != 0 || before[at] == 0)) {
            continue;
        }
        /* up to here the new one, from here the old one; and the other way round */
        memcpy(torn, before, sizeof torn);
        memcpy(torn, after, at);
        if (first_count < SLOT_COUNT) {
            expect_survival(still_there);
        } else {
            journal_rig_save(torn, sizeof torn);
            ES_EXPECT(strstr(journal_rig_print(journal_rig_path()), still_there) != NULL);
        }
        memcpy(torn, after, sizeof torn);
        memcpy(torn, before, at);
        journal_rig_save(torn, sizeof torn);
        ES_EXPECT(strstr(journal_rig_print(journal_rig_path()), still_there) != NULL);
        cut_count++;
    }
    es_test_note("%u places torn, in both directions", cut_count);
    ES_EXPECT(cut_count > 250);
}

ES_TEST("power cut at any byte of several records: all before it is there, and it goes on") {
    tear_everywhere(9);
}

ES_TEST("power cut at any byte, when the ring is full: only what was being replaced is gone") {
    tear_everywhere(SLOT_COUNT + 40u);
}

ES_TEST("a sector of junk costs its slots, and is said") {
    start_new();
    for (int i = 0; i < 100; i++) {
        journal_rig_word(&rig, "w");
        journal_rig_poll(&rig);
    }
    journal_rig_stop(&rig);
    keep(torn);
    memset(torn + ES_JOURNAL_HEAD_BYTES + 1024, 0xA5, 512);
    journal_rig_save(torn, sizeof torn);
    ES_EXPECT_CONTAINS(journal_rig_print(journal_rig_path()), "7 w; missing 8+4; 12 w; ");
    ES_EXPECT_EQ(journal_rig_summary.damaged_slots, 4);
    ES_EXPECT_EQ(journal_rig_summary.missing_slots, 4);
    ES_EXPECT_EQ(journal_rig_summary.entry_count, 96);
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
    struct es_error notice;
    ES_EXPECT(es_journal_take_trouble(&rig.journal, &notice));
    ES_EXPECT_CONTAINS(notice.text, "4 damaged slots (a power cut?)");
    ES_EXPECT(!es_journal_take_trouble(&rig.journal, &notice));
    journal_rig_stop(&rig);
}

ES_TEST("a long word whose slot is gone is cut, and says so") {
    char text[200];
    memset(text, 'z', sizeof text);
    text[199] = '\0';
    start_new();
    journal_rig_word(&rig, text); /* slots 0 to 2 */
    journal_rig_word(&rig, "next");
    journal_rig_stop(&rig);
    keep(torn);
    torn[ES_JOURNAL_HEAD_BYTES + ES_JOURNAL_SLOT_BYTES + 60] ^= 1;
    journal_rig_save(torn, sizeof torn);
    const char *said = journal_rig_print(journal_rig_path());
    ES_EXPECT_CONTAINS(said, "z (cut); missing 1+1; 2 zz");
    ES_EXPECT_CONTAINS(said, "(cut); 3 next; ");
}

ES_TEST("a damaged head is put right, and the records are all there") {
    start_new();
    journal_rig_word(&rig, "seven");
    journal_rig_stop(&rig);
    keep(torn);
    memset(torn, 0xFF, ES_JOURNAL_HEAD_BYTES);
    journal_rig_save(torn, sizeof torn);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; ");
    ES_EXPECT(journal_rig_summary.is_head_damaged);
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
    journal_rig_stop(&rig);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; ");
    ES_EXPECT(!journal_rig_summary.is_head_damaged);
}

ES_TEST("a cut while the journal was made leaves something that becomes one") {
    static const size_t lengths[] = {0, 1, 4095, 4096, 4097, 60000, 65536};
    static const uint8_t zeros[ES_JOURNAL_BYTES_MIN];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        journal_rig_save(zeros, lengths[i]);
        ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "");
        journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
        journal_rig_word(&rig, "seven");
        journal_rig_stop(&rig);
        ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; ");
    }
}

ES_TEST("a journal that was cut short is made whole again") {
    start_new();
    journal_rig_word(&rig, "seven");
    journal_rig_stop(&rig);
    ES_EXPECT_EQ(truncate(journal_rig_path(), 10000), 0);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; ");
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
    journal_rig_word(&rig, "up");
    journal_rig_stop(&rig);
    struct stat info;
    ES_EXPECT_EQ(stat(journal_rig_path(), &info), 0);
    ES_EXPECT_EQ(info.st_size, ES_JOURNAL_BYTES_MIN);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; 1 up; ");
}
