/* journal.h - the transcript on disk, in a file of fixed size that survives a power cut anywhere.
 *
 *   es_journal_layout(&plan, &layout);                     es_journal_init(&journal, &config, ...);
 *   status = es_journal_start(&journal, &error);           opens, or says why not; its thread
 *   es_journal_word(&journal, &word);                      engine thread; never waits
 *   es_journal_event(&journal, ES_LANE_CONTROL, &event);
 *   if (es_journal_take_trouble(&journal, &error)) { tell the user; }    control tick
 *   es_journal_stop(&journal);
 *
 * It records what people said: off unless asked for, mode 0600, never wider.
 *
 * The file: ES_JOURNAL_HEAD_BYTES of head, then slots of ES_JOURNAL_SLOT_BYTES, allocated in full
 * at the start (a full disk shows then, and not in the night). Record number n stands in slot
 * n modulo slots, each with its number and a CRC32C; long text goes on in the next slots. A torn
 * write spoils the slot that was being written, whose old record was the oldest; all others are
 * there, and the writer goes on with the number after the highest.
 *
 * Durability: slots are written at once, and fdatasync follows at most every sync_ms. A power cut
 * takes what was said in the last sync_ms; a crash of the process takes nothing that was written.
 * Only the journal's own thread touches the disk: an SD card may stall for seconds. Meanwhile
 * records wait in lanes (queue.h); what finds no room is counted, and a `lost` record says so. A
 * disk that fails is reported, and tried again every ES_JOURNAL_RETRY_MS. */
#pragma once

#include "board/queue.h"
#include "board/word.h"
#include "platform/arena.h"
#include "platform/status.h"
#include "platform/thread.h"

#include <pthread.h>
#include <stdatomic.h>

struct es_journal_config {
    char path[ES_FILE_PATH_BYTES];
    uint64_t file_bytes; /* ES_JOURNAL_BYTES_MIN .. _MAX; of a new file. An old one keeps its own */
    uint32_t sync_ms;    /* ES_JOURNAL_SYNC_MS; 0 syncs after each batch */
    uint64_t boot_id;    /* es_journal_boot_id; tells monotonic stamps of two boots apart */
};

struct es_journal_layout {
    uint32_t lane_regions[ES_LANE_COUNT];
    uint32_t batch_region;
};

struct es_journal_counters {
    uint64_t written_records; /* words and events handed to the kernel */
    uint64_t synced_records;  /* of those, known to be on the disk */
    uint64_t lost_records;    /* found no room, or the disk did not take them */
    bool is_open;
};

struct es_journal {
    struct es_journal_config config;
    struct es_queue lanes[ES_LANE_COUNT];
    uint8_t *batch; /* [ES_JOURNAL_BATCH_SLOTS * ES_JOURNAL_SLOT_BYTES] in the arena */
    uint32_t batch_slots;
    uint32_t batch_records;
    int fd; /* -1 while closed */
    uint64_t slot_count;
    uint64_t next_number;
    uint64_t retry_at_ms;
    uint64_t dirty_since_ms;
    bool is_dirty;
    bool is_failing;                /* told, and not yet told to be over */
    uint64_t unwritten_records;     /* that the disk did not take */
    uint64_t said_lost_records;     /* told by records, those in the batch included */
    uint64_t written_lost_records;  /* told by records that the kernel has */
    struct es_journal_counters own; /* the thread's; copied to `shared` after each round */
    _Atomic int64_t clock_ms;
    _Atomic uint64_t ticket;
    pthread_mutex_t shared_mutex; /* guards shared and trouble; producers never take it */
    struct es_journal_counters shared;
    struct es_error trouble;
    bool has_trouble;
    int wake_fd; /* -1 without the thread */
    atomic_bool is_stopping;
    struct es_thread thread;
};

void es_journal_layout(struct es_plan *plan, struct es_journal_layout *layout);
/* Binds; copies the configuration. Opens nothing. */
void es_journal_init(struct es_journal *journal, const struct es_journal_config *config,
                     const struct es_journal_layout *layout, const struct es_arena *arena);

/* Opens or makes the file and starts the thread, before the freeze. ES_ERR_USAGE: a size out of
 * range. ES_ERR_OUTPUT: the file cannot be used now (no journal, another writer, no room, read-
 * only, not mounted yet): names it and the remedy; the thread tries again every
 * ES_JOURNAL_RETRY_MS, and what is lost until then is counted. Main thread. */
ES_MUST_CHECK enum es_status es_journal_start(struct es_journal *journal, struct es_error *error);

/* Engine thread. */
void es_journal_word(struct es_journal *journal, const struct es_word *word);
/* The thread that the lane belongs to. */
void es_journal_event(struct es_journal *journal, enum es_lane lane, const struct es_event *event);

/* Any thread. `unix_ms`: the time of day at which es_clock_ns was 0; before this call records carry
 * the monotonic time and the boot id alone. */
void es_journal_set_clock(struct es_journal *journal, int64_t unix_ms);
struct es_journal_counters es_journal_counters(struct es_journal *journal);
/* true once for each trouble and each recovery; `error` gets the line. Control thread. */
bool es_journal_take_trouble(struct es_journal *journal, struct es_error *error);

/* Writes and syncs what waits, ends the thread, closes. false: the disk holds the thread up after
 * ES_STOP_GRACE_MS; it goes on with its memory. Main thread. */
bool es_journal_stop(struct es_journal *journal);

/* Opens as es_journal_start does, without the thread; then, with ES_ERR_OUTPUT too, call
 * es_journal_poll. */
ES_MUST_CHECK enum es_status es_journal_open(struct es_journal *journal, struct es_error *error);
/* One round of the thread; returns the ms until the next one. The journal's thread. */
uint32_t es_journal_poll(struct es_journal *journal, uint64_t now_ms);

/* What found no room, or the disk did not take. The journal's thread. */
uint64_t es_journal_lost_records(const struct es_journal *journal);

/* The first half of the kernel's boot id; 0 when it says none. `root` before /proc, "" usually. */
uint64_t es_journal_boot_id(const char *root);
