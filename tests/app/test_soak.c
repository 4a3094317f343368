/* The whole appliance for a long time, in virtual time, with or without faults.
 *
 *   ES_SOAK_MINUTES=1440 ES_SOAK_TICK_MS=100 build/check/test_soak
 *   ES_SOAK_MINUTES=480 ES_SOAK_FAULTS=1008 ES_SOAK_TICK_MS=100 build/check/test_soak
 *
 * Without faults not one sample may be lost and not one page gained; with them every loss has to be
 * in the books and told, and the appliance has to listen again. ./check runs ten minutes of both.
 */
#include "platform/clock.h"
#include "tests/support/appliance_rig.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull
#define MINUTE_WORDS_MIN 40u
#define RECOVERY_MS 15000u /* a fault, and all that follows from it, is over by then */

enum soak_fault {
    SOAK_LATE,      /* the capture thread does not run: the card overruns */
    SOAK_LATE_READ, /* the same, in the middle of a read */
    SOAK_STOP,      /* the driver stops by itself */
    SOAK_UNPLUG,
    SOAK_UNPLUG_BUSY, /* and another program is faster */
    SOAK_CARD_STUCK,
    SOAK_SUSPEND,
    SOAK_UART,   /* nobody reads the serial line */
    SOAK_ENGINE, /* the engine thread stands still */
    SOAK_DISK,   /* no write to a file works */
    SOAK_CLOCK,  /* somebody sets the time of day */
    SOAK_MUTE,
    SOAK_FAULT_COUNT
};
static const char *const names[SOAK_FAULT_COUNT] = {
    "late",    "late in a read", "driver stop",  "unplug",    "unplug, then busy", "card stuck",
    "suspend", "stuck UART",     "engine stall", "full disk", "clock jump",        "mute"};

static struct es_appliance_rig rig;
static uint64_t random_state = 1;
static uint32_t fault_counts[SOAK_FAULT_COUNT];
static bool is_disk_told;

static uint32_t random_below(uint32_t bound) {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % bound;
}

static uint32_t number_of(const char *name, uint32_t otherwise) {
    const char *text = getenv(name);
    return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

/* Without those of files: the first run of a piece of code is no growth. */
static uint64_t resident_pages(void) {
    unsigned long long all = 0;
    unsigned long long resident = 0;
    unsigned long long shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ES_EXPECT(file != NULL);
    ES_EXPECT_EQ(fscanf(file, "%llu %llu %llu", &all, &resident, &shared), 3);
    (void)fclose(file);
    return resident - shared;
}

static bool read_line_of(const char *task, const char *file_name, char *line, int line_bytes) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.16s/%.16s", task, file_name);
    FILE *file = fopen(path, "r");
    bool is_read = file != NULL && fgets(line, line_bytes, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    return is_read;
}

/* Prints the processor time of each thread, and returns that of all but the engine and the main
 * one, which is this test, too; in ms. */
static double other_cpu_ms(bool is_printed) {
    double others_ms = 0;
    DIR *tasks = opendir("/proc/self/task");
    ES_EXPECT(tasks != NULL);
    struct dirent *task;
    while ((task = readdir(tasks)) != NULL) {
        char name[64];
        char times[128];
        if (task->d_name[0] == '.' || !read_line_of(task->d_name, "comm", name, sizeof name) ||
            !read_line_of(task->d_name, "schedstat", times, sizeof times)) {
            continue;
        }
        name[strcspn(name, "\n")] = '\0';
        double ms = (double)strtoull(times, NULL, 10) / 1e6;
        bool is_main = strtol(task->d_name, NULL, 10) == (long)getpid();
        if (strcmp(name, "es-engine") != 0 && !is_main) {
            others_ms += ms;
        }
        if (is_printed) {
            es_test_note("thread %-15s %10.1f ms of processor time%s", name, ms,
                         is_main ? " (the control plane, and this test)" : "");
        }
    }
    (void)closedir(tasks);
    return others_ms;
}

static void open_appliance(bool has_journal) {
    static const char *const recordings[] = {"commands_one_speaker", "digits_one_speaker",
                                             "commands_several_speakers",
                                             "digits_several_speakers"};
    static char journal[256];
    static const char *settings[] = {"uart=pty", "uart_format=jsonl", journal};
    snprintf(journal, sizeof journal, "journal=%s/journal", es_test_directory());
    struct es_appliance_rig_setup setup = {.settings = settings,
                                           .setting_count = has_journal ? 3u : 2u,
                                           .recordings = recordings,
                                           .recording_count = 4,
                                           .rate = 48000,
                                           .tick_ms = number_of("ES_SOAK_TICK_MS", 20),
                                           .watchdog_us = 10000000};
    es_appliance_rig_open(&rig, &setup);
}

/* -- one fault --------------------------------------------------------------------------------- */

struct before {
    uint64_t gap_count;
    uint64_t lost_records;
    uint64_t lost_bytes;
    uint32_t watchdog_count;
    int64_t drift_ms;
};

static int64_t drift_ms(void) {
    return (int64_t)rig.appliance.live_report.recording_ms - (int64_t)rig.now_ms;
}

static void card_fault(enum es_fake_kind kind, uint64_t length_ms) {
    es_fake_card_add(&rig.card.fake,
                     (struct es_fake_fault){.at_ns = rig.card.fake.now_ns + 50u * NS_PER_MS,
                                            .length_ns = length_ms * NS_PER_MS,
                                            .kind = kind});
}

static void forget_text(void) {
    rig.text_bytes = 0;
    rig.text[0] = '\0';
}

static void limit_files(bool is_full) {
    struct rlimit limit;
    ES_EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 0 : limit.rlim_max;
    ES_EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The console and the journal work in real time; this world's is much faster. */
static void run_beside(uint64_t ms) {
    for (uint64_t done = 0; done < ms; done += rig.setup.tick_ms) {
        es_appliance_rig_run(&rig, rig.setup.tick_ms);
        (void)usleep(200);
    }
}

static void strike(enum soak_fault fault) {
    uint64_t length_ms = 500u + random_below(4000);
    switch (fault) {
    case SOAK_LATE:
        card_fault(ES_FAKE_LATE, 300u + length_ms);
        break;
    case SOAK_LATE_READ:
        card_fault(ES_FAKE_LATE_READ, 300u + length_ms);
        break;
    case SOAK_STOP:
        card_fault(ES_FAKE_STOP, 0);
        break;
    case SOAK_UNPLUG_BUSY:
        card_fault(ES_FAKE_BUSY, length_ms);
        card_fault(ES_FAKE_UNPLUG, length_ms / 2u);
        break;
    case SOAK_UNPLUG:
        card_fault(ES_FAKE_UNPLUG, length_ms);
        break;
    case SOAK_CARD_STUCK:
        card_fault(ES_FAKE_STUCK, 1500u + length_ms);
        break;
    case SOAK_SUSPEND:
        card_fault(ES_FAKE_SUSPEND, length_ms);
        break;
    case SOAK_UART:
        rig.is_uart_stuck = true;
        break;
    case SOAK_ENGINE:
        atomic_store(&rig.is_engine_stalled, true);
        break;
    case SOAK_DISK:
        limit_files(true);
        break;
    case SOAK_CLOCK:
        rig.unix_ms += 3600000;
        break;
    case SOAK_MUTE:
        rig.is_muted = true;
        break;
    case SOAK_FAULT_COUNT:
        break;
    }
    es_appliance_rig_run(&rig, fault == SOAK_ENGINE ? 2000u * (1u + random_below(7)) : 2000u);
    if (fault == SOAK_DISK || fault == SOAK_UART) {
        run_beside(4000);
    }
}

static void heal(enum soak_fault fault, const struct before *before) {
    bool was_stalled = rig.appliance.is_stalled;
    rig.is_uart_stuck = false;
    rig.is_muted = false;
    atomic_store(&rig.is_engine_stalled, false);
    if (fault == SOAK_ENGINE && was_stalled) {
        /* Not told while it stood still, but for what had moved before. */
        ES_EXPECT(rig.watchdog_count - before->watchdog_count <= 2u);
    }
    if (fault == SOAK_DISK) {
        limit_files(false);
    }
}

/* What must have been told, counted or put right by now. */
static void expect_books(enum soak_fault fault, const struct before *before) {
    const struct es_live_report *live = &rig.appliance.live_report;
    bool is_gap = fault == SOAK_LATE || fault == SOAK_LATE_READ || fault == SOAK_STOP ||
                  fault == SOAK_UNPLUG || fault == SOAK_UNPLUG_BUSY || fault == SOAK_CARD_STUCK ||
                  fault == SOAK_SUSPEND || fault == SOAK_MUTE;
    if (is_gap) {
        ES_EXPECT(live->gap_count > before->gap_count);
        ES_EXPECT_CONTAINS(rig.text, "\"event\":\"gap\"");
    } else if (fault != SOAK_ENGINE) {
        ES_EXPECT_EQ(live->gap_count, before->gap_count);
    }
    if (fault == SOAK_ENGINE && live->drop_count > 0 && live->gap_count > before->gap_count) {
        ES_EXPECT_CONTAINS(rig.text, "the oldest audio was dropped");
    }
    if (fault == SOAK_CLOCK) {
        ES_EXPECT_CONTAINS(rig.text, "was set by +3600.0 s");
    }
    if (fault == SOAK_UART &&
        es_console_counters(&rig.appliance.console).lost_bytes > before->lost_bytes) {
        ES_EXPECT_CONTAINS(rig.text, "\"event\":\"lost\"");
    }
    /* The journal tries again every ten seconds of real time, in which hours pass here: its trouble
     * is told when it begins and when it ends. */
    is_disk_told = is_disk_told || strstr(rig.text, "\"event\":\"journal\"") != NULL;
    if (es_journal_counters(&rig.appliance.journal).lost_records > before->lost_records) {
        ES_EXPECT(is_disk_told);
    }
    enum es_state state = rig.appliance.machine.state;
    if (state != ES_STATE_LISTENING && state != ES_STATE_HEARING) {
        es_test_fail(__FILE__, __LINE__, "%s: the state is %s after %u s", names[fault],
                     es_state_name(state), RECOVERY_MS / 1000u);
    }
    int64_t moved_ms = drift_ms() - before->drift_ms;
    int64_t bound_ms = 130 + 2 * (int64_t)rig.setup.tick_ms;
    if (moved_ms > bound_ms || moved_ms < -bound_ms) {
        es_test_fail(__FILE__, __LINE__, "%s: recording time is off by %lld ms more", names[fault],
                     (long long)moved_ms);
    }
}

static void inject(enum soak_fault fault) {
    struct before before = {
        .gap_count = rig.appliance.live_report.gap_count,
        .lost_records = es_journal_counters(&rig.appliance.journal).lost_records,
        .lost_bytes = es_console_counters(&rig.appliance.console).lost_bytes,
        .watchdog_count = rig.watchdog_count,
        .drift_ms = drift_ms(),
    };
    forget_text();
    strike(fault);
    heal(fault, &before);
    run_beside(RECOVERY_MS);
    expect_books(fault, &before);
    fault_counts[fault]++;
}

/* -- the run ----------------------------------------------------------------------------------- */

static void tell_figures(uint32_t minutes, uint64_t pages, uint64_t end_pages, uint64_t began_ns) {
    const struct es_capture_report *capture = &rig.appliance.capture_report;
    const struct es_live_report *live = &rig.appliance.live_report;
    double real_s = (double)(es_clock_ns() - began_ns) / 1e9;
    es_test_note("%u simulated minutes in %.0f s (%.0f times as fast): %llu words, %llu steps, "
                 "%llu samples heard, %llu lost, %llu dropped, %llu muted",
                 minutes, real_s, minutes * 60.0 / real_s, (unsigned long long)live->word_count,
                 (unsigned long long)live->step_count, (unsigned long long)capture->sample_count,
                 (unsigned long long)capture->lost_samples,
                 (unsigned long long)live->dropped_samples,
                 (unsigned long long)capture->muted_samples);
    es_test_note("resident pages after the first minute %llu, at the end %llu; recording time is "
                 "%lld ms from the world's; %u times WATCHDOG=1",
                 (unsigned long long)pages, (unsigned long long)end_pages, (long long)drift_ms(),
                 rig.watchdog_count);
    double others_ms = other_cpu_ms(true);
    es_test_note("all threads but the engine's and the main one: %.3f %% of one core",
                 others_ms / (minutes * 60000.0) * 100.0);
}

/* Words of the minute that ended now, which the hours before it must not have changed: deaf is what
 * looks healthy and writes no more. */
static void expect_hearing(uint64_t words_before, const char *when) {
    uint64_t words = rig.appliance.live_report.word_count - words_before;
    es_test_note("%llu words in %s", (unsigned long long)words, when);
    ES_EXPECT(words >= MINUTE_WORDS_MIN);
    enum es_state state = rig.appliance.machine.state;
    ES_EXPECT(state == ES_STATE_LISTENING || state == ES_STATE_HEARING);
}

ES_TEST("memory that creeps, deaf after hours: no page, no sample and no word is lost in silence") {
    uint32_t minutes = number_of("ES_SOAK_MINUTES", 10);
    uint32_t fault_count = number_of("ES_SOAK_FAULTS", 0);
    random_state = number_of("ES_SOAK_SEED", 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    open_appliance(fault_count > 0);
    rig.is_synchronised = true;
    rig.unix_ms = 20000ll * 86400000ll;
    uint64_t began_ns = es_clock_ns();
    es_appliance_rig_run(&rig, 60000);
    expect_hearing(0, "the first minute");
    (void)other_cpu_ms(false); /* what the C library keeps for itself, it has now */
    uint64_t pages = resident_pages();
    uint64_t end_ms = (uint64_t)(minutes - 1u) * 60000u;
    uint64_t hour_ms = 3600000;
    for (uint32_t done = 0; done < fault_count; done++) {
        uint64_t next_ms = 60000u + (end_ms - 60000u) / fault_count * done;
        if (rig.now_ms < next_ms) {
            es_appliance_rig_run(&rig, next_ms - rig.now_ms);
        }
        inject((enum soak_fault)(done % SOAK_FAULT_COUNT));
        if (done + 1u == SOAK_FAULT_COUNT) {
            pages = resident_pages(); /* each has happened once: its stack is touched */
        }
    }
    while (rig.now_ms < end_ms) {
        uint64_t left_ms = end_ms - rig.now_ms;
        es_appliance_rig_run(&rig, left_ms < hour_ms ? left_ms : hour_ms);
    }
    uint64_t words = rig.appliance.live_report.word_count;
    es_appliance_rig_run(&rig, 60000);
    expect_hearing(words, "the last minute");
    uint64_t end_pages = resident_pages(); /* telling takes some of its own */
    tell_figures(minutes, pages, end_pages, began_ns);
    for (uint32_t i = 0; i < SOAK_FAULT_COUNT && fault_count > 0; i++) {
        es_test_note("%-18s %u times", names[i], fault_counts[i]);
    }
    if (fault_count == 0) {
        ES_EXPECT_EQ(rig.appliance.capture_report.lost_samples, 0);
        ES_EXPECT_EQ(rig.appliance.live_report.gap_count, 0);
        /* A position that is not whole yet, what the resampler holds, and a tick. */
        ES_EXPECT_NEAR((double)drift_ms(), 0, 130.0 + rig.setup.tick_ms);
    }
#ifndef ES_UNDER_SANITIZER
    ES_EXPECT_EQ(end_pages, pages);
#endif
    es_appliance_rig_close(&rig);
    ES_EXPECT(rig.read_bytes > 0);
}
