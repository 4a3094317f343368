/* journal_file.h - the journal's slots: written, found again, read in order.
 *
 *   fd = es_journal_file_open(path, file_bytes, &file, &error);      for writing
 *   es_journal_slot_write(slot, &header, text, text_bytes);          one slot, with its CRC
 *   status = es_journal_file_print(path, print, context, &summary, &error);   `earshot journal`
 *
 * A slot, little-endian: 0 crc32c of the rest, 4 magic, 6 kind, 7 flags, 8 number, 16 boot id,
 * 24 monotonic ms, 32 unix ms (0: not known), 40 start ms, 48 duration ms, 52 text bytes here,
 * 53..55 zero, 56 text. An event's text is its name, a zero byte and the line. Of a `lost` record
 * start_ms counts the records. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ES_JOURNAL_SLOT_TEXT_BYTES (ES_JOURNAL_SLOT_BYTES - 56u)

enum es_journal_kind {
    ES_JOURNAL_WORD = 1,
    ES_JOURNAL_EVENT = 2,
    ES_JOURNAL_LOST = 3 /* start_ms counts the records that found no room */
};

/* One record as the reader gives it out; the text of its slots joined. */
struct es_journal_entry {
    uint64_t number; /* of its first slot */
    enum es_journal_kind kind;
    uint64_t boot_id;
    uint64_t monotonic_ms;
    int64_t unix_ms; /* 0: the clock was not set yet */
    uint64_t start_ms;
    uint64_t end_ms;
    bool is_cut;                    /* a slot of its text is damaged or gone */
    char name[ES_EVENT_NAME_BYTES]; /* of an event, terminated */
    uint32_t text_bytes;
    char text[ES_WORD_BYTES_MAX + 1u]; /* terminated; bytes as they were written */
};

/* What the file holds. */
struct es_journal_summary {
    uint64_t slot_count;
    uint64_t present_slots; /* of these, how many the file is long enough for */
    uint64_t next_number;   /* 1 + the highest; 0 when there is none */
    uint64_t entry_count;   /* given out */
    uint64_t damaged_slots; /* not empty, and the CRC or the number is wrong */
    uint64_t missing_slots; /* numbers that should be there and are not (with the damaged) */
    bool is_head_damaged;
};

/* Called in rising order of numbers. A run of missing slots comes as `entry` NULL with the first
 * number and how many. */
typedef void es_journal_print(void *context, const struct es_journal_entry *entry,
                              uint64_t missing_number, uint64_t missing_count);

/* Opens for writing, makes and preallocates when there is none, locks against other writers,
 * narrows the mode to 0600. Returns the descriptor or an es_status < 0; sets what the writer
 * needs. `notice` gets a line when something had to be put right, else "". */
struct es_journal_file {
    uint64_t slot_count;
    uint64_t next_number;
};
int es_journal_file_open(const char *path, uint64_t file_bytes, struct es_journal_file *file,
                         struct es_error *notice, struct es_error *error);

/* Whether es_journal_file_open would take the path, without writing anything: 1 where it goes on
 * with what is there, 0 where it would begin one, or an es_status < 0 with the line. */
int es_journal_file_check(const char *path, struct es_journal_summary *found,
                          struct es_error *error);

/* Byte offset of record `number`. */
uint64_t es_journal_slot_offset(uint64_t number, uint64_t slot_count);

struct es_journal_slot {
    uint64_t number;
    uint64_t boot_id;
    uint64_t monotonic_ms;
    int64_t unix_ms;
    uint64_t start_ms;
    uint32_t duration_ms;
    uint8_t kind;
    bool is_continued;    /* the text goes on in the next slot */
    bool is_continuation; /* and this is such a slot */
    uint8_t text_bytes;
    char text[ES_JOURNAL_SLOT_TEXT_BYTES];
};

/* bytes [ES_JOURNAL_SLOT_BYTES]. Decoding: false when empty, torn or of another version. */
void es_journal_slot_encode(const struct es_journal_slot *slot, uint8_t *bytes);
bool es_journal_slot_decode(struct es_journal_slot *slot, const uint8_t *bytes);
bool es_journal_slot_is_empty(const uint8_t *bytes);

/* bytes [ES_JOURNAL_HEAD_BYTES]: the name, the size of a slot, how many there are, a CRC. Decoding:
 * false when it is damaged; the file's length then says how many. */
void es_journal_head_encode(uint64_t slot_count, uint8_t *bytes);
bool es_journal_head_decode(const uint8_t *bytes, uint64_t *slot_count);

/* Reads through all slots. ES_ERR_INPUT: unreadable, or no journal (`path` is for messages). A file
 * that holds nothing but zeros is a journal that was never begun: slot_count 0. */
ES_MUST_CHECK enum es_status es_journal_file_scan(int fd, const char *path,
                                                  struct es_journal_summary *summary,
                                                  struct es_error *error);

/* Reads without locking; a writer may go on meanwhile. ES_ERR_INPUT: missing, unreadable, or no
 * journal. Allocates nothing. Any thread. */
ES_MUST_CHECK enum es_status es_journal_file_print(const char *path, es_journal_print *print,
                                                   void *context,
                                                   struct es_journal_summary *summary,
                                                   struct es_error *error);
/* The same for an open descriptor; `path` is for messages. */
ES_MUST_CHECK enum es_status es_journal_file_print_fd(int fd, const char *path,
                                                      es_journal_print *print, void *context,
                                                      struct es_journal_summary *summary,
                                                      struct es_error *error);
