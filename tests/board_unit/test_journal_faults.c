/* Disks that are full, read-only, slow or somebody else's. */
#include "board/journal.h"

#include "tests/board_unit/journal_rig.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct journal_rig rig;
static struct es_error trouble;

static void start_new(void) {
    unlink(journal_rig_path());
    journal_rig_start(&rig, ES_JOURNAL_BYTES_MIN);
}

static void refused(uint64_t file_bytes, enum es_status status, const char *says) {
    journal_rig_init(&rig, file_bytes);
    ES_EXPECT_EQ(es_journal_start(&rig.journal, &rig.error), status);
    ES_EXPECT_CONTAINS(rig.error.text, says);
    es_test_note("%s", rig.error.text);
    journal_rig_stop(&rig);
}

ES_TEST("a size out of range, a missing folder, a link, a folder: named, with the remedy") {
    char target[256];
    unlink(journal_rig_path());
    refused(ES_JOURNAL_BYTES_MIN - 1, ES_ERR_USAGE, "give 65536 to 1073741824");
    refused(ES_JOURNAL_BYTES_MAX + 1, ES_ERR_USAGE, "give 65536 to 1073741824");
    snprintf(target, sizeof target, "%s/target", es_test_directory());
    ES_EXPECT_EQ(symlink(target, journal_rig_path()), 0);
    refused(ES_JOURNAL_BYTES_MIN, ES_ERR_OUTPUT, "is a symbolic link");
    ES_EXPECT(access(target, F_OK) != 0);
    unlink(journal_rig_path());
    ES_EXPECT_EQ(mkdir(journal_rig_path(), 0700), 0);
    refused(ES_JOURNAL_BYTES_MIN, ES_ERR_OUTPUT, "cannot be written");
    refused(ES_JOURNAL_BYTES_MIN, ES_ERR_OUTPUT, "check that its folder exists");
    ES_EXPECT_EQ(rmdir(journal_rig_path()), 0);
}

ES_TEST("a file that is no journal is never overwritten") {
    static const char text[] = "dear diary\n";
    size_t byte_count;
    struct es_error error;
    journal_rig_save((const uint8_t *)text, sizeof text - 1);
    refused(ES_JOURNAL_BYTES_MIN, ES_ERR_OUTPUT, "is no journal of earshot; name another file");
    ES_EXPECT_EQ(memcmp(journal_rig_load(&byte_count), text, sizeof text - 1), 0);
    ES_EXPECT_EQ(byte_count, sizeof text - 1);
    ES_EXPECT_EQ(
        es_journal_file_print(journal_rig_path(), NULL, NULL, &journal_rig_summary, &error),
        ES_ERR_INPUT);
    ES_EXPECT_EQ(es_journal_file_print("/nowhere", NULL, NULL, &journal_rig_summary, &error),
                 ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "/nowhere: cannot be read");
}

ES_TEST("a journal that cannot be opened at the start is tried again, and that it works is told") {
    unlink(journal_rig_path());
    ES_EXPECT_EQ(mkdir(journal_rig_path(), 0700), 0); /* as a disk that is mounted later */
    journal_rig_init(&rig, ES_JOURNAL_BYTES_MIN);
    ES_EXPECT_EQ(es_journal_open(&rig.journal, &rig.error), ES_ERR_OUTPUT);
    journal_rig_word(&rig, "kept");
    journal_rig_poll(&rig);
    ES_EXPECT_EQ(rmdir(journal_rig_path()), 0);
    rig.now_ms += ES_JOURNAL_RETRY_MS;
    journal_rig_poll(&rig);
    rig.now_ms += ES_JOURNAL_SYNC_MS;
    journal_rig_poll(&rig);
    ES_EXPECT(es_journal_take_trouble(&rig.journal, &trouble));
    ES_EXPECT_CONTAINS(trouble.text, "the journal is written again; 0 records were lost");
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 kept; ");
    journal_rig_stop(&rig);
}

ES_TEST("two writers of one journal: the second is refused; a reader may read") {
    struct journal_rig other;
    start_new();
    journal_rig_word(&rig, "seven");
    journal_rig_poll(&rig);
    journal_rig_init(&other, ES_JOURNAL_BYTES_MIN);
    ES_EXPECT_EQ(es_journal_start(&other.journal, &other.error), ES_ERR_OUTPUT);
    ES_EXPECT_CONTAINS(other.error.text, "another earshot writes this journal");
    journal_rig_stop(&other);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; ");
    journal_rig_stop(&rig);
}

ES_TEST("an old journal keeps its size and says so; a mode that is too wide is narrowed") {
    struct stat info;
    start_new();
    journal_rig_word(&rig, "seven");
    journal_rig_stop(&rig);
    ES_EXPECT_EQ(chmod(journal_rig_path(), 0644), 0);
    journal_rig_start(&rig, 2 * ES_JOURNAL_BYTES_MIN);
    ES_EXPECT(es_journal_take_trouble(&rig.journal, &trouble));
    ES_EXPECT_CONTAINS(trouble.text, "keeps its size of 65536 bytes");
    journal_rig_stop(&rig);
    ES_EXPECT_EQ(stat(journal_rig_path(), &info), 0);
    ES_EXPECT_EQ(info.st_mode & 0777, 0600);
    ES_EXPECT_EQ(info.st_size, ES_JOURNAL_BYTES_MIN);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 seven; ");
}

ES_TEST("records that find no room are counted, and a record says so in their place") {
    start_new();
    journal_rig_word(&rig, "first");
    for (int i = 0; i < 2000; i++) { /* the journal's thread is busy with a slow disk */
        journal_rig_word(&rig, "word");
    }
    uint64_t lost = es_journal_lost_records(&rig.journal);
    ES_EXPECT(lost > 1000);
    journal_rig_poll(&rig);
    journal_rig_word(&rig, "last");
    journal_rig_stop(&rig);
    ES_EXPECT_EQ(es_journal_counters(&rig.journal).lost_records, lost);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "lost %llu; ", (unsigned long long)lost);
    const char *text = journal_rig_print(journal_rig_path());
    ES_EXPECT_CONTAINS(text, wanted);
    ES_EXPECT_CONTAINS(text, " last; ");
    ES_EXPECT_EQ(es_journal_counters(&rig.journal).written_records, 2002 - lost);
    ES_EXPECT_EQ(es_journal_counters(&rig.journal).synced_records, 2002 - lost);
}

static rlim_t limit_file(rlim_t bytes) {
    struct rlimit limit;
    ES_EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t old = limit.rlim_cur;
    limit.rlim_cur = bytes;
    ES_EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return old;
}

ES_TEST("a disk that stops taking the journal is told once, tried again, and told to be back") {
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    start_new();
    journal_rig_word(&rig, "first");
    journal_rig_poll(&rig);
    rlim_t old = limit_file(2048); /* every write fails from here on */
    journal_rig_word(&rig, "gone");
    journal_rig_poll(&rig);
    ES_EXPECT(es_journal_take_trouble(&rig.journal, &trouble));
    ES_EXPECT_CONTAINS(trouble.text, "the disk does not take the journal");
    es_test_note("%s", trouble.text);
    ES_EXPECT(!es_journal_counters(&rig.journal).is_open);
    journal_rig_word(&rig, "waits");
    for (uint32_t ms = 0; ms < 3 * ES_JOURNAL_RETRY_MS; ms += 20) {
        journal_rig_poll(&rig);
    }
    ES_EXPECT_EQ(es_journal_counters(&rig.journal).written_records, 1);
    (void)limit_file(old);
    for (uint32_t ms = 0; ms < 2 * ES_JOURNAL_RETRY_MS; ms += 20) {
        journal_rig_poll(&rig);
    }
    ES_EXPECT(es_journal_counters(&rig.journal).is_open);
    while (es_journal_take_trouble(&rig.journal, &trouble)) {
        es_test_note("%s", trouble.text);
    }
    ES_EXPECT_CONTAINS(trouble.text, "the journal is written again; 1 records were lost");
    journal_rig_word(&rig, "back");
    journal_rig_stop(&rig);
    signal(SIGXFSZ, handler);
    ES_EXPECT_TEXT(journal_rig_print(journal_rig_path()), "0 first; lost 1; 2 waits; 3 back; ");
}

/* In a mount name space of its own; 0, or what went wrong: 77 where that is not allowed. */
static int on_small_disk(bool is_read_only) {
    const char *folder = es_test_directory();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=32k") != 0 ||
        (is_read_only && mount("tmpfs", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) != 0)) {
        return 77;
    }
    const char *says = is_read_only ? "the file system is read-only" : "the disk has no room";
    journal_rig_init(&rig, ES_JOURNAL_BYTES_MIN);
    if (es_journal_start(&rig.journal, &rig.error) != ES_ERR_OUTPUT ||
        strstr(rig.error.text, says) == NULL) {
        fprintf(stderr, "%s\n", rig.error.text);
        return 1;
    }
    struct stat info;
    if (!is_read_only && (stat(journal_rig_path(), &info) != 0 || info.st_size != 0)) {
        return 2; /* what there was of it still fills the disk */
    }
    return 0;
}

ES_TEST("a full disk and a read-only one show at the start, and nothing is left on them") {
    for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
        int status;
        (void)es_test_directory();
        pid_t pid = fork();
        if (pid == 0) {
            _exit(on_small_disk(is_read_only == 1));
        }
        ES_EXPECT_EQ(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            es_test_skip("file systems cannot be mounted here; run the tests as root");
        }
        ES_EXPECT_EQ(status, 0);
    }
}

ES_TEST("the boot id is the kernel's, or 0") {
    es_test_note("%016llx", (unsigned long long)es_journal_boot_id(""));
    ES_EXPECT(es_journal_boot_id("") != 0);
    ES_EXPECT_EQ(es_journal_boot_id("/nowhere"), 0);
}

/* -- with the thread --------------------------------------------------------------------------- */

ES_TEST("two producers and the thread: all that was not counted as lost is on the disk") {
    unlink(journal_rig_path());
    journal_rig_init(&rig, 4u << 20);
    ES_EXPECT_EQ(es_journal_start(&rig.journal, &rig.error), ES_OK);
    for (int i = 0; i < 5000; i++) {
        journal_rig_word(&rig, "word");
        journal_rig_event(&rig, "state", "muted");
        es_journal_set_clock(&rig.journal, i);
        (void)es_journal_counters(&rig.journal);
        (void)es_journal_take_trouble(&rig.journal, &trouble);
    }
    journal_rig_stop(&rig);
    struct es_journal_counters counters = es_journal_counters(&rig.journal);
    es_test_note("%llu written, %llu lost", (unsigned long long)counters.written_records,
                 (unsigned long long)counters.lost_records);
    ES_EXPECT_EQ(counters.written_records + counters.lost_records, 10000);
    ES_EXPECT_EQ(counters.synced_records, counters.written_records);
    (void)journal_rig_print(journal_rig_path());
    ES_EXPECT_EQ(journal_rig_summary.missing_slots, 0);
    ES_EXPECT(journal_rig_summary.entry_count >= counters.written_records);
}
