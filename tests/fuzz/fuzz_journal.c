/* fuzz_journal.c - any bytes as a journal: read in order, and written on. The first byte chooses:
 * odd, and every slot and the head get a CRC that fits (otherwise no input would pass it). What is
 * accepted comes in rising order, and a record written behind it is read last. */
#include "board/crc32c.h"
#include "board/journal_file.h"
#include "platform/assert.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

struct seen {
    uint64_t next_number;
    uint64_t entry_count;
    uint64_t missing_count;
    struct es_journal_entry last;
};

static void look(void *context, const struct es_journal_entry *entry, uint64_t missing_number,
                 uint64_t missing_count) {
    struct seen *seen = context;
    uint64_t number = entry != NULL ? entry->number : missing_number;
    ES_ASSERT(number >= seen->next_number);
    seen->next_number = number + (entry != NULL ? 1u : missing_count);
    seen->missing_count += missing_count;
    if (entry != NULL) {
        ES_ASSERT(entry->text_bytes <= ES_WORD_BYTES_MAX);
        ES_ASSERT(entry->text[entry->text_bytes] == '\0');
        ES_ASSERT(strnlen(entry->name, sizeof entry->name) < sizeof entry->name);
        seen->entry_count++;
        seen->last = *entry;
    }
}

static void put_crc(uint8_t *bytes, uint32_t crc) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(crc >> (8 * i));
    }
}

static void make_valid(uint8_t *bytes, size_t byte_count) {
    if (byte_count >= ES_JOURNAL_HEAD_BYTES) {
        put_crc(bytes + 32, es_crc32c(bytes, 32));
    }
    for (size_t at = ES_JOURNAL_HEAD_BYTES; at + ES_JOURNAL_SLOT_BYTES <= byte_count;
         at += ES_JOURNAL_SLOT_BYTES) {
        put_crc(bytes + at, es_crc32c(bytes + at + 4, ES_JOURNAL_SLOT_BYTES - 4u));
    }
}

static bool read_all(int fd, struct seen *seen, struct es_journal_summary *summary) {
    struct es_error error = {""};
    memset(seen, 0, sizeof *seen);
    enum es_status status = es_journal_file_print_fd(fd, "journal", look, seen, summary, &error);
    fuzz_expect_verdict(status, &error);
    ES_ASSERT(seen->entry_count == summary->entry_count);
    ES_ASSERT(seen->missing_count == summary->missing_slots);
    ES_ASSERT(seen->entry_count + seen->missing_count <= summary->slot_count);
    return status == ES_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static uint8_t file[1u << 17];
    struct seen seen;
    struct es_journal_summary summary;
    if (bytes < 1 || bytes > sizeof file) {
        return 0;
    }
    memcpy(file, data + 1, bytes - 1);
    if ((data[0] & 1u) != 0) {
        make_valid(file, bytes - 1);
    }
    int fd = memfd_create("journal", MFD_CLOEXEC);
    ES_ASSERT(fd >= 0);
    ES_ASSERT(write(fd, file, bytes - 1) == (ssize_t)(bytes - 1));
    /* A head may promise gigabytes: read in full, but not in each run. */
    if (read_all(fd, &seen, &summary) && summary.slot_count > 0 && summary.slot_count < 10000) {
        struct es_journal_slot slot = {.number = summary.next_number,
                                       .kind = ES_JOURNAL_WORD,
                                       .text_bytes = 4,
                                       .text = "word"};
        uint8_t encoded[ES_JOURNAL_SLOT_BYTES];
        es_journal_slot_encode(&slot, encoded);
        off_t offset = (off_t)es_journal_slot_offset(slot.number, summary.slot_count);
        ES_ASSERT(pwrite(fd, encoded, sizeof encoded, offset) == (ssize_t)sizeof encoded);
        bool is_read = read_all(fd, &seen, &summary);
        ES_ASSERT(is_read);
        ES_ASSERT(seen.last.number == slot.number && strcmp(seen.last.text, "word") == 0);
    }
    close(fd);
    return 0;
}
