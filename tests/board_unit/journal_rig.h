/* journal_rig.h - a journal with its memory, in the test's directory, polled by hand.
 *
 *   journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);      es_journal_open; ROOT/journal
 *   journal_rig_word(&rig, "seven");
 *   journal_rig_stop(&rig);
 *   text = journal_rig_print(path);                     "0 seven; 1 eight; missing 2+1; " */
#pragma once

#include "board/journal.h"
#include "board/journal_file.h"

struct journal_rig {
    struct es_plan plan;
    struct es_arena arena;
    struct es_journal_layout layout;
    struct es_journal_config config;
    struct es_journal journal;
    struct es_error error;
    uint64_t now_ms;
};

const char *journal_rig_path(void);
/* Everything but the opening. */
void journal_rig_init(struct journal_rig *rig, uint64_t file_bytes);
void journal_rig_start(struct journal_rig *rig, uint64_t file_bytes);
void journal_rig_word(struct journal_rig *rig, const char *text);
void journal_rig_event(struct journal_rig *rig, const char *name, const char *text);
/* One round, 20 ms later. */
void journal_rig_poll(struct journal_rig *rig);
void journal_rig_stop(struct journal_rig *rig);

/* Static storage; the summary is kept in journal_rig_summary. */
const char *journal_rig_print(const char *path);
extern struct es_journal_summary journal_rig_summary;

/* The whole file; bytes [byte_count] in static storage of 128 KiB. */
uint8_t *journal_rig_load(size_t *byte_count);
void journal_rig_save(const uint8_t *bytes, size_t byte_count);
