#include "tests/board_unit/journal_rig.h"

#include "platform/clock.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

struct es_journal_summary journal_rig_summary;

const char *journal_rig_path(void) {
    static char path[128];
    snprintf(path, sizeof path, "%s/journal", es_test_directory());
    return path;
}

void journal_rig_init(struct journal_rig *rig, uint64_t file_bytes) {
    memset(&rig->config, 0, sizeof rig->config);
    snprintf(rig->config.path, sizeof rig->config.path, "%s", journal_rig_path());
    rig->config.file_bytes = file_bytes;
    rig->config.boot_id = 7;
    es_plan_init(&rig->plan);
    es_journal_layout(&rig->plan, &rig->layout);
    ES_EXPECT_EQ(es_arena_reserve(&rig->arena, &rig->plan, &rig->error), ES_OK);
    es_journal_init(&rig->journal, &rig->config, &rig->layout, &rig->arena);
    rig->now_ms = es_clock_ns() / 1000000u;
}

void journal_rig_start(struct journal_rig *rig, uint64_t file_bytes) {
    journal_rig_init(rig, file_bytes);
    enum es_status status = es_journal_open(&rig->journal, &rig->error);
    ES_EXPECT_TEXT(status == ES_OK ? "" : rig->error.text, "");
}

void journal_rig_word(struct journal_rig *rig, const char *text) {
    const struct es_word word = {text, (uint32_t)strlen(text), 100, 350};
    es_journal_word(&rig->journal, &word);
}

void journal_rig_event(struct journal_rig *rig, const char *name, const char *text) {
    const struct es_event event = {name, text, 400};
    es_journal_event(&rig->journal, ES_LANE_CONTROL, &event);
}

void journal_rig_poll(struct journal_rig *rig) {
    rig->now_ms += 20;
    (void)es_journal_poll(&rig->journal, rig->now_ms);
}

void journal_rig_stop(struct journal_rig *rig) {
    es_journal_stop(&rig->journal);
    es_arena_release(&rig->arena);
}

static char printed[1u << 20];

static void print(void *context, const struct es_journal_entry *entry, uint64_t missing_number,
                  uint64_t missing_count) {
    size_t *used = context;
    size_t room = sizeof printed - *used;
    if (entry == NULL) {
        *used +=
            (size_t)snprintf(printed + *used, room, "missing %llu+%llu; ",
                             (unsigned long long)missing_number, (unsigned long long)missing_count);
    } else if (entry->kind == ES_JOURNAL_LOST) {
        *used += (size_t)snprintf(printed + *used, room, "lost %llu; ",
                                  (unsigned long long)entry->start_ms);
    } else {
        *used += (size_t)snprintf(printed + *used, room, "%llu %s%s%s%s; ",
                                  (unsigned long long)entry->number, entry->name,
                                  entry->name[0] != '\0' ? "=" : "", entry->text,
                                  entry->is_cut ? " (cut)" : "");
    }
    ES_EXPECT(*used < sizeof printed);
}

const char *journal_rig_print(const char *path) {
    size_t used = 0;
    struct es_error error;
    printed[0] = '\0';
    enum es_status status = es_journal_file_print(path, print, &used, &journal_rig_summary, &error);
    ES_EXPECT_TEXT(status == ES_OK ? "" : error.text, "");
    return printed;
}

static uint8_t loaded[128u << 10];

uint8_t *journal_rig_load(size_t *byte_count) {
    FILE *file = fopen(journal_rig_path(), "r");
    ES_EXPECT(file != NULL);
    *byte_count = fread(loaded, 1, sizeof loaded, file);
    fclose(file);
    return loaded;
}

void journal_rig_save(const uint8_t *bytes, size_t byte_count) {
    FILE *file = fopen(journal_rig_path(), "w");
    ES_EXPECT(file != NULL);
    ES_EXPECT_EQ(fwrite(bytes, 1, byte_count, file), byte_count);
    fclose(file);
}
