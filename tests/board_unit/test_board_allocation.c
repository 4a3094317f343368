/* After the freeze the console and the journal allocate nothing, whatever happens to their line and
 * their disk. */
#include "board/console.h"
#include "board/journal.h"

#include "tests/board_unit/console_rig.h"
#include "tests/board_unit/journal_rig.h"
#include "tests/board_unit/serial_end.h"
#include "tests/support/allocation_watch.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct console_rig consoles[2];
static struct journal_rig journal;
static struct serial_end ends[2];

static void say(int turns) {
    for (int i = 0; i < turns; i++) {
        for (int c = 0; c < 2; c++) {
            console_rig_word(&consoles[c], "w\xC3\xB6rd\x1B", (uint64_t)i * 100u,
                             (uint64_t)i * 100u + 90u);
            console_rig_event(&consoles[c], "state", "muted", (uint64_t)i);
        }
        journal_rig_word(&journal, "word");
        journal_rig_event(&journal, "state", "muted");
        if (i % 8 == 0) {
            console_rig_poll(&consoles[0], 20);
            console_rig_poll(&consoles[1], 20);
            journal_rig_poll(&journal);
        }
    }
}

ES_TEST("no allocation after the freeze: speech, a stuck line, an unplugged one, a full lane") {
    for (int c = 0; c < 2; c++) {
        struct es_console_config config =
            console_rig_config(c == 0 ? ES_CONSOLE_TEXT : ES_CONSOLE_JSONL);
        snprintf(config.uart.device, sizeof config.uart.device,
                 c == 0 ? "/dev/ttyUSB0" : "1-7:1.0");
        serial_end_plug(&ends[c], c == 0 ? "ttyUSB0" : "ttyUSB1");
        serial_root_file("/sys/bus/usb/devices/1-7:1.0/ttyUSB1/tty/ttyUSB1/dev", "");
        console_rig_start(&consoles[c], &config);
    }
    journal_rig_start(&journal, ES_JOURNAL_BYTES_MIN);
    es_allocation_watch_start();
    es_freeze();
    say(500);
    ES_EXPECT(es_console_counters(&consoles[1].console).is_stuck);
    for (int c = 0; c < 2; c++) {
        serial_end_unplug(&ends[c]);
    }
    say(2000);
    ES_EXPECT(!es_console_counters(&consoles[0].console).is_open);
    ES_EXPECT(!es_console_counters(&consoles[1].console).is_open);
    ES_EXPECT(es_console_counters(&consoles[1].console).lost_bytes > 0);
    struct es_allocation_counts counts = es_allocation_watch_counts();
    es_test_note("%llu allocations, the first of %zu bytes by %p",
                 (unsigned long long)counts.product_count, counts.product_bytes,
                 counts.product_caller);
    ES_EXPECT_EQ(counts.product_count, 0);
    void *volatile seen = malloc(1);
    free(seen);
    ES_EXPECT_EQ(es_allocation_watch_counts().product_count, 1); /* it would have been seen */
    console_rig_stop(&consoles[0]);
    console_rig_stop(&consoles[1]);
    journal_rig_stop(&journal);
}
