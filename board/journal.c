#include "board/journal.h"

#include "board/journal_file.h"
#include "platform/assert.h"
#include "platform/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NO_CLOCK INT64_MIN
#define IDLE_MS 1000u

void es_journal_layout(struct es_plan *plan, struct es_journal_layout *layout) {
    static const char *const names[ES_LANE_COUNT] = {"journal lane engine", "journal lane control"};
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        layout->lane_regions[lane] = es_plan_add(plan, ES_MEM_HOST, names[lane], ES_LANE_BYTES);
    }
    layout->batch_region = es_plan_add(plan, ES_MEM_HOST, "journal batch",
                                       ES_JOURNAL_BATCH_SLOTS * ES_JOURNAL_SLOT_BYTES);
}

void es_journal_init(struct es_journal *journal, const struct es_journal_config *config,
                     const struct es_journal_layout *layout, const struct es_arena *arena) {
    memset(journal, 0, sizeof *journal);
    journal->config = *config;
    journal->fd = -1;
    journal->wake_fd = -1;
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        es_queue_init(&journal->lanes[lane], es_arena_region(arena, layout->lane_regions[lane]),
                      ES_LANE_BYTES);
    }
    journal->batch = es_arena_region(arena, layout->batch_region);
    atomic_store(&journal->clock_ms, NO_CLOCK);
    (void)pthread_mutex_init(&journal->shared_mutex, NULL);
}

static uint64_t now_in_ms(void) {
    return es_clock_ns() / 1000000u;
}

/* -- producers --------------------------------------------------------------------------------- */

static void push(struct es_journal *journal, enum es_lane lane, struct es_record *record) {
    const uint64_t one = 1;
    record->ticket = atomic_fetch_add_explicit(&journal->ticket, 1, memory_order_relaxed);
    record->stamp_ms = now_in_ms();
    bool is_taken = es_queue_push(&journal->lanes[lane], record);
    (void)is_taken; /* counted there; a `lost` record tells it */
    if (journal->wake_fd >= 0) {
        ssize_t written = write(journal->wake_fd, &one, sizeof one);
        (void)written; /* EAGAIN: it is awake */
    }
}

void es_journal_word(struct es_journal *journal, const struct es_word *word) {
    struct es_record record;
    es_record_word(&record, word);
    push(journal, ES_LANE_ENGINE, &record);
}

void es_journal_event(struct es_journal *journal, enum es_lane lane, const struct es_event *event) {
    struct es_record record;
    es_record_event(&record, event);
    push(journal, lane, &record);
}

/* -- any thread -------------------------------------------------------------------------------- */

void es_journal_set_clock(struct es_journal *journal, int64_t unix_ms) {
    atomic_store(&journal->clock_ms, unix_ms);
}

struct es_journal_counters es_journal_counters(struct es_journal *journal) {
    (void)pthread_mutex_lock(&journal->shared_mutex);
    struct es_journal_counters counters = journal->shared;
    (void)pthread_mutex_unlock(&journal->shared_mutex);
    return counters;
}

bool es_journal_take_trouble(struct es_journal *journal, struct es_error *error) {
    (void)pthread_mutex_lock(&journal->shared_mutex);
    bool has_trouble = journal->has_trouble;
    if (has_trouble) {
        *error = journal->trouble;
    }
    journal->has_trouble = false;
    (void)pthread_mutex_unlock(&journal->shared_mutex);
    return has_trouble;
}

static void set_trouble(struct es_journal *journal, const struct es_error *trouble) {
    (void)pthread_mutex_lock(&journal->shared_mutex);
    journal->trouble = *trouble;
    journal->has_trouble = true;
    (void)pthread_mutex_unlock(&journal->shared_mutex);
}

static void share(struct es_journal *journal) {
    journal->own.is_open = journal->fd >= 0;
    journal->own.lost_records = es_journal_lost_records(journal);
    (void)pthread_mutex_lock(&journal->shared_mutex);
    journal->shared = journal->own;
    (void)pthread_mutex_unlock(&journal->shared_mutex);
}

/* -- the journal's thread ---------------------------------------------------------------------- */

uint64_t es_journal_lost_records(const struct es_journal *journal) {
    uint64_t lost_records = journal->unwritten_records;
    for (int lane = 0; lane < ES_LANE_COUNT; lane++) {
        lost_records += es_queue_lost_records(&journal->lanes[lane]);
    }
    return lost_records;
}

static enum es_status open_file(struct es_journal *journal, struct es_error *error) {
    struct es_journal_file file;
    struct es_error notice;
    int fd = es_journal_file_open(journal->config.path, journal->config.file_bytes, &file, &notice,
                                  error);
    if (fd < 0) {
        return (enum es_status)fd;
    }
    journal->fd = fd;
    journal->slot_count = file.slot_count;
    journal->next_number = file.next_number;
    if (notice.text[0] != '\0') {
        set_trouble(journal, &notice);
    }
    return ES_OK;
}

static void close_file(struct es_journal *journal) {
    if (journal->fd >= 0) {
        (void)close(journal->fd);
    }
    journal->fd = -1;
    journal->is_dirty = false;
}

/* The disk did not take it: what was in the batch is lost, and counted. */
static void give_up(struct es_journal *journal, int cause, uint64_t now_ms) {
    if (!journal->is_failing) {
        struct es_error trouble;
        (void)es_fail(&trouble, ES_ERR_OUTPUT,
                      "%s: the disk does not take the journal (%s); it is tried again every %u s, "
                      "and what is lost meanwhile is counted",
                      journal->config.path, strerror(cause), ES_JOURNAL_RETRY_MS / 1000u);
        set_trouble(journal, &trouble);
    }
    journal->said_lost_records = journal->written_lost_records;
    journal->unwritten_records += journal->batch_records;
    journal->batch_slots = 0;
    journal->batch_records = 0;
    close_file(journal);
    journal->retry_at_ms = now_ms + ES_JOURNAL_RETRY_MS;
    journal->is_failing = true;
}

static int write_run(struct es_journal *journal, uint32_t first, uint32_t count) {
    uint64_t number = journal->next_number - journal->batch_slots + first;
    const uint8_t *bytes = journal->batch + (size_t)first * ES_JOURNAL_SLOT_BYTES;
    size_t left = (size_t)count * ES_JOURNAL_SLOT_BYTES;
    uint64_t offset = es_journal_slot_offset(number, journal->slot_count);
    while (left > 0) {
        ssize_t written = pwrite(journal->fd, bytes, left, (off_t)offset);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        if (written > 0) {
            bytes += written;
            left -= (size_t)written;
            offset += (uint64_t)written;
        }
    }
    return 0;
}

static bool write_batch(struct es_journal *journal, uint64_t now_ms) {
    if (journal->batch_slots == 0) {
        return true;
    }
    uint64_t first_index = (journal->next_number - journal->batch_slots) % journal->slot_count;
    uint64_t until_end = journal->slot_count - first_index;
    uint32_t run = until_end < journal->batch_slots ? (uint32_t)until_end : journal->batch_slots;
    int cause = write_run(journal, 0, run);
    if (cause == 0 && run < journal->batch_slots) {
        cause = write_run(journal, run, journal->batch_slots - run);
    }
    if (cause != 0) {
        give_up(journal, cause, now_ms);
        return false;
    }
    journal->own.written_records += journal->batch_records;
    journal->written_lost_records = journal->said_lost_records;
    journal->batch_slots = 0;
    journal->batch_records = 0;
    if (!journal->is_dirty) {
        journal->is_dirty = true;
        journal->dirty_since_ms = now_ms;
    }
    return true;
}

static void add_to_batch(struct es_journal *journal, struct es_journal_slot *slot,
                         const char *payload, uint32_t payload_bytes) {
    uint32_t done = 0;
    do {
        uint32_t left = payload_bytes - done;
        uint32_t count = left < ES_JOURNAL_SLOT_TEXT_BYTES ? left : ES_JOURNAL_SLOT_TEXT_BYTES;
        slot->number = journal->next_number++;
        slot->is_continuation = done > 0;
        slot->is_continued = count < left;
        slot->text_bytes = (uint8_t)count;
        memcpy(slot->text, payload + done, count);
        es_journal_slot_encode(slot, journal->batch +
                                         (size_t)journal->batch_slots * ES_JOURNAL_SLOT_BYTES);
        journal->batch_slots++;
        done += count;
    } while (done < payload_bytes);
    journal->batch_records++;
}

static uint32_t slots_of(uint32_t payload_bytes) {
    return payload_bytes / ES_JOURNAL_SLOT_TEXT_BYTES + 1u;
}

static void start_slot(const struct es_journal *journal, uint64_t stamp_ms,
                       struct es_journal_slot *slot) {
    int64_t clock_ms = atomic_load(&journal->clock_ms);
    memset(slot, 0, sizeof *slot);
    slot->boot_id = journal->config.boot_id;
    slot->monotonic_ms = stamp_ms;
    slot->unix_ms = clock_ms == NO_CLOCK ? 0 : clock_ms + (int64_t)stamp_ms;
}

/* Before what comes after the loss. */
static void tell_losses(struct es_journal *journal, uint64_t now_ms) {
    uint64_t lost_records = es_journal_lost_records(journal);
    if (lost_records == journal->said_lost_records) {
        return;
    }
    struct es_journal_slot slot;
    start_slot(journal, now_ms, &slot);
    slot.kind = ES_JOURNAL_LOST;
    slot.start_ms = lost_records - journal->said_lost_records;
    journal->said_lost_records = lost_records;
    add_to_batch(journal, &slot, "", 0);
    journal->batch_records--; /* no word and no event */
}

static void add_record(struct es_journal *journal, const struct es_record *record) {
    char payload[ES_EVENT_NAME_BYTES + ES_WORD_BYTES_MAX];
    uint32_t payload_bytes = 0;
    struct es_journal_slot slot;
    start_slot(journal, record->stamp_ms, &slot);
    slot.kind = record->kind == ES_RECORD_EVENT ? ES_JOURNAL_EVENT : ES_JOURNAL_WORD;
    slot.start_ms = record->start_ms;
    uint64_t duration_ms =
        record->end_ms > record->start_ms ? record->end_ms - record->start_ms : 0;
    slot.duration_ms = duration_ms < UINT32_MAX ? (uint32_t)duration_ms : UINT32_MAX;
    if (record->kind == ES_RECORD_EVENT) {
        payload_bytes = (uint32_t)strlen(record->name) + 1u;
        memcpy(payload, record->name, payload_bytes);
    }
    memcpy(payload + payload_bytes, record->text, record->text_bytes);
    add_to_batch(journal, &slot, payload, payload_bytes + record->text_bytes);
}

static bool reopen(struct es_journal *journal, uint64_t now_ms) {
    struct es_error error;
    if (now_ms < journal->retry_at_ms) {
        return false;
    }
    if (open_file(journal, &error) != ES_OK) {
        journal->retry_at_ms = now_ms + ES_JOURNAL_RETRY_MS;
        return false;
    }
    journal->is_dirty = true; /* its first sync tells that the trouble is over */
    journal->dirty_since_ms = now_ms;
    return true;
}

/* The first batch that is on the disk again ends the trouble. */
static void sync_file(struct es_journal *journal, uint64_t now_ms) {
    if (fdatasync(journal->fd) != 0) {
        give_up(journal, errno, now_ms);
        return;
    }
    journal->is_dirty = false;
    journal->own.synced_records = journal->own.written_records;
    if (journal->is_failing) {
        struct es_error news;
        (void)es_fail(&news, ES_OK, "%s: the journal is written again; %llu records were lost",
                      journal->config.path, (unsigned long long)es_journal_lost_records(journal));
        set_trouble(journal, &news);
        journal->is_failing = false;
    }
}

static void write_lanes(struct es_journal *journal, uint64_t now_ms) {
    struct es_record record;
    struct es_queue *lane;
    if (journal->is_failing) {
        /* The news of the loss goes first, alone: while the disk refuses, nothing more is lost. */
        tell_losses(journal, now_ms);
        (void)write_batch(journal, now_ms);
    }
    while (journal->fd >= 0 && (lane = es_queue_oldest(journal->lanes, &record)) != NULL) {
        uint32_t payload_bytes = record.text_bytes + (uint32_t)sizeof record.name;
        if (journal->batch_slots + 1u + slots_of(payload_bytes) > ES_JOURNAL_BATCH_SLOTS &&
            !write_batch(journal, now_ms)) {
            return;
        }
        tell_losses(journal, now_ms);
        es_queue_pop(lane);
        add_record(journal, &record);
    }
    if (journal->fd >= 0) {
        tell_losses(journal, now_ms);
        (void)write_batch(journal, now_ms);
    }
}

uint32_t es_journal_poll(struct es_journal *journal, uint64_t now_ms) {
    if (journal->fd >= 0 || reopen(journal, now_ms)) {
        write_lanes(journal, now_ms);
    }
    bool is_ending = atomic_load(&journal->is_stopping);
    if (journal->fd >= 0 && journal->is_dirty &&
        (is_ending || now_ms - journal->dirty_since_ms >= journal->config.sync_ms)) {
        sync_file(journal, now_ms);
    }
    share(journal);
    if (journal->fd >= 0 && journal->is_dirty) {
        uint64_t left_ms = journal->dirty_since_ms + journal->config.sync_ms - now_ms;
        return left_ms < IDLE_MS ? (uint32_t)left_ms + 1u : IDLE_MS;
    }
    return IDLE_MS;
}

static void run(void *context) {
    struct es_journal *journal = context;
    uint64_t wakes;
    while (!atomic_load(&journal->is_stopping)) {
        uint32_t wait_ms = es_journal_poll(journal, now_in_ms());
        struct pollfd wake = {.fd = journal->wake_fd, .events = POLLIN};
        (void)poll(&wake, 1, (int)wait_ms);
        ssize_t count = read(journal->wake_fd, &wakes, sizeof wakes);
        (void)count;
    }
    (void)es_journal_poll(journal, now_in_ms());
}

enum es_status es_journal_open(struct es_journal *journal, struct es_error *error) {
    uint64_t file_bytes = journal->config.file_bytes;
    if (file_bytes < ES_JOURNAL_BYTES_MIN || file_bytes > ES_JOURNAL_BYTES_MAX) {
        return es_fail(error, ES_ERR_USAGE, "%s: a journal of %llu bytes; give %llu to %llu",
                       journal->config.path, (unsigned long long)file_bytes, ES_JOURNAL_BYTES_MIN,
                       ES_JOURNAL_BYTES_MAX);
    }
    enum es_status status = open_file(journal, error);
    if (status == ES_ERR_OUTPUT) {
        journal->is_failing = true;
        journal->retry_at_ms = now_in_ms() + ES_JOURNAL_RETRY_MS;
    }
    share(journal);
    return status;
}

enum es_status es_journal_start(struct es_journal *journal, struct es_error *error) {
    enum es_status opened = es_journal_open(journal, error);
    if (opened != ES_OK && opened != ES_ERR_OUTPUT) {
        return opened;
    }
    journal->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (journal->wake_fd < 0) {
        close_file(journal);
        return es_fail(error, ES_ERR_HARDWARE, "journal: no event descriptor (%s); raise ulimit -n",
                       strerror(errno));
    }
    struct es_error thread_error;
    enum es_status status =
        es_thread_start(&journal->thread, "es-journal", 0, run, journal, &thread_error);
    if (status != ES_OK) {
        *error = thread_error;
        return status;
    }
    return opened;
}

bool es_journal_stop(struct es_journal *journal) {
    const uint64_t one = 1;
    atomic_store(&journal->is_stopping, true);
    if (journal->wake_fd >= 0) {
        ssize_t written = write(journal->wake_fd, &one, sizeof one);
        (void)written;
    }
    if (journal->thread.is_started) {
        if (!es_thread_join_until(&journal->thread,
                                  es_clock_ns() + ES_STOP_GRACE_MS * 1000000ull)) {
            return false;
        }
    } else if (journal->fd >= 0) {
        (void)es_journal_poll(journal, now_in_ms());
    }
    close_file(journal);
    share(journal);
    if (journal->wake_fd >= 0) {
        (void)close(journal->wake_fd);
        journal->wake_fd = -1;
    }
    return true;
}

uint64_t es_journal_boot_id(const char *root) {
    char path[512];
    char text[40];
    (void)snprintf(path, sizeof path, "%s/proc/sys/kernel/random/boot_id", root);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, text, sizeof text - 1u) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    uint64_t id = 0;
    uint32_t digit_count = 0;
    for (ssize_t i = 0; i < count && digit_count < 16u; i++) {
        char c = text[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
            id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            digit_count++;
        }
    }
    return digit_count == 16u ? id : 0;
}
