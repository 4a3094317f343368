/* journal_scan.c - a journal read: what is there, and in order. */
#include "board/journal_file.h"
#include "platform/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_SLOTS 64u
/* An event's name, a zero byte and its line are the longest. */
#define PAYLOAD_BYTES_MAX (ES_EVENT_NAME_BYTES + ES_WORD_BYTES_MAX)

/* As much as there is; 0 at the end, < 0 with errno. */
static ssize_t read_at(int fd, void *bytes, size_t byte_count, uint64_t offset) {
    size_t done = 0;
    while (done < byte_count) {
        ssize_t count =
            pread(fd, (uint8_t *)bytes + done, byte_count - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return -1;
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    return (ssize_t)done;
}

static enum es_status fail_read(const char *path, int cause, struct es_error *error) {
    return es_fail(error, ES_ERR_INPUT, "%s: cannot be read (%s); check the path and the disk",
                   path, strerror(cause));
}

static enum es_status fail_foreign(const char *path, struct es_error *error) {
    return es_fail(error, ES_ERR_INPUT, "%s: is no journal of earshot; name another file", path);
}

/* Where number n is kept is known: a slot elsewhere was left by another size of the ring. */
static void count_slot(const uint8_t *bytes, uint64_t index, struct es_journal_summary *summary) {
    struct es_journal_slot slot;
    if (es_journal_slot_is_empty(bytes)) {
        return;
    }
    if (!es_journal_slot_decode(&slot, bytes) || slot.number % summary->slot_count != index) {
        summary->damaged_slots++;
        return;
    }
    if (slot.number >= summary->next_number) {
        summary->next_number = slot.number + 1u;
    }
}

static enum es_status scan_slots(int fd, const char *path, struct es_journal_summary *summary,
                                 struct es_error *error) {
    uint8_t chunk[CHUNK_SLOTS * ES_JOURNAL_SLOT_BYTES];
    for (uint64_t index = 0; index < summary->present_slots; index += CHUNK_SLOTS) {
        ssize_t bytes =
            read_at(fd, chunk, sizeof chunk, ES_JOURNAL_HEAD_BYTES + index * ES_JOURNAL_SLOT_BYTES);
        if (bytes < 0) {
            return fail_read(path, errno, error);
        }
        memset(chunk + bytes, 0, sizeof chunk - (size_t)bytes);
        for (uint32_t i = 0; i < CHUNK_SLOTS && index + i < summary->present_slots; i++) {
            count_slot(chunk + i * ES_JOURNAL_SLOT_BYTES, index + i, summary);
        }
    }
    return ES_OK;
}

static bool is_zero(const uint8_t *bytes, size_t byte_count) {
    for (size_t i = 0; i < byte_count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

enum es_status es_journal_file_scan(int fd, const char *path, struct es_journal_summary *summary,
                                    struct es_error *error) {
    uint8_t head[ES_JOURNAL_HEAD_BYTES] = {0};
    struct stat file;
    memset(summary, 0, sizeof *summary);
    if (fstat(fd, &file) != 0) {
        return fail_read(path, errno, error);
    }
    if (!S_ISREG(file.st_mode) || (uint64_t)file.st_size > ES_JOURNAL_BYTES_MAX) {
        return fail_foreign(path, error);
    }
    uint64_t file_bytes = (uint64_t)file.st_size;
    if (read_at(fd, head, sizeof head, 0) < 0) {
        return fail_read(path, errno, error);
    }
    summary->is_head_damaged = !es_journal_head_decode(head, &summary->slot_count);
    uint64_t whole_slots = file_bytes > ES_JOURNAL_HEAD_BYTES
                               ? (file_bytes - ES_JOURNAL_HEAD_BYTES) / ES_JOURNAL_SLOT_BYTES
                               : 0;
    if (summary->is_head_damaged) {
        summary->slot_count = whole_slots;
    }
    summary->present_slots = summary->slot_count < whole_slots ? summary->slot_count : whole_slots;
    enum es_status status = scan_slots(fd, path, summary, error);
    if (status != ES_OK || !summary->is_head_damaged || summary->next_number > 0) {
        return status;
    }
    /* No head and no record: begun and cut off before the head, or something else altogether. */
    if (summary->damaged_slots > 0 || !is_zero(head, sizeof head)) {
        return fail_foreign(path, error);
    }
    summary->slot_count = 0;
    return ES_OK;
}

/* -- in order ---------------------------------------------------------------------------------- */

struct printer {
    es_journal_print *print;
    void *context;
    struct es_journal_summary *summary;
    struct es_journal_entry entry;
    bool is_open;       /* an entry waits for its next slot */
    bool is_continuing; /* and its text goes on there */
    uint32_t payload_bytes;
    char payload[PAYLOAD_BYTES_MAX];
    uint64_t missing_number;
    uint64_t missing_count;
};

static void close_entry(struct printer *printer) {
    struct es_journal_entry *entry = &printer->entry;
    if (!printer->is_open) {
        return;
    }
    const char *text = printer->payload;
    uint32_t text_bytes = printer->payload_bytes;
    if (entry->kind == ES_JOURNAL_EVENT) {
        uint32_t name_bytes = (uint32_t)strnlen(text, text_bytes);
        uint32_t kept = name_bytes < ES_EVENT_NAME_BYTES ? name_bytes : ES_EVENT_NAME_BYTES - 1u;
        memcpy(entry->name, text, kept);
        text += name_bytes < text_bytes ? name_bytes + 1u : name_bytes;
        text_bytes -= name_bytes < text_bytes ? name_bytes + 1u : name_bytes;
    }
    if (text_bytes > ES_WORD_BYTES_MAX) {
        text_bytes = ES_WORD_BYTES_MAX;
        entry->is_cut = true;
    }
    memcpy(entry->text, text, text_bytes);
    entry->text[text_bytes] = '\0';
    entry->text_bytes = text_bytes;
    entry->is_cut = entry->is_cut || printer->is_continuing;
    printer->is_open = false;
    printer->summary->entry_count++;
    printer->print(printer->context, entry, 0, 0);
}

static void close_gap(struct printer *printer) {
    if (printer->missing_count > 0) {
        printer->print(printer->context, NULL, printer->missing_number, printer->missing_count);
    }
    printer->missing_count = 0;
}

static void add_slot(struct printer *printer, const struct es_journal_slot *slot) {
    bool goes_on = slot->is_continuation && printer->is_open && printer->is_continuing &&
                   printer->entry.kind == (enum es_journal_kind)slot->kind;
    close_gap(printer);
    if (!goes_on) {
        close_entry(printer);
        memset(&printer->entry, 0, sizeof printer->entry);
        printer->entry.number = slot->number;
        printer->entry.kind = (enum es_journal_kind)slot->kind;
        printer->entry.boot_id = slot->boot_id;
        printer->entry.monotonic_ms = slot->monotonic_ms;
        printer->entry.unix_ms = slot->unix_ms;
        printer->entry.start_ms = slot->start_ms;
        printer->entry.end_ms = slot->start_ms + slot->duration_ms;
        printer->entry.is_cut = slot->is_continuation;
        printer->payload_bytes = 0;
        printer->is_open = true;
    }
    if (printer->payload_bytes + slot->text_bytes <= sizeof printer->payload) {
        memcpy(printer->payload + printer->payload_bytes, slot->text, slot->text_bytes);
        printer->payload_bytes += slot->text_bytes;
    } else {
        printer->entry.is_cut = true;
    }
    printer->is_continuing = slot->is_continued;
    if (!slot->is_continued) {
        close_entry(printer);
    }
}

static void add_missing(struct printer *printer, uint64_t number) {
    close_entry(printer);
    if (printer->missing_count == 0) {
        printer->missing_number = number;
    }
    printer->missing_count++;
    printer->summary->missing_slots++;
}

enum es_status es_journal_file_print_fd(int fd, const char *path, es_journal_print *print,
                                        void *context, struct es_journal_summary *summary,
                                        struct es_error *error) {
    struct printer printer = {.print = print, .context = context, .summary = summary};
    enum es_status status = es_journal_file_scan(fd, path, summary, error);
    if (status != ES_OK || summary->slot_count == 0) {
        return status;
    }
    uint64_t next = summary->next_number;
    uint64_t first = next > summary->slot_count ? next - summary->slot_count : 0;
    for (uint64_t number = first; number < next; number++) {
        uint8_t bytes[ES_JOURNAL_SLOT_BYTES] = {0};
        struct es_journal_slot slot;
        if (number % summary->slot_count >= summary->present_slots) {
            add_missing(&printer, number);
            continue;
        }
        if (read_at(fd, bytes, sizeof bytes, es_journal_slot_offset(number, summary->slot_count)) <
            0) {
            return fail_read(path, errno, error);
        }
        if (es_journal_slot_decode(&slot, bytes) && slot.number == number) {
            add_slot(&printer, &slot);
        } else {
            add_missing(&printer, number);
        }
    }
    close_entry(&printer);
    close_gap(&printer);
    return ES_OK;
}

enum es_status es_journal_file_print(const char *path, es_journal_print *print, void *context,
                                     struct es_journal_summary *summary, struct es_error *error) {
    memset(summary, 0, sizeof *summary);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail_read(path, errno, error);
    }
    enum es_status status = es_journal_file_print_fd(fd, path, print, context, summary, error);
    (void)close(fd);
    return status;
}
